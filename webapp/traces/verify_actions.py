"""Asking for a run to be verified. Left out: how an answer is judged (workers/verification) and the stage (workers/verify.py)."""

from django.db import transaction
from django.utils.translation import gettext as _

from webapp.accounts.actions import record
from webapp.accounts.models import User
from webapp.dispatch import DEFAULT_QUEUE
from webapp.jobs import actions as jobs
from webapp.jobs.models import FINISHED_STATES, Job, JobKind
from webapp.traces.models import Run


@transaction.atomic
def request_verification(run: Run, *, by: User | None, force: bool = False) -> Job:
    """Ask for verdicts on a run's traces; `force` judges again what this version of a verifier has judged.

    Returns the job, which is the one already waiting or running when the same was asked before.
    """
    args: dict[str, object] = {"run_id": run.pk, "force": force}
    open_job = Job.objects.filter(kind=JobKind.VERIFY, args=args).exclude(state__in=FINISHED_STATES).first()
    if open_job is not None:
        return open_job
    record("run.verify", f"run {run.pk}", by=by, detail={"force": force})
    return jobs.create(
        JobKind.VERIFY,
        title=_("Verify “%(name)s”") % {"name": run.name},
        by=by,
        args=args,
        queue=DEFAULT_QUEUE,
        unit=_("traces"),
    )
