"""Asking and watching in a real browser: an example by click and by key, text that grows, the end without a reload, no script's help."""

import re
from functools import partial

import pytest
from axe_playwright_python.sync_playwright import Axe
from django.core.cache import cache
from django.urls import reverse
from playwright.sync_api import expect

from tests.webapp.runs import EXAMPLES, FACTS, sampled, with_job
from tests.webapp.traces import factories as make
from webapp.jobs.models import Job, JobState

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def store(quiet, tmp_path, settings):
    settings.STORE_URL = f"file://{tmp_path}/store"


@pytest.fixture
def open_page(browsing, editor, store):
    return partial(browsing.open, editor)


def sound(page):
    """No serious fault, and nothing wider than the window."""
    found = [v for v in Axe().run(page).response["violations"] if v["impact"] in {"serious", "critical"}]
    assert [(v["id"], [node["html"][:120] for node in v["nodes"]]) for v in found] == []
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")


@pytest.fixture
def working(engine):
    """A run at work, with its growing text."""
    run = sampled(judged=False)
    job = with_job(run, progress_done=2)
    problem = run.problem_set.problems.first()

    def says(think, answer="", done=0):
        sample = {
            "problem_id": problem.pk, "sample_index": 0, "prompt": "", "text": "", "think": think, "answer": answer, "tokens": 9, "done": False,
        }  # fmt: skip
        state = {
            "samples": [sample],
            "in_batch": 8,
            "done": done,
            "tokens_per_second": 900.0,
            "seconds_left": 5.0,
            "updated": 0,
        }
        cache.set(f"live:{run.pk}", state)

    says("first")
    return run, job, says


def test_an_example_fills_the_box_by_click_and_by_key(open_page, engine):
    page = open_page(reverse("traces:submit"))
    page.locator("label", has_text="a problem set").click()
    expect(page.locator("#id_prompt")).to_be_hidden()
    page.locator("[data-example]").nth(1).click()
    expect(page.locator("#id_prompt")).to_have_value(EXAMPLES[1]["prompt"])
    expect(page.locator("#id_prompt")).to_be_focused()
    page.locator("[data-example]").nth(0).focus()
    page.keyboard.press("Enter")
    expect(page.locator("#id_prompt")).to_have_value(EXAMPLES[0]["prompt"])
    page.keyboard.press("Control+Enter")
    page.wait_for_url(re.compile(r"/runs/\d+/$"))
    expect(page.locator(".run-progress")).to_contain_text("waits for a worker")


def test_an_example_fills_the_box_without_scripts(open_page, engine):
    page = open_page(reverse("traces:submit"), java_script_enabled=False)
    page.locator("[data-example]").nth(1).click()
    expect(page.locator("#id_prompt")).to_have_value(EXAMPLES[1]["prompt"])
    page.locator("#ask-form button.primary").click()
    page.wait_for_url(re.compile(r"/runs/\d+/$"))


def test_another_engine_shows_its_own_card(open_page, engine):
    make.engine("other", facts=FACTS | {"parameters": 77}, description="Something else.")
    page = open_page(reverse("traces:submit"))
    page.locator("#id_engine").select_option(label="other")
    expect(page.locator("#engine-card")).to_contain_text("Something else.")


def test_text_grows_keeps_its_end_in_view_and_the_page_becomes_the_result(open_page, working):
    run, job, says = working
    page = open_page(reverse("traces:run", args=[run.pk]))
    pane = page.locator("#live-think-0")
    expect(pane).to_contain_text("first")
    # asked in the page, in one go: between two questions the poll may replace the pane
    tall = "() => document.querySelector('#live-think-0').getBoundingClientRect().height"
    height = page.evaluate(tall)
    says("line\n" * 80 + "the newest line", "so far", done=3)
    expect(page.locator("#live-answer-0")).to_contain_text("so far")
    expect(page.locator(".run-count")).to_contain_text("3 / 8")
    expect(pane.get_by_text("the newest line")).to_be_in_viewport()
    assert page.evaluate(tall) == height
    assert page.evaluate(
        "() => Math.abs(document.querySelector('#live-think-0').scrollTop) < 2"
    )  # a reversed column counts from its end
    sound(page)
    Job.objects.filter(pk=job.pk).update(state=JobState.DONE, lease_token=None, message="8 samples.")
    expect(page.locator("table.groups")).to_be_visible()
    expect(page.get_by_role("button", name="Verify")).to_be_visible()
    expect(page.get_by_role("button", name="Cancel")).to_have_count(0)
    expect(page.locator("#run-said")).to_contain_text("8 samples.")


def test_cancel_by_button(open_page, working):
    run, job, _says = working
    page = open_page(reverse("traces:run", args=[run.pk]))
    page.get_by_role("button", name="Cancel").click()
    expect(page.locator(".run-progress")).to_contain_text("stopping")
    assert Job.objects.get(pk=job.pk).cancel_requested


@pytest.mark.parametrize("width", [1440, 390])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_pages_are_sound(open_page, engine, width, scheme):
    run = sampled()
    with_job(run, JobState.DONE, result={"tokens": 100, "seconds": 2.0})
    for address in (reverse("traces:runs"), reverse("traces:submit"), reverse("traces:run", args=[run.pk])):
        sound(open_page(address, width=width, color_scheme=scheme))
