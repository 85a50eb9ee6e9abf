"""The helper that commands share: in this process or queued, progress, failure, Ctrl-C."""

import io

import pytest
from django.core.management.base import CommandError, OutputWrapper

from webapp.jobs import actions as jobs
from webapp.jobs.models import Job, JobKind, JobState
from workers import command

pytestmark = pytest.mark.django_db(transaction=True)


def create():
    return jobs.create(JobKind.VERIFY, title="judge", by=None, args={}, queue="default", total=2, unit="traces")


@pytest.fixture
def stderr():
    return OutputWrapper(io.StringIO())


def text(wrapper):
    return wrapper._out.getvalue()


def test_runs_the_stage_here_and_returns_the_ended_job(sent, stderr):
    def stage(job, deadline):
        jobs.progress(job, done=2)
        job.result = {"n": 2}
        return True

    job = command.run_command(create, stage, queue=False, stderr=stderr)
    assert (job.state, job.result, job.progress_done) == (JobState.DONE, {"n": 2}, 2)
    assert sent == []


def test_queue_leaves_it_to_the_workers(sent, stderr):
    job = command.run_command(create, None, queue=True, stderr=stderr)
    assert (job.state, sent) == (JobState.QUEUED, [(job.pk, "default")])
    assert "waits for a worker" in text(stderr)


def test_shows_progress_while_it_works(sent, stderr, monkeypatch):
    monkeypatch.setattr(command, "LINE_EVERY", 0)

    def stage(job, deadline):
        jobs.progress(job, done=1, message="reading")
        return True

    command.run_command(create, stage, queue=False, stderr=stderr)
    assert text(stderr).splitlines() == ["1 of 2 traces (50%), 0 s  reading"]


def test_redraws_one_line_on_a_terminal(sent, stderr, monkeypatch):
    monkeypatch.setattr(command, "REDRAW_EVERY", 0)
    monkeypatch.setattr(stderr._out, "isatty", lambda: True, raising=False)

    def stage(job, deadline):
        jobs.progress(job, done=1, message="a long message")
        jobs.progress(job, done=2, message="short")
        return True

    command.run_command(create, stage, queue=False, stderr=stderr)
    first, second = text(stderr).removeprefix("\r").split("\r")
    assert first == "1 of 2 traces (50%), 0 s  a long message"
    assert second.rstrip() == "2 of 2 traces (100%), 0 s  short"
    assert len(second.rstrip("\n")) >= len(first)
    assert second.endswith("\n")


def test_failure_is_a_command_error_and_a_failed_job(sent, stderr):
    def stage(job, deadline):
        raise ValueError("no such file")

    with pytest.raises(CommandError, match="no such file"):
        command.run_command(create, stage, queue=False, stderr=stderr)
    assert (Job.objects.get().state, Job.objects.get().message) == (JobState.FAILED, "no such file")


def test_what_cannot_be_created_leaves_no_job(sent, stderr):
    def refuse():
        create()
        raise ValueError("the name is taken")

    with pytest.raises(CommandError, match="the name is taken"):
        command.run_command(refuse, None, queue=False, stderr=stderr)
    assert not Job.objects.exists()


def test_ctrl_c_leaves_a_job_that_can_be_resumed(sent, stderr, editor):
    def stage(job, deadline):
        raise KeyboardInterrupt

    with pytest.raises(CommandError, match="Stopped by hand"):
        command.run_command(create, stage, queue=False, stderr=stderr)
    job = Job.objects.get()
    assert job.state == JobState.CANCELLED
    assert jobs.resume(job.pk, by=editor)


def test_cancel_from_a_page_stops_the_command(sent, stderr, editor):
    def stage(job, deadline):
        jobs.cancel(job.pk, by=editor)
        jobs.progress(job, done=1)
        return True

    with pytest.raises(CommandError, match="cancelled or taken over"):
        command.run_command(create, stage, queue=False, stderr=stderr)
    assert Job.objects.get().state == JobState.CANCELLED
