"""A slice of a job: how each way in which a stage ends shows in the job's row."""

import pytest
from django.db import OperationalError

from webapp.jobs import actions as jobs
from webapp.jobs.models import Job, JobKind, JobState
from workers import stages, tasks

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def job(sent):
    return jobs.create(JobKind.VERIFY, title="judge", by=None, args={}, queue="default")


@pytest.fixture
def stage(monkeypatch):
    def use(function):
        monkeypatch.setitem(stages.STAGES, JobKind.VERIFY, function)

    return use


def state(job):
    row = Job.objects.get(pk=job.pk)
    return row.state, row.message


def test_every_kind_has_a_stage():
    assert set(stages.STAGES) == set(JobKind)


def test_done_is_finished_with_result_and_words(job, stage):
    def work(job, deadline):
        job.result, job.message = {"n": 1}, "one"
        return True

    stage(work)
    tasks.run_job(job_id=str(job.pk))
    assert state(job) == (JobState.DONE, "one")
    assert Job.objects.get(pk=job.pk).result == {"n": 1}


def test_work_left_is_handed_over(job, stage, sent):
    stage(lambda job, deadline: False)
    tasks.run_inference_job(job_id=str(job.pk), later_argument=1)
    assert state(job)[0] == JobState.QUEUED
    assert sent == [(job.pk, "default")] * 2


def test_a_value_error_fails_with_its_words(job, stage):
    def work(job, deadline):
        raise ValueError("line 3 is not JSON; mend it and import again")

    stage(work)
    stages.work(job.pk)
    assert state(job) == (JobState.FAILED, "line 3 is not JSON; mend it and import again")


def test_an_unknown_fault_fails_in_words_with_the_place_in_the_log(job, stage, caplog):
    def work(job, deadline):
        raise KeyError("colour")

    stage(work)
    stages.work(job.pk)
    assert state(job)[0] == JobState.FAILED
    assert "KeyError: 'colour'" in state(job)[1]
    assert "Traceback" in caplog.text


def test_a_lost_database_leaves_the_job_to_the_reaper(job, stage):
    def work(job, deadline):
        raise OperationalError("server closed the connection")

    stage(work)
    stages.work(job.pk)
    assert state(job)[0] == JobState.RUNNING
    assert Job.objects.get(pk=job.pk).attempts == 1


def test_a_cancelled_job_stays_cancelled(job, stage, editor):
    def work(held, deadline):
        jobs.cancel(held.pk, by=editor)
        jobs.progress(held, done=1)
        return True

    stage(work)
    stages.work(job.pk)
    assert state(job)[0] == JobState.CANCELLED


def test_the_same_message_twice_works_once(job, stage):
    worked = []

    def work(held, deadline):
        worked.append(held.pk)
        stages.work(held.pk)  # the double, while the first is at work
        return True

    stage(work)
    stages.work(job.pk)
    stages.work(job.pk)
    assert worked == [job.pk]


def test_reap_task_ends_a_poison_job(job):
    Job.objects.filter(pk=job.pk).update(attempts=3)
    tasks.reap()
    assert state(job)[0] == JobState.FAILED
