"""Every transition of a job: who may take it, what it counts, how it ends, and what a lost, doubled or late message costs."""

from datetime import timedelta

import pytest
from django.db import transaction
from django.utils import timezone

from webapp import dispatch
from webapp.accounts.models import AuditEvent
from webapp.jobs import actions as jobs
from webapp.jobs.models import Job, JobKind, JobState

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def messages(sent):
    return sent


def create(**kwargs):
    fields = {"title": "work", "by": None, "args": {"x": 1}, "queue": "default", "total": 4, "unit": "pieces"} | kwargs
    return jobs.create(JobKind.VERIFY, **fields)


def row(job):
    return Job.objects.get(pk=job.pk)


def fall_silent(job):
    """The holder of the job is gone and its lease has run out."""
    Job.objects.filter(pk=job.pk).update(
        lease_until=timezone.now() - timedelta(seconds=1), due_at=timezone.now() - timedelta(seconds=1)
    )


def test_create_waits_and_sends_on_commit(messages):
    with transaction.atomic():
        job = create()
        assert messages == []
    assert messages == [(job.pk, "default")]
    assert row(job).state == JobState.QUEUED


def test_create_that_is_rolled_back_sends_nothing(messages):
    with transaction.atomic():
        create()
        transaction.set_rollback(True)
    assert messages == []
    assert not Job.objects.exists()


def test_create_claimed_in_its_own_transaction_sends_nothing(messages):
    with transaction.atomic():
        assert jobs.claim(create().pk)
    assert messages == []


def test_claim_takes_once():
    job = create()
    held = jobs.claim(job.pk)

    assert (held.state, held.attempts) == (JobState.RUNNING, 1)
    assert held.lease_until > timezone.now()
    assert held.started_at
    assert jobs.claim(job.pk) is None
    assert jobs.claim(str(job.pk)) is None
    assert row(job).attempts == 1


@pytest.mark.parametrize("state", [JobState.DONE, JobState.FAILED, JobState.CANCELLED])
def test_claim_leaves_what_has_ended(state):
    job = create()
    Job.objects.filter(pk=job.pk).update(state=state)
    assert jobs.claim(job.pk) is None


def test_claim_of_an_unknown_job_is_nothing():
    assert jobs.claim("00000000-0000-0000-0000-000000000000") is None


def test_claim_takes_over_from_a_silent_holder_who_then_loses():
    job = create()
    first = jobs.claim(job.pk)
    fall_silent(job)
    second = jobs.claim(job.pk)

    assert second.lease_token != first.lease_token
    assert second.attempts == 2
    assert second.started_at == row(job).started_at
    with pytest.raises(jobs.JobStopped):
        jobs.progress(first, done=1)
    assert jobs.finish(first, result={"from": "first"}) is False
    assert jobs.fail(first, "no") is False
    jobs.hand_over(first)
    jobs.progress(second, done=2)
    assert (row(job).state, row(job).progress_done) == (JobState.RUNNING, 2)


def test_progress_saves_renews_and_shows():
    job = jobs.claim(create().pk)
    fall_silent(job)
    seen = []
    with jobs.watched(lambda j: seen.append((j.progress_done, j.progress_total, j.message))):
        jobs.progress(job, done=3, total=9, message="third", result={"so far": 3})
    jobs.progress(job, done=4)
    now = row(job)

    assert seen == [(3, 9, "third")]
    assert (now.progress_done, now.progress_total, now.message, now.result) == (4, 9, "third", {"so far": 3})
    assert now.lease_until > timezone.now()


def test_finish_keeps_result_and_words():
    job = jobs.claim(create().pk)
    assert jobs.finish(job, result={"n": 4}, message="four")
    now = row(job)

    assert (now.state, now.result, now.message, now.lease_token) == (JobState.DONE, {"n": 4}, "four", None)
    assert now.finished_at
    assert now.is_finished


def test_fail_keeps_what_was_done():
    job = jobs.claim(create().pk)
    jobs.progress(job, done=2, result={"n": 2})
    assert jobs.fail(job, "the file is damaged at line 3")
    assert (row(job).state, row(job).result, row(job).progress_done) == (JobState.FAILED, {"n": 2}, 2)
    assert row(job).message == "the file is damaged at line 3"


def test_hand_over_costs_no_attempt_and_sends_again(messages):
    job = create()
    for _ in range(5):
        jobs.hand_over(jobs.claim(job.pk))
    now = row(job)

    assert (now.state, now.attempts, now.lease_token) == (JobState.QUEUED, 0, None)
    assert len(messages) == 6


def test_cancel_of_a_waiting_job_ends_it(editor):
    job = create()
    assert jobs.cancel(job.pk, by=editor)
    assert row(job).state == JobState.CANCELLED
    assert "emmy" in row(job).message
    assert jobs.claim(job.pk) is None
    assert jobs.cancel(job.pk, by=editor) is False
    assert AuditEvent.objects.filter(action="job.cancelled", by=editor).count() == 1


