"""Every overlay in a real browser: what is drawn beneath the words, what the legend and the inspector say of it, the map."""

import dataclasses
import re
from functools import partial

import numpy as np
import pytest
from django.urls import reverse
from playwright.sync_api import expect

from tests.webapp.traces import factories as make
from tests.webapp.traces.pictures import LINE, MIDDLE, PICTURE
from webapp.traces import tokenstore

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]
TEXT = (
    "<think>First 12 tens 中文 слово かな ok.\n" + "And again the same, again the same.\n" * 12 + "Then some more words about it.\n" * 3
    + "".join(f"Line {n} has its own number {n * n}.\n" for n in range(40)) + "</think>It is 42."
)  # fmt: skip


@pytest.fixture
def open_page(browsing, viewer):
    return partial(browsing.open, viewer)


@pytest.fixture
def trace(db):
    return make.trace(make.run(engine=make.engine()), make.problem(), TEXT, tokens=True, finish="length")


@pytest.fixture
def known(trace):
    """The same trace in a store that knows everything: groups, what the router weighed, what was drafted."""
    arrays = tokenstore.read(trace.store_path, trace.store_row_group, trace.store_tokens)
    n = len(arrays)
    rng = np.random.default_rng(0)
    arrays = dataclasses.replace(
        arrays, accepted=np.arange(n) % 3 == 0, routing_entropy=rng.random((n, 3)).astype(np.float16),
        routing_margin=rng.random((n, 3)).astype(np.float16), swapped=rng.integers(0, 2, (n, 3)).astype(np.uint8),
        open_groups=np.full((n, 3), 0b101, dtype=np.uint32),
    )  # fmt: skip
    meta = tokenstore.ShardMeta(make.LAYERS, make.EXPERTS, make.TOP_K, "factories", n_group=4)
    place = tokenstore.write_shard("runs/known.parquet", [arrays], meta)[0]
    trace.store_path, trace.store_row_group = place.path, place.row_group
    trace.save()
    return trace


def address(trace, query=""):
    return reverse("traces:detail", args=[trace.pk]) + query


def shown(page, overlay):
    """Choose an overlay and wait until the text's first screen is painted with it."""
    page.evaluate("performance.clearMarks()")
    page.select_option("#overlay", overlay)
    page.wait_for_function("() => performance.getEntriesByName('viewer-painted').length > 0")


SAID = {
    "topk": "e", "gate": "strongest expert, 0 to", "change": "0 to 2 experts", "group": "g0", "open_groups": "g2",
    "routing_entropy": "a router less certain", "routing_margin": "deeper is closer", "swapped": "only through the bias",
    "logprob": "less likely", "entropy": "80th percentile", "accepted": "drafted and accepted", "script": "Cyrillic", "segment": "think",
    "finding": "cut off", "loop": "three times in a row",
}  # fmt: skip


def test_each_overlay_draws_its_own_picture_and_says_what_it_means(open_page, known):
    page = open_page(address(known))
    expect(page.locator("#legend .chip").first).to_be_visible()
    pictures = {"expert": page.evaluate(PICTURE, ".pane.kind-think")}
    for overlay, said in SAID.items():
        shown(page, overlay)
        expect(page.locator("#legend")).to_contain_text(said)
        expect(page).to_have_url(re.compile(f"overlay={overlay}"))
        pictures[overlay] = page.evaluate(PICTURE, ".pane.kind-think")
    shown(page, "none")
    pictures["none"] = page.evaluate(PICTURE, ".pane.kind-think")
    expect(page.locator("#legend")).to_have_text("")
    assert (
        len(set(pictures.values())) == len(pictures) - 1
    )  # the only finding is in the answer, so that one is as "nothing" here
    assert page.locator("#overlay option[hidden]").count() == 0


