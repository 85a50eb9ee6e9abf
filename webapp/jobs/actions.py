"""Every transition of a Job, each one conditional update: whoever changes a row owns what follows.

A stage's first act is `claim`; nothing claimed means that someone has it. It then works chunk by chunk, calls `progress` (which renews
the lease and raises when the job was cancelled or lost), and ends with `finish`, `hand_over` or `fail`.
"""

import uuid
from datetime import timedelta

from django.conf import settings
from django.db.models import F, Q, QuerySet
from django.utils import timezone
from django.utils.translation import gettext as _

from webapp import dispatch
from webapp.accounts.models import User
from webapp.jobs.models import Job, JobKind, JobState

RESEND_AFTER = timedelta(seconds=30)  # a message not acted on by then is taken for lost


class JobStopped(Exception):
    """The job was cancelled, or its lease went to another process: stop at once, what is saved stays."""


def create(kind: JobKind, *, title: str, by: User | None, args: dict[str, object], queue: str, total: int | None = None, unit: str = "") -> Job:
    """Add a waiting job and send its message on commit."""
    now = timezone.now()
    job = Job.objects.create(
        kind=kind, title=title[:200], args=args, queue=queue, created_by=by, created_at=now, due_at=now + RESEND_AFTER,
        progress_total=total, progress_unit=unit,
    )  # fmt: skip
    dispatch.send_job_on_commit(job.pk, queue)
    return job


def claim(job_id: uuid.UUID | str) -> Job | None:
    """Take a waiting job, or one whose holder fell silent; None when there is nothing to take. Counts an attempt."""
    now = timezone.now()
    token = uuid.uuid4()
    free = Q(state=JobState.QUEUED) | Q(state=JobState.RUNNING, lease_until__lt=now)
    changed = Job.objects.filter(free, pk=job_id, cancel_requested=False, attempts__lt=F("max_attempts")).update(
        state=JobState.RUNNING, lease_token=token, lease_until=now + _lease(), due_at=now + _lease(), attempts=F("attempts") + 1
    )
    if not changed:
        return None
    Job.objects.filter(pk=job_id, started_at__isnull=True).update(started_at=now)
    return Job.objects.get(pk=job_id, lease_token=token)


def progress(job: Job, *, done: int, total: int | None = None, message: str | None = None) -> None:
    """Save progress and renew the lease. Raises JobStopped when the job was cancelled or is no longer ours."""
    now = timezone.now()
    changes: dict[str, object] = {"progress_done": done, "lease_until": now + _lease(), "due_at": now + _lease()}
    if total is not None:
        changes["progress_total"] = total
    if message is not None:
        changes["message"] = message
    if not _held(job).filter(cancel_requested=False).update(**changes):
        _held(job).filter(cancel_requested=True).update(
            state=JobState.CANCELLED, finished_at=now, lease_token=None, lease_until=None, message=_("Cancelled. What was finished is kept.")
        )
        raise JobStopped(str(job.pk))


def hand_over(job: Job) -> None:
    """Give the job back in order after a slice of work, so that others get their turn, and send it again."""
    now = timezone.now()
    released = _held(job).update(
        state=JobState.QUEUED, lease_token=None, lease_until=None, due_at=now + _lease(), attempts=F("attempts") - 1
    )
    if released:
        dispatch.send_job_on_commit(job.pk, job.queue)


def finish(job: Job, *, result: dict[str, object], message: str = "") -> bool:
    """Mark as done; False when the job was no longer ours."""
    return _end(job, JobState.DONE, message, result)


def fail(job: Job, message: str) -> bool:
    """Mark as failed with words that say what, where and what to do; False when the job was no longer ours."""
    return _end(job, JobState.FAILED, message, {})


def cancel(job_id: uuid.UUID | str, *, by: User) -> bool:
    """Ask a job to stop. A waiting one ends at once, a running one after its current chunk. False when it had ended."""
    now = timezone.now()
    words = _("Cancelled by %(who)s. What was finished is kept.") % {"who": by.username}
    waiting = Job.objects.filter(pk=job_id, state=JobState.QUEUED).update(
        state=JobState.CANCELLED, cancel_requested=True, finished_at=now, message=words
    )
    return bool(waiting or Job.objects.filter(pk=job_id, state=JobState.RUNNING).update(cancel_requested=True))


def resume(job_id: uuid.UUID | str, *, by: User) -> bool:
    """Start a failed or cancelled job again where it stopped; False when it is neither."""
    now = timezone.now()
    changed = Job.objects.filter(pk=job_id, state__in=(JobState.FAILED, JobState.CANCELLED)).update(
        state=JobState.QUEUED, cancel_requested=False, attempts=0, finished_at=None, due_at=now + _lease(),
        message=_("Started again by %(who)s.") % {"who": by.username},
    )  # fmt: skip
    if changed:
        dispatch.send_job_on_commit(uuid.UUID(str(job_id)), Job.objects.values_list("queue", flat=True).get(pk=job_id))
    return bool(changed)


def reap() -> int:
    """Send again what is due, end what was tried too often; returns how many messages went out."""
    now = timezone.now()
    lost = Q(state=JobState.RUNNING, lease_until__lt=now)
    Job.objects.filter(lost, cancel_requested=True).update(
        state=JobState.CANCELLED, finished_at=now, lease_token=None, lease_until=None, message=_("Cancelled. What was finished is kept.")
    )
    Job.objects.filter(lost | Q(state=JobState.QUEUED), attempts__gte=F("max_attempts")).update(
        state=JobState.FAILED, finished_at=now, lease_token=None, lease_until=None,
        message=_("The worker was lost at each attempt, so this job was given up. See the worker's log, then resume it."),
    )  # fmt: skip
    due = Job.objects.filter(state__in=(JobState.QUEUED, JobState.RUNNING), due_at__lt=now)
    sent = 0
    for job in due:
        Job.objects.filter(pk=job.pk).update(due_at=now + _lease())
        sent += dispatch.send_job(job.pk, job.queue)
    return sent


def _end(job: Job, state: JobState, message: str, result: dict[str, object]) -> bool:
    changed = _held(job).update(
        state=state, finished_at=timezone.now(), lease_token=None, lease_until=None, message=message, result=result
    )
    return bool(changed)


def _held(job: Job) -> QuerySet[Job]:
    return Job.objects.filter(pk=job.pk, state=JobState.RUNNING, lease_token=job.lease_token)


def _lease() -> timedelta:
    return timedelta(seconds=settings.JOB_LEASE_SECONDS)
