"""A selection in a real browser: rules, preview, run, export, download, with the real stages at work."""

import json
import zipfile

import pytest
from django.utils import timezone
from playwright.sync_api import expect

from webapp.curation.models import Selection
from webapp.jobs.models import Job
from webapp.traces.actions import add_verdicts
from webapp.traces.models import FinishReason, Trace
from webapp.traces.records import NewVerdict
from workers import stages

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


def work():
    """What a worker does with the newest job."""
    stages.work(Job.objects.order_by("-created_at").first().pk)


def test_from_rules_to_a_file_in_hand(open_as, editor, traces):
    verdicts = [NewVerdict(trace.pk, "exact", "1", "correct" if n else "wrong") for n, trace in enumerate(traces)]
    add_verdicts(verdicts, by=None, at=timezone.now())
    Trace.objects.update(finish_reason=FinishReason.STOP)
    page = open_as(editor)
    page.goto(f"/selections/new/?run={traces[0].run_id}&preset=sft")
    expect(page.locator("#recipe-view")).to_contain_text("At most 4 a problem, drawn at random (seed 0).")
    page.get_by_label("Seed").fill("7")
    page.get_by_label("Seed").blur()
    expect(page.locator("#recipe-view")).to_contain_text("(seed 7)")
    page.get_by_label("At most, a problem").fill("0")
    page.get_by_label("At most, a problem").blur()
    expect(page.locator("#recipe-view")).to_contain_text("cannot be followed")
    page.get_by_label("At most, a problem").fill("2")
    page.get_by_role("button", name="Preview what it keeps").click()

    expect(page.locator(".job")).to_contain_text("waiting")
    work()
    expect(page.locator(".funnel-kept")).to_contain_text("4")  # by polling, without a reload
    assert not Selection.objects.exists()
    page.get_by_label("Name of the selection").fill("first")
    page.get_by_label("Dataset").fill("set")
    page.get_by_role("button", name="Run the selection").click()

    expect(page.locator(".job")).to_contain_text("waiting")
    work()
    page.get_by_role("link", name="set v1").click()
    expect(page.locator("h1")).to_have_text("set v1")
    expect(page.locator(".row-preview").first).to_contain_text("thought")
    assert Selection.objects.get().recipe["seed"] == 7

    page.get_by_role("button", name="Write it Cold start with think (R1 form), JSONL").click()
    expect(page.locator(".job")).to_contain_text("waiting")
    work()
    expect(page.locator("table")).to_contain_text("manifest.json")
    with page.expect_download() as download:
        page.get_by_role("link", name="Download all as a zip").click()
    with zipfile.ZipFile(download.value.path()) as archive:
        folder = "set-v1-cold-start-jsonl"
        assert sorted(archive.namelist()) == [
            f"{folder}/{name}" for name in ("README.md", "manifest.json", "train.jsonl")
        ]
        rows = [json.loads(line) for line in archive.read(f"{folder}/train.jsonl").splitlines()]
    assert len(rows) == 4
    assert rows[0]["completion"][0]["content"].startswith("<think>\nthought ")