def test_only_what_the_store_knows_is_on_offer(open_page, trace):
    page = open_page(address(trace, "?overlay=swapped"))
    expect(page.locator("#legend .chip").first).to_be_visible()
    expect(page.locator("#overlay")).to_have_value("expert")
    hidden = page.locator("#overlay option[hidden]").evaluate_all("all => all.map((option) => option.value)")
    assert set(hidden) == {"group", "open_groups", "routing_entropy", "routing_margin", "swapped", "accepted"}


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_category_has_the_colour_of_its_chip(open_page, trace, scheme):
    page = open_page(address(trace), color_scheme=scheme, forgiven=["getImageData"])
    expect(page.locator("#legend .chip").first).to_be_visible()
    shown(page, "script")
    for word, name in (("First", "Latin"), ("12", "digits"), ("中", "Han"), ("слово", "Cyrillic"), ("かな", "Kana")):
        chip = page.locator("#legend .chip", has_text=re.compile(f"^{name}"))
        assert page.evaluate(LINE, [".pane.kind-think", word]) == chip.evaluate(
            "(chip) => getComputedStyle(chip).borderBottomColor"
        )
    shown(page, "segment")
    chip = page.locator("#legend .chip", has_text="think")
    assert page.evaluate(LINE, [".pane.kind-think", "First"]) == chip.evaluate(
        "(chip) => getComputedStyle(chip).borderBottomColor"
    )


def test_a_loop_is_marked_and_nothing_else(open_page, trace):
    page = open_page(address(trace, "?overlay=loop"), forgiven=["getImageData"])
    expect(page.locator("#legend .chip")).to_contain_text("three times")
    assert page.evaluate(LINE, [".pane.kind-think", "again"]) != ""
    assert page.evaluate(LINE, [".pane.kind-think", "First"]) == ""


def test_another_theme_repaints(open_page, trace):
    page = open_page(address(trace), color_scheme="light")
    expect(page.locator("#legend .chip").first).to_be_visible()
    before = page.evaluate(PICTURE, ".pane.kind-think")
    page.emulate_media(color_scheme="dark")
    page.wait_for_function(f"(before) => ({PICTURE})('.pane.kind-think') !== before", arg=before)


def test_the_inspector_says_what_the_overlay_shows(open_page, known):
    page = open_page(address(known, "?overlay=script"))
    expect(page.locator("#legend .chip").first).to_be_visible()
    page.mouse.click(*page.evaluate(MIDDLE, [".pane.kind-think", "12"]))
    expect(page.locator("[data-slot=shown]")).to_have_text("script: digits")
    shown(page, "swapped")
    expect(page.locator("[data-slot=shown]")).to_have_text(re.compile(r"^swapped by the bias: [01]$"))
    expect(page.locator(".routing tr").first).to_contain_text("groups 0 2")


def test_the_map_leads_through_the_trace(open_page, trace):
    page = open_page(address(trace), height=700)
    expect(page.locator("#legend .chip").first).to_be_visible()
    map_ = page.locator("#map")
    expect(map_.locator(".map-sight")).to_be_visible()
    box = map_.bounding_box()
    page.mouse.click(box["x"] + 20, box["y"] + box["height"] - 1)
    expect(page.locator(".pane.kind-answer")).to_be_in_viewport()
    page.keyboard.press("m")
    expect(map_).to_be_focused()
    page.keyboard.press("Home")
    page.keyboard.press("PageDown")
    expect(page.locator(".pane.kind-think summary")).to_be_in_viewport()
    expect(map_).to_have_attribute("aria-valuetext", re.compile(r"^token \d+ of"))
    picture = page.evaluate(PICTURE, "#map")
    shown(page, "change")
    page.wait_for_function(f"(before) => ({PICTURE})('#map') !== before", arg=picture)


def test_on_a_phone_there_is_no_map(open_page, trace):
    page = open_page(address(trace), width=390, height=844)
    expect(page.locator("#legend .chip").first).to_be_visible()
    expect(page.locator("#map")).to_be_hidden()
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
