"""Labelling by keys in a real browser: a queue worked off with the hands on the keyboard, two people on one trace."""

import pytest
from playwright.sync_api import expect

from tests.webapp.curation.conftest import HOSTILE, make_run
from webapp.curation.models import Label

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


def press_and_leave(page, *keys):
    """Press keys, the last of which opens another trace."""
    before = page.url
    for key in keys:
        page.keyboard.press(key)
    page.wait_for_url(lambda url: url != before)
    page.wait_for_selector("[data-label-form]")


def newest(trace_count=1):
    rows = Label.objects.order_by("-pk")[:trace_count]
    return [(row.value, row.rating, row.tags.split(), row.note) for row in rows]


def test_a_queue_is_worked_off_with_keys_alone(open_as, annotator, traces):
    page = open_as(annotator)
    page.goto("/label/next/?verdict=unscored")
    page.wait_for_selector("[data-label-form]")
    expect(page.locator(".label-queue")).to_contain_text("0 of 5 labelled")

    press_and_leave(page, "k")
    press_and_leave(page, "4", "r")
    expect(page.locator(".label-queue")).to_contain_text("2 of 5 labelled")
    press_and_leave(page, "s")
    press_and_leave(page, "b")
    assert page.url.split("?")[0].endswith(f"/traces/{traces[3].pk}/")
    press_and_leave(page, "u")
    assert [value for value, *_ in newest(3)] == ["unsure", "reject", "keep"]
    assert newest(3)[1] == ("reject", 4, [], "")


def test_keys_do_not_judge_while_someone_writes(open_as, annotator, traces):
    page = open_as(annotator)
    page.goto(f"/traces/{traces[0].pk}/")
    page.wait_for_selector("[data-label-form]")
    page.keyboard.press("n")
    page.keyboard.type("kru 5 s b")
    assert not Label.objects.exists()
    page.keyboard.press("Escape")
    page.keyboard.press("t")
    page.keyboard.type("carry")
    page.keyboard.press("Escape")
    page.keyboard.press("k")
    expect(page.locator("#label-panel")).to_contain_text("Saved.")
    assert newest() == [("keep", None, ["carry"], "kru 5 s b")]


def test_what_is_written_is_saved_with_control_and_enter_or_enter(open_as, annotator, traces):
    page = open_as(annotator)
    page.goto(f"/traces/{traces[0].pk}/")
    page.wait_for_selector("[data-label-form]")
    page.keyboard.press("t")
    page.keyboard.type("sum")
    page.keyboard.press("Enter")
    expect(page.locator("#label-panel")).to_contain_text("Choose keep, reject or unsure")
    assert not Label.objects.exists()

    page.keyboard.press("Escape")
    page.keyboard.press("r")
    page.keyboard.press("5")  # pressed before the first answer came: it waits for it, and conflicts with nothing
    expect(page.locator("#label-panel")).to_contain_text("5 / 5")
    page.keyboard.press("4")  # and what is written while that is on its way is written, not judged
    page.keyboard.press("n")
    page.keyboard.type("because")
    expect(page.locator("[data-label='note']")).to_have_value("because")
    page.keyboard.press("Control+Enter")
    expect(page.locator("#label-panel")).to_contain_text("4 labels so far")
    assert newest(3) == [("reject", 4, ["sum"], "because"), ("reject", 4, ["sum"], ""), ("reject", 5, ["sum"], "")]


def test_two_who_meet_see_it_and_lose_nothing(open_as, annotator, other_annotator, traces):
    first, second = open_as(annotator), open_as(other_annotator)
    for page in (first, second):
        page.goto(f"/traces/{traces[0].pk}/")
        page.wait_for_selector("[data-label-form]")
    first.keyboard.press("k")
    expect(first.locator("#label-panel")).to_contain_text("Saved.")
    second.keyboard.press("n")
    second.keyboard.type("no, step 2")
    second.keyboard.press("Escape")
    second.keyboard.press("r")
    expect(second.locator("#label-panel")).to_contain_text("alan labelled this trace meanwhile")
    assert second.input_value("[data-label='note']") == "no, step 2"
    second.keyboard.press("r")
    expect(second.locator("#label-panel")).to_contain_text("2 labels so far")
    assert [value for value, *_ in newest(2)] == ["reject", "keep"]


def test_hostile_text_runs_nothing(open_as, annotator, db):
    run = make_run("hostile", HOSTILE)
    page = open_as(annotator)
    page.on("dialog", lambda dialog: pytest.fail(f"a script ran: {dialog.message}"))
    asked = []
    page.on("request", lambda request: asked.append(request.url))
    for trace in run.traces.all():
        page.goto(f"/label/{trace.pk}/")
        page.wait_for_selector("[data-label-form]")
        page.keyboard.press("k")
        expect(page.locator("#label-panel")).to_contain_text("Saved.")
    assert not [url for url in asked if "/account/" in url or url.endswith("/x")]
