"""Charts, the routing page and an expert's card in a real browser: axe, both widths and themes, keys, from a chart to a token."""

import re
from functools import partial

import pytest
from axe_playwright_python.sync_playwright import Axe
from django.core.cache import cache
from django.urls import reverse
from playwright.sync_api import expect

from tests.webapp.traces import factories as make
from webapp.traces import routing_counting

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]
TEXT = "<think>" + "12 and 30, then some more.\n" * 40 + "</think>It is 42."


@pytest.fixture
def open_page(browsing, viewer):
    cache.clear()
    return partial(browsing.open, viewer)


@pytest.fixture
def run(db):
    run, problems = (
        make.run(engine=make.engine(), problem_set=make.problem_set()),
        [make.problem(f"{n}?") for n in range(3)],
    )
    for place, problem in enumerate(problems):
        for n in range(4):
            trace = make.trace(run, problem, TEXT[: 600 + 90 * n * (place + 1)], sample_index=n, tokens=True)
            if n:
                make.verdict(trace, "correct" if n > place else "wrong")
    make.trace(run, problems[0], TEXT, sample_index=9, tokens=True)
    return run


def sound(page):
    found = [v for v in Axe().run(page).response["violations"] if v["impact"] in {"serious", "critical"}]
    assert [(v["id"], [node["html"][:160] for node in v["nodes"]]) for v in found] == []
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")


def press(page, key):
    """Press `key` when the page's modules listen: they run before it has loaded."""
    page.wait_for_load_state("load")
    page.keyboard.press(key)


@pytest.mark.parametrize(("width", "scheme"), [(1440, "light"), (1440, "dark"), (390, "light"), (390, "dark")])
def test_pages_are_sound(open_page, run, width, scheme):
    last = run.traces.order_by("-pk").first()
    for address in (
        reverse("traces:run", args=[run.pk]),
        reverse("traces:routing", args=[last.pk]),
        reverse("traces:expert", args=[run.pk]) + "?layer=2&expert=3",
    ):
        page = open_page(address, width=width, color_scheme=scheme)
        expect(page.locator(".bars rect").first).to_be_attached()
        sound(page)


def test_from_a_runs_chart_to_a_token(open_page, run):
    page = open_page(reverse("traces:run", args=[run.pk]))
    page.locator("#chart-expert-load tbody a").nth(1).click()
    expect(page.locator("h1")).to_have_text(re.compile(r"Expert \d+ of layer 2"))
    press(page, "]")
    expect(page.locator("h1")).to_have_text(re.compile(r"Expert \d+ of layer 3"))
    page.locator(".example").first.click()
    expect(page).to_have_url(re.compile(r"/traces/\d+/\?overlay=gate&layer=3&expert=\d+&token=\d+"))
    expect(page.locator("#overlay")).to_have_value("gate")


def test_routing_page_counts_on_and_changes_layer(open_page, run, monkeypatch):
    monkeypatch.setattr(routing_counting, "WINDOW", 128)
    monkeypatch.setattr(routing_counting, "SECONDS", 0)
    last = run.traces.order_by("-pk").first()
    page = open_page(reverse("traces:detail", args=[last.pk]))
    page.locator(f"a[href='{reverse('traces:routing', args=[last.pk])}']").click()
    expect(page.locator("#layers-title")).to_be_visible()
    expect(page.locator("tr.chosen th")).to_have_text("1")
    page.locator("th a", has_text="3").first.click()
    expect(page.locator("tr.chosen th")).to_have_text("3")
    press(page, "[")
    expect(page.locator("tr.chosen th")).to_have_text("2")
    press(page, "]")
    expect(page.locator("tr.chosen th")).to_have_text("3")
    page.locator(".expert-grid a").nth(2).click()
    expect(page).to_have_url(re.compile(r"overlay=gate&layer=3&expert=2"))


def test_without_script_the_same_can_be_read(open_page, run, monkeypatch):
    monkeypatch.setattr(routing_counting, "WINDOW", 400)
    monkeypatch.setattr(routing_counting, "SECONDS", 0)
    last = run.traces.order_by("-pk").first()
    page = open_page(reverse("traces:routing", args=[last.pk]), java_script_enabled=False)
    assert page.locator("noscript a").count() == 1  # it has been counted in part
    page.locator("noscript a").click()
    expect(page.locator("#layers-title")).to_be_visible()


def test_a_chart_is_saved(open_page, run):
    page = open_page(reverse("traces:run", args=[run.pk]))
    for form in ("CSV", "SVG"):
        with page.expect_download() as saved:
            page.locator("#chart-lengths .chart-save a", has_text=form).click()
        assert saved.value.suggested_filename == f"first-run-lengths.{form.lower()}"
