"""Asking for verification: one open job a run, with its trail."""

import pytest

from webapp.accounts.models import AuditEvent
from webapp.jobs.models import Job
from webapp.traces.actions import create_run
from webapp.traces.models import RunKind
from webapp.traces.verify_actions import request_verification

pytestmark = pytest.mark.usefixtures("db", "sent")


@pytest.fixture
def run(db):
    return create_run(name="r", kind=RunKind.IMPORT, by=None)


def test_the_same_again_is_the_job_that_waits(run, editor):
    job = request_verification(run, by=editor)
    assert (job.kind, job.queue, job.args) == ("verify", "default", {"run_id": run.pk, "force": False})
    assert request_verification(run, by=editor) == job
    assert AuditEvent.objects.filter(action="run.verify").count() == 1


def test_force_and_a_finished_job_are_other_jobs(run, editor):
    job = request_verification(run, by=editor)
    assert request_verification(run, by=editor, force=True) != job
    Job.objects.filter(pk=job.pk).update(state="done")
    assert request_verification(run, by=editor) != job
