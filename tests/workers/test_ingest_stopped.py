"""Imports that are stopped: between slices, killed in a chunk, cancelled, taken over, at a damaged place."""

import gzip
import time

import pytest

from tests.workers.importing import counts, work
from webapp.jobs import actions as jobs
from webapp.jobs.models import JobState
from webapp.problems.uploads import of_path
from webapp.traces.import_actions import start_trace_import
from webapp.traces.models import Run, Trace
from workers import ingest

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("sent")]


def test_import_goes_on_in_slices(shared_data, monkeypatch):
    monkeypatch.setattr(ingest, "CHUNK_ROWS", 100)
    job = start_trace_import(of_path(shared_data / "groups/groups.jsonl"), by=None, run_name="r")

    job = work(job, deadline=0)
    assert (job.state, Trace.objects.count(), job.args["state"]["position"]) == (JobState.QUEUED, 100, 100)
    job = work(job, deadline=0)
    job = work(job) if job.state == JobState.QUEUED else job
    assert job.state == JobState.DONE
    assert counts(job) == (200, 0, 0)


def test_import_killed_between_chunks_goes_on(shared_data, monkeypatch):
    monkeypatch.setattr(ingest, "CHUNK_ROWS", 60)
    job = start_trace_import(of_path(shared_data / "groups/groups.jsonl"), by=None, run_name="r")
    real = ingest.add_traces
    calls = []

    def dies_at_third(run, samples):
        calls.append(1)
        if len(calls) == 3:
            real(run, samples)
            raise KeyboardInterrupt  # after the rows, before the place in the file
        return real(run, samples)

    monkeypatch.setattr(ingest, "add_traces", dies_at_third)
    with pytest.raises(KeyboardInterrupt):
        work(job)
    assert Trace.objects.count() == 120  # the third chunk was undone as a whole
    job.refresh_from_db()
    jobs.hand_over(job)

    assert counts(work(job)) == (200, 0, 0)
    assert Trace.objects.count() == 200


def test_cancelled_import_keeps_whole_chunks(shared_data, monkeypatch, editor):
    monkeypatch.setattr(ingest, "CHUNK_ROWS", 50)
    job = start_trace_import(of_path(shared_data / "groups/groups.jsonl"), by=editor, run_name="r")
    claimed = jobs.claim(job.pk)
    jobs.cancel(job.pk, by=editor)

    with pytest.raises(jobs.JobStopped):
        ingest.run_traces(claimed, time.monotonic() + 60)
    assert Trace.objects.count() == 50
    jobs.resume(job.pk, by=editor)
    assert counts(work(job)) == (200, 0, 0)


def test_a_job_taken_over_saves_nothing_more(shared_data):
    job = start_trace_import(of_path(shared_data / "groups/groups.jsonl"), by=None, run_name="r")
    mine = jobs.claim(job.pk)
    type(mine).objects.filter(pk=job.pk).update(lease_token="0" * 32)

    with pytest.raises(jobs.JobStopped):
        ingest.run_traces(mine, time.monotonic() + 60)
    assert Trace.objects.count() == 0


def test_damage_in_the_middle_keeps_what_came_before(tmp_path):
    rows = b"".join(b'{"prompt": "Q", "completion": "%d"}\n' % i for i in range(20_000))
    (tmp_path / "cut").write_bytes(gzip.compress(rows, 1)[:40_000])
    job = start_trace_import(of_path(tmp_path / "cut"), by=None, run_name="r")

    with pytest.raises(ValueError, match=r"damaged or cut off.*before that place are imported"):
        work(job)
    assert Trace.objects.count() == Run.objects.get().report["imported"] > 0
