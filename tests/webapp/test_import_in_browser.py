"""The import pages in a real browser: a file dropped, progress, the way without JavaScript, hostile rows, narrow pages."""

import json
from functools import partial

import pytest
from axe_playwright_python.sync_playwright import Axe
from django.urls import reverse
from playwright.sync_api import expect

from tests.webapp.importing import work
from webapp.jobs.models import Job
from webapp.traces.models import Trace

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("sent")]
HOSTILE = "<think><img src=x onerror='window.hit=1'><div hx-get='/jobs/' hx-trigger='load'>x</div></think>{{ 7|add:7 }}"
DROP = """text => {
    const data = new DataTransfer();
    data.items.add(new File([text], "dropped <i>.jsonl"));
    return data;
}"""


@pytest.fixture
def open_page(browsing, editor):
    """Open the import page of traces as an editor."""
    refused = "status of 422"  # a refused form is meant
    return partial(browsing.open, editor, reverse("traces:import"), forgiven=[refused])


def newest():
    return Job.objects.latest("created_at")


def drop(page, text):
    data = page.evaluate_handle(DROP, text)
    page.dispatch_event("[data-dropzone]", "dragenter", {"dataTransfer": data})
    expect(page.locator(".dropzone.over")).to_be_visible()
    page.dispatch_event("[data-dropzone]", "drop", {"dataTransfer": data})


def test_drop_look_import(open_page):
    page = open_page()
    drop(page, json.dumps({"prompt": "1+1?", "completion": HOSTILE, "answer": "2"}) + "\n{broken\n")
    expect(page.get_by_text("Waiting for a worker")).to_be_visible()
    work(newest())

    expect(page.locator(".import-segment.think")).to_contain_text("<img src=x onerror")
    expect(page.get_by_role("cell", name="not JSON")).to_be_visible()
    page.get_by_label("Run").fill("dropped run")
    page.get_by_role("button", name="Import 1 row").click()
    expect(page.locator(".card.job progress")).to_be_visible()
    work(newest())
    expect(page.get_by_text("1 imported, 0 duplicates, 1 rejected")).to_be_visible()
    assert page.evaluate("window.hit") is None
    assert Trace.objects.get().completion == HOSTILE
    page.get_by_role("link", name="Run dropped run").click()
    expect(page.get_by_role("heading", name="dropped run")).to_be_visible()


def test_without_javascript(open_page, tmp_path):
    page = open_page(java_script_enabled=False)
    file = tmp_path / "plain.jsonl"
    file.write_text('{"prompt": "1+1?", "completion": "2"}\n')
    page.get_by_label("Drop a file here").set_input_files(file)
    page.get_by_role("button", name="See what is in it").click()
    work(newest())
    page.get_by_role("button", name="Import 1 row").click(timeout=8_000)  # the page renews itself
    work(newest())

    expect(page.get_by_text("1 imported, 0 duplicates, 0 rejected")).to_be_visible(timeout=8_000)


def test_too_large_a_file_is_not_sent(open_page, settings):
    settings.MAX_UPLOAD_BYTES = 1_000
    page = open_page()
    asked = []
    page.on("request", lambda request: asked.append(request.method))
    drop(page, "x" * 2_000)

    expect(page.get_by_text("larger than this installation accepts")).to_be_visible()
    assert "POST" not in asked


def test_words_of_a_refusal_stay_on_the_page(open_page):
    page = open_page()
    drop(page, "")

    expect(page.get_by_text("The file is empty")).to_be_visible()


@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (390, "dark")])
def test_no_serious_fault_and_no_sideways_scrolling(open_page, shared_data, width, scheme):
    page = open_page(width=width, color_scheme=scheme)
    pages = [page.url]
    page.set_input_files("#id_file", shared_data / "malformed/malformed.jsonl")
    page.get_by_role("button", name="See what is in it").click()
    expect(page.get_by_text("Waiting for a worker")).to_be_visible()
    work(newest())
    expect(page.locator(".import-row")).to_have_count(6)
    for _ in range(2):
        pages.append(page.url)
        faults = [v["id"] for v in Axe().run(page).response["violations"] if v["impact"] in {"serious", "critical"}]
        assert faults == []
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        if page.get_by_role("button", name="Import 147 rows").count():
            page.get_by_role("button", name="Import 147 rows").click()
            page.wait_for_url("**/report/")
            work(newest())
            expect(page.locator(".figures")).to_be_visible()
    assert len(set(pages)) == 3