def test_cancel_of_a_running_job_stops_it_at_its_next_step(editor):
    job = jobs.claim(create().pk)
    assert jobs.cancel(job.pk, by=editor)
    assert (row(job).state, row(job).cancel_requested) == (JobState.RUNNING, True)
    with pytest.raises(jobs.JobStopped):
        jobs.progress(job, done=3)
    assert (row(job).state, row(job).progress_done, row(job).lease_token) == (JobState.CANCELLED, 0, None)
    assert "emmy" in row(job).message


def test_cancel_between_the_last_step_and_hand_over_is_not_forgotten(editor, messages):
    job = jobs.claim(create().pk)
    jobs.cancel(job.pk, by=editor)
    jobs.hand_over(job)
    assert row(job).state == JobState.CANCELLED
    assert len(messages) == 1


def test_cancel_of_a_job_whose_holder_is_gone_is_done_by_the_reaper(editor):
    job = jobs.claim(create().pk)
    jobs.cancel(job.pk, by=editor)
    fall_silent(job)
    assert jobs.claim(job.pk) is None
    assert jobs.reap() == 0
    assert row(job).state == JobState.CANCELLED


def test_cancel_when_all_was_done_changes_nothing(editor):
    job = jobs.claim(create().pk)
    jobs.finish(job, result={})
    assert jobs.cancel(job.pk, by=editor) is False
    assert row(job).state == JobState.DONE


@pytest.mark.parametrize("end", ["fail", "cancel", "interrupt"])
def test_resume_goes_on_where_it_stopped(end, editor, messages):
    job = jobs.claim(create().pk)
    jobs.progress(job, done=2)
    if end == "cancel":
        jobs.cancel(job.pk, by=editor)
        with pytest.raises(jobs.JobStopped):
            jobs.progress(job, done=3)
    else:
        getattr(jobs, end)(job, "words")
    assert jobs.resume(job.pk, by=editor)
    now = row(job)

    assert (now.state, now.attempts, now.cancel_requested, now.finished_at) == (JobState.QUEUED, 0, False, None)
    assert now.progress_done == 2
    assert messages[-1] == (job.pk, "default")
    assert AuditEvent.objects.filter(action="job.resumed", by=editor).exists()
    assert jobs.claim(job.pk)


def test_resume_of_a_job_that_runs_or_is_done_does_nothing(editor, messages):
    job = jobs.claim(create().pk)
    assert jobs.resume(job.pk, by=editor) is False
    jobs.finish(job, result={})
    assert jobs.resume(job.pk, by=editor) is False
    assert len(messages) == 1


def test_reap_sends_what_is_due_once_a_lease(messages):
    waiting, held = create(), jobs.claim(create().pk)
    messages.clear()
    assert jobs.reap() == 0
    Job.objects.filter(pk=waiting.pk).update(due_at=timezone.now() - timedelta(seconds=1))
    fall_silent(held)

    assert jobs.reap() == 2
    assert sorted(messages) == sorted([(waiting.pk, "default"), (held.pk, "default")])
    assert jobs.reap() == 0


def test_reap_leaves_what_is_due_when_the_broker_is_away(monkeypatch):
    ids = [create().pk for _ in range(3)]
    Job.objects.update(due_at=timezone.now() - timedelta(seconds=1))
    asked = []
    monkeypatch.setattr(dispatch, "send_job", lambda job_id, queue: asked.append(job_id))
    assert jobs.reap() == 0
    assert len(asked) == 1
    monkeypatch.setattr(dispatch, "send_job", lambda job_id, queue: True)
    assert jobs.reap() == 2
    assert Job.objects.filter(pk__in=ids, state=JobState.QUEUED).count() == 3


def test_a_job_that_kills_its_worker_each_time_ends_in_words():
    job = create()
    for attempt in range(3):
        assert jobs.claim(job.pk).attempts == attempt + 1
        fall_silent(job)
    assert jobs.claim(job.pk) is None
    assert jobs.reap() == 0
    now = row(job)

    assert now.state == JobState.FAILED
    assert "worker was lost" in now.message
    assert now.finished_at


def test_long_jobs_do_not_run_out_of_attempts():
    job = create()
    for _ in range(10):
        held = jobs.claim(job.pk)
        assert held.attempts == 1
        jobs.hand_over(held)


def test_send_job_without_a_broker_is_a_log_line(monkeypatch, caplog, settings):
    from webapp.celery import app

    def refused(*_args, **_kwargs):
        raise dispatch.OperationalError("Connection refused")

    monkeypatch.undo()
    monkeypatch.setattr(app, "send_task", refused)
    job = create()

    assert row(job).state == JobState.QUEUED
    assert "is saved; the queue did not take its message" in caplog.text
