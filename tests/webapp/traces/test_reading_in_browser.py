"""Reading aids in a real browser: the outline's links and keys, folds in the address, the raw view, the exact prompt."""

import re
from functools import partial

import pytest
from django.urls import reverse
from playwright.sync_api import expect

from tests.webapp.traces import factories as make

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]
MORE = "Some words about it 𝒳\u200b, and more.\n\n" * 40
THINK = (
    f"1. The tens.\n\n{MORE}Wait, that is $odd$.\n\n{MORE}2. The units.\n\n{MORE}However, so \\boxed{{42}}.\n\n{MORE}"
)
PLACE = "[...CSS.highlights.get('place')].map((range) => range.toString())"
TOP = "[...CSS.highlights.get('place')][0].getBoundingClientRect().top / innerHeight"


@pytest.fixture
def open_page(browsing, viewer):
    return partial(browsing.open, viewer)


@pytest.fixture(params=[True, False], ids=["tokens", "text alone"])
def trace(request, db):
    prompt = "<｜begin▁of▁sentence｜><｜User｜>What is\t12 + 30?<｜Assistant｜>"
    problem = make.problem()
    run = make.run(engine=make.engine())
    text = f"<think>{THINK}</think>It is 42."
    made = make.trace(run, problem, text, prompt=prompt, tokens=request.param)
    make.trace(run, problem, text, prompt=prompt, sample_index=1, tokens=request.param)
    return made


def address(trace, query=""):
    return reverse("traces:detail", args=[trace.pk]) + query


def ready(page):
    expect(page.locator("#loading")).to_be_hidden()
    page.wait_for_load_state("networkidle")


@pytest.mark.parametrize("view", ["tokens", "reading", "raw"])
def test_keys_lead_from_mark_to_mark(open_page, trace, view):
    page = open_page(address(trace, f"?view={view}"))
    ready(page)
    page.keyboard.press("w")
    expect(page.locator("#outline-said")).to_have_text("turning word 1 of 2")
    assert page.evaluate(PLACE) == ["Wait"]
    expect(page.locator("#outline [aria-current]")).to_contain_text("Wait, that is")
    page.wait_for_function(f"Math.abs({TOP} - 0.3) < 0.1")
    page.keyboard.press("w")
    assert page.evaluate(PLACE) == ["However"]
    page.wait_for_function(f"Math.abs({TOP} - 0.3) < 0.1")
    page.keyboard.press("w")
    expect(page.locator("#outline-said")).to_have_text("no more of them that way")
    page.keyboard.press("J")
    expect(page.locator("#outline-said")).to_have_text("step 2 of 2")
    page.keyboard.press("W")
    assert page.evaluate(PLACE) == ["Wait"]
    page.evaluate("scrollTo(0, 0)")
    page.keyboard.press("j")  # what was jumped to is out of sight: from here on
    expect(page.locator("#outline-said")).to_have_text(re.compile("step [12] of 2"))
    page.keyboard.press("a")
    assert len(page.evaluate(PLACE)) == 1


def test_a_link_scrolls_and_marks_in_place(open_page, trace):
    page = open_page(address(trace))
    ready(page)
    page.locator("#outline a", has_text="2. The units").click()
    assert page.evaluate(PLACE) == ["2. "]
    page.wait_for_function(f"Math.abs({TOP} - 0.3) < 0.1")
    assert "from=" not in page.url


def test_a_place_on_another_part_is_a_page_away(open_page, trace):
    page = open_page(address(trace, "?pane=2&from=3000"))
    ready(page)
    page.locator("#outline a", has_text="1. The tens").click()
    expect(page).to_have_url(re.compile("from=0"))
    expect(page.locator(".kind-think .words:visible")).to_contain_text("The tens.")


def test_folds_are_remembered_in_the_address(open_page, trace):
    page = open_page(address(trace))
    ready(page)
    page.locator(".pane.kind-think > summary").focus()
    page.keyboard.press("f")
    expect(page.locator(".kind-think .words:visible")).to_have_count(0)
    expect(page).to_have_url(re.compile("fold=think$"))
    page.keyboard.press(".")
    expect(page.locator("h1")).to_have_text("sample 2 of 2")
    expect(page.locator(".kind-think .words:visible")).to_have_count(0)
    ready(page)
    page.keyboard.press("F")
    expect(page.locator("details.pane[open]")).to_have_count(3)
    expect(page).to_have_url(re.compile("fold=prompt$"))
    page.keyboard.press("F")
    expect(page.locator("details.pane[open]")).to_have_count(0)
    page.keyboard.press("w")  # a jump unfolds what it leads to
    assert page.evaluate(PLACE) == ["Wait"]
    expect(page.locator(".kind-think[open]")).to_have_count(1)


def test_the_exact_prompt_by_key(open_page, trace):
    page = open_page(address(trace))
    ready(page)
    view = page.locator("#reader").get_attribute("data-view")
    page.keyboard.press("q")
    prompt = page.locator(".kind-prompt .words.raw")
    expect(prompt).to_be_visible()
    assert prompt.locator(".special").all_text_contents() == [
        "<｜begin▁of▁sentence｜>",
        "<｜User｜>",
        "<｜Assistant｜>",
    ]
    expect(prompt.locator(".mark")).to_have_text("→")
    page.keyboard.press("q")
    expect(page.locator("#reader")).to_have_attribute("data-view", view)
    expect(page.locator(".kind-prompt[open]")).to_have_count(0)


def test_a_trace_is_saved_by_key(open_page, trace):
    page = open_page(address(trace))
    ready(page)
    with page.expect_download() as saved:
        page.keyboard.press("h")
    assert saved.value.suggested_filename == f"trace-{trace.pk}.html"


def test_the_help_lists_every_key(open_page, trace):
    page = open_page(address(trace))
    ready(page)
    page.keyboard.press("?")
    keys = page.locator("#help kbd").all_text_contents()
    assert {"w", "W", "j", "J", "a", "A", "{", "}", "f", "F", "h", "q", "v"} <= set(keys)


def test_on_a_phone_the_outline_is_a_fold(open_page, trace):
    page = open_page(address(trace), width=390, height=844)
    ready(page)
    link = page.locator("#outline a", has_text="Wait, that")
    expect(link).to_be_hidden()
    page.locator("#outline-fold > summary").click()
    link.click()
    assert page.evaluate(PLACE) == ["Wait"]
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
