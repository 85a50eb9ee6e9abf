"""Group, diff and comparison in a real browser: everything by key, both widths and themes, axe, hostile text."""

import json
import re
from functools import partial

import pytest
from axe_playwright_python.sync_playwright import Axe
from django.core.cache import cache
from django.urls import reverse
from playwright.sync_api import expect

from tests.webapp.traces import factories as make
from webapp.curation.models import Label
from webapp.traces.models import Trace

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]
HOSTILE = "<script>window.hit=1</script><img src=x onerror='window.hit=2'><div hx-get='/traces/' hx-trigger='load'>x</div>\u202e"


@pytest.fixture
def open_page(browsing, annotator):
    cache.clear()
    return partial(browsing.open, annotator)


@pytest.fixture
def group(db, shared_data):
    """Six real samples of one problem, three of them with tokens, and one that is hostile."""
    lines = (shared_data / "groups" / "groups.jsonl").read_text(encoding="utf-8").splitlines()
    rows = [json.loads(line) for line in lines[:6]]
    run, problem = make.run(), make.problem(rows[0]["problem"], rows[0]["gold"])
    for n, row in enumerate(rows):
        said = re.search(r"<answer>(.*?)</answer>", row["raw"], re.DOTALL)
        trace = make.trace(run, problem, row["raw"], sample_index=n, tokens="plain" if n < 3 else False)
        make.verdict(trace, "correct" if row["upstream_correct"] else "wrong", extracted=said[1] if said else "")
    make.trace(run, problem, f"<think>{HOSTILE}</think>{HOSTILE}", sample_index=6)
    return run, problem


@pytest.fixture
def address(group):
    return reverse("traces:group", args=[group[0].pk, group[1].pk])


def settled(page):
    page.wait_for_function("!document.querySelector('.htmx-request')")


def test_samples_are_walked_and_labelled_by_key(open_page, address):
    page = open_page(address)
    samples = page.locator(".sample")
    expect(samples).to_have_count(7)
    page.keyboard.press(".")
    page.keyboard.press(".")
    expect(page.locator(".sample").nth(1).locator("[data-sample]")).to_be_focused()
    page.keyboard.press("k")
    expect(samples.nth(1).locator("[data-key='k']")).to_have_attribute("aria-pressed", "true")
    expect(samples.nth(1).locator("[data-sample]")).to_be_focused()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("r")
    page.keyboard.press("u")  # while the first may still be on its way
    expect(samples.nth(2).locator("[data-key='u']")).to_have_attribute("aria-pressed", "true")
    settled(page)
    told = {trace.sample_index: trace.label for trace in Trace.objects.exclude(label="")}
    assert told == {1: "keep", 2: "unsure"}
    assert [label.value for label in Label.objects.order_by("pk")] == ["keep", "reject", "unsure"]
    page.keyboard.press("?")
    expect(page.locator("#help")).to_be_visible()
    page.keyboard.press("Escape")
    assert page.evaluate("window.hit") is None
    page.locator("[data-sample]").nth(2).focus()
    page.keyboard.press("Enter")
    page.wait_for_url(re.compile(r"/traces/\d+/"))


def test_two_are_chosen_by_key_and_shown_word_by_word(open_page, address):
    page = open_page(address)
    expect(page.locator("#diff-form button")).to_be_disabled()
    page.keyboard.press("d")
    expect(page).to_have_url(re.compile(f"{address}$"))
    for key in (".", "x", ".", "x", ".", "x"):  # the third lets go of the first
        page.keyboard.press(key)
    expect(page.locator(".sample.chosen")).to_have_count(2)
    expect(page.locator(".sample").first).not_to_have_class(re.compile("chosen"))
    page.keyboard.press("d")
    page.wait_for_url(re.compile("/traces/diff/"))
    expect(page.locator("h2").first).to_have_text("sample 2")
    expect(page.locator(".diff-side mark").first).to_be_visible()
    page.keyboard.press("n")
    expect(page.locator("[data-change='1'].current").first).to_be_visible()
    page.keyboard.press("n")
    page.keyboard.press("p")
    expect(page.locator(".current").first).to_have_attribute("data-change", "1")
    page.keyboard.press("f")
    expect(page.locator("#prefix pre")).to_be_visible()
    page.keyboard.press("2")
    page.wait_for_url(re.compile(r"/traces/\d+/\?token=\d+"))
    page.go_back()
    page.keyboard.press("g")
    page.wait_for_url(re.compile(address))


def test_hostile_text_in_a_diff_does_nothing(open_page, group):
    ids = [trace.pk for trace in Trace.objects.order_by("-sample_index")[:2]]
    page = open_page(reverse("traces:diff") + f"?s={ids[0]}&s={ids[1]}")
    expect(page.locator(".diff-side").first).to_contain_text("window.hit=1")
    assert page.evaluate("window.hit") is None


@pytest.mark.parametrize("width", [390, 1440])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_and_no_page_wider_than_its_window(open_page, group, address, scheme, width):
    run, problem = group
    later = make.run("later")
    for n in range(2):
        make.verdict(make.trace(later, problem, "42", sample_index=n), "correct")
    ids = [trace.pk for trace in Trace.objects.filter(run=run).order_by("sample_index")[:2]]
    diff = reverse("traces:diff") + f"?s={ids[0]}&s={ids[1]}"
    compare = reverse("traces:compare") + f"?a={run.pk}&b={later.pk}"
    page = open_page(width=width, color_scheme=scheme)
    for each in (address, diff, compare):
        page.goto(each)
        faults = [v for v in Axe().run(page).response["violations"] if v["impact"] in {"serious", "critical"}]
        assert faults == [], [(v["id"], [n["html"][:160] for n in v["nodes"]]) for v in faults]
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth + 1"), each


def test_without_scripts_samples_can_be_read_chosen_and_labelled(open_page, address):
    page = open_page(address, java_script_enabled=False)
    expect(page.locator(".sample").first).to_contain_text("sample 1")
    page.locator(".sample").nth(1).get_by_role("button", name="Keep").click()
    expect(page).to_have_url(re.compile(r"#sample-2$"))
    expect(page.locator("#sample-2 [aria-pressed='true']")).to_have_text(re.compile("Keep"))
    for n in (0, 1):
        page.locator("input[name='s']").nth(n).check()
    page.locator("#diff-form button").click()
    expect(page.locator("h1")).to_have_text("Two samples word by word")
