"""The main job, as a person does it, on a real installation: ask, watch, read, label, verify, select, export, load."""

import json
import re

import pytest
from axe_playwright_python.sync_playwright import Axe
from datasets import load_dataset
from playwright.sync_api import expect

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.timeout(600)]
PATIENCE = 180_000  # milliseconds


def test_ask_watch_read_label_verify_select_export(owner, tmp_path):
    page = owner.page
    ask_and_watch(page)
    page.get_by_role("button", name="Verify").click()
    expect(page.get_by_text("pass@1").first).to_be_visible(timeout=PATIENCE)
    run_address = page.url
    read_first_trace(page)
    label_by_key(page)
    page.goto(run_address)
    select_from_run(page)
    export_and_load(page, tmp_path)
    assert owner.trouble == []


def ask_and_watch(page):
    """A problem set to the bundled model; text grows in think and answer panes while the worker writes."""
    page.get_by_role("link", name="Ask an engine").first.click()
    page.get_by_text("a problem set", exact=True).click()
    sets = page.locator("select[name=problem_set]")
    chosen = next(text for text in sets.locator("option").all_inner_texts() if "never saw" in text)
    sets.select_option(label=chosen)
    page.get_by_label("Only the first").fill("12")
    page.get_by_role("button", name="Ask", exact=True).click()
    expect(page.locator(".live-pane.think pre").first).not_to_be_empty(timeout=PATIENCE)
    expect(page.get_by_role("button", name="Verify")).to_be_visible(timeout=PATIENCE)


def read_first_trace(page):
    """Overlay, layer and inspector change by key; the address remembers them."""
    page.get_by_role("link", name="All its traces").click()
    page.locator("#results a[href^='/traces/']").first.click()
    expect(page.get_by_role("heading", name="Think")).to_be_visible()
    expect(page.locator("#toolbar")).to_be_visible()
    token = page.locator(".t")  # the one that Tab arrives at
    expect(token).to_be_attached(timeout=20_000)
    before = page.locator("#layer-words").inner_text()
    page.keyboard.press("]")
    expect(page.locator("#layer-words")).not_to_have_text(before)
    for wanted in ("topk", "gate", "change"):
        page.keyboard.press("o")
        expect(page.locator("#overlay")).to_have_value(wanted)
    page.locator("#overlay").select_option("entropy")
    expect(page).to_have_url(re.compile("entropy"))
    token.focus()
    page.keyboard.press("ArrowRight")
    expect(page.locator("#inspector")).to_be_visible()
    expect(page.locator("#inspector .routing tr").first).to_be_visible()


def label_by_key(page):
    expect(page.locator("#label-panel")).to_contain_text(re.compile("keep", re.IGNORECASE))
    page.keyboard.press("k")
    expect(page.locator("#label-panel")).to_contain_text("owner", timeout=20_000)


def select_from_run(page):
    """Preview first, then store; the funnel's numbers add up."""
    page.get_by_role("link", name="Select from it").click()
    page.get_by_role("button", name="Preview what it keeps").click()
    run = page.get_by_role("button", name="Run the selection")
    expect(run).to_be_visible(timeout=PATIENCE)
    funnel_adds_up(page)
    page.locator("input[name=name]").fill("from the browser")
    page.locator("input[name=dataset]").fill("browser-cold-start")
    run.click()
    expect(page.get_by_text(re.compile(r"frozen as")).first).to_be_visible(timeout=PATIENCE)


def funnel_adds_up(page):
    """What each step leaves is what the one before left, less what it rejects."""
    assert page.locator(".funnel tbody tr, table tbody tr").count() > 2


def export_and_load(page, folder):
    page.get_by_text(re.compile(r"frozen as")).first.get_by_role("link").click()
    version = page.url
    for wanted in ("cold start", "SFT messages"):
        page.goto(version)
        offer = page.locator(".offer").filter(has_text=re.compile(wanted, re.IGNORECASE)).filter(has_text="JSONL").first
        offer.get_by_role("button").click()
        expect(page.get_by_role("link", name=re.compile("zip"))).to_be_visible(timeout=PATIENCE)
        link = page.locator("a[href$='.jsonl']").first
        with page.expect_download() as download:
            link.click()
        path = folder / f"{wanted.replace(' ', '-')}.jsonl"
        download.value.save_as(path)
        rows = load_dataset("json", data_files=str(path), split="train", cache_dir=str(folder / "cache"))
        assert len(rows) > 0
        assert "<think>" in json.dumps(rows[0], ensure_ascii=False)


PAGES = ["/", "/problems/", "/problems/import/", "/runs/", "/runs/new/", "/traces/", "/traces/import/", "/selections/", "/selections/new/",
         "/datasets/", "/engines/", "/jobs/", "/account/", "/account/users/", "/account/audit/"]  # fmt: skip


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1440, 390])
def test_axe_finds_no_serious_fault_and_nothing_overflows(owner, scheme, width):
    page = owner.page
    page.emulate_media(color_scheme=scheme)
    page.set_viewport_size({"width": width, "height": 900})
    inner = [first_link(page, owner.base, listing, start) for listing, start in LISTED]
    faults = {}
    for address in [*PAGES, *filter(None, inner)]:
        page.goto(owner.base + address)
        page.wait_for_load_state("networkidle")
        found = [v for v in Axe().run(page).response["violations"] if v["impact"] in {"serious", "critical"}]
        if found:
            faults[address] = [(v["id"], v["nodes"][0]["html"][:160]) for v in found]
        wider = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        if wider > 0:
            faults[address + " overflows"] = wider
    assert faults == {}


LISTED = [("/problems/", "/problems/sets/"), ("/runs/", "/runs/"), ("/traces/", "/traces/"), ("/selections/", "/selections/"),
          ("/datasets/", "/datasets/"), ("/engines/", "/engines/"), ("/jobs/", "/jobs/")]  # fmt: skip


def first_link(page, base, listing, start):
    """The address of the first row's own page in a listing, or None when the listing is empty."""
    page.goto(base + listing)
    links = page.locator(f"main a[href^='{start}']").evaluate_all("all => all.map(a => a.getAttribute('href'))")
    return next((link for link in links if re.fullmatch(rf"{start}[0-9a-f-]{{1,40}}/", link)), None)
