"""Every transition of a Job, each one conditional update: whoever changes a row owns what follows.

A stage's first act is `claim`; nothing claimed means that someone has it. It then works chunk by chunk, calls `progress` (which renews
the lease and raises when the job was cancelled or lost), and ends with `finish`, `hand_over` or `fail`.
The message about a job is a hint: `reap` sends it again when nothing came of it, and it may come twice.
"""

import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import timedelta
from functools import partial

from django.conf import settings
from django.db import transaction
from django.db.models import F, Q, QuerySet
from django.utils import timezone
from django.utils.translation import gettext as _

from webapp import dispatch
from webapp.accounts.actions import record
from webapp.accounts.models import User
from webapp.jobs.models import Job, JobKind, JobState

RESEND_AFTER = timedelta(seconds=30)  # a message not acted on by then is taken for lost
REAP_AT_MOST = 500  # messages a round; the rest is due in the next one

_watcher: ContextVar[Callable[[Job], None] | None] = ContextVar("job_watcher", default=None)


class JobStopped(Exception):  # noqa: N818  # not an error: someone asked for it
    """The job was cancelled, or its lease went to another process: stop at once, what is saved stays."""


@transaction.atomic
def create(
    kind: JobKind,
    *,
    title: str,
    by: User | None,
    args: dict[str, object],
    queue: str,
    total: int | None = None,
    unit: str = "",
) -> Job:
    """Add a waiting job and send its message on commit."""
    now = timezone.now()
    job = Job.objects.create(
        kind=kind, title=title[:200], args=args, queue=queue, created_by=by, created_at=now, due_at=now + RESEND_AFTER,
        progress_total=total, progress_unit=unit,
    )  # fmt: skip
    _send_on_commit(job.pk, queue)
    return job


def claim(job_id: uuid.UUID | str) -> Job | None:
    """Take a waiting job, or one whose holder fell silent; None when there is nothing to take. Counts an attempt."""
    now = timezone.now()
    token = uuid.uuid4()
    free = Q(state=JobState.QUEUED) | Q(state=JobState.RUNNING, lease_until__lt=now)
    changed = Job.objects.filter(free, pk=job_id, cancel_requested=False, attempts__lt=F("max_attempts")).update(
        state=JobState.RUNNING,
        lease_token=token,
        lease_until=now + _lease(),
        due_at=now + _lease(),
        attempts=F("attempts") + 1,
    )
    if not changed:
        return None
    Job.objects.filter(pk=job_id, started_at__isnull=True).update(started_at=now)
    return Job.objects.get(pk=job_id, lease_token=token)


def progress(
    job: Job,
    *,
    done: int,
    total: int | None = None,
    message: str | None = None,
    result: dict[str, object] | None = None,
) -> None:
    """Save progress (and what is known of the result so far) and renew the lease.

    Raises JobStopped when the job was cancelled or is no longer ours.
    """
    now = timezone.now()
    given = {"progress_total": total, "message": message, "result": result}
    changes: dict[str, object] = {"progress_done": done, **{name: v for name, v in given.items() if v is not None}}
    lease = {"lease_until": now + _lease(), "due_at": now + _lease()}
    if not _held(job).filter(cancel_requested=False).update(**changes, **lease):
        _end_cancelled(_held(job))
        raise JobStopped(str(job.pk))
    for name, value in changes.items():
        setattr(job, name, value)
    watcher = _watcher.get()
    if watcher is not None:
        watcher(job)


@contextmanager
def watched(by: Callable[[Job], None]) -> Iterator[None]:
    """Let `by` see the job after each `progress` in this context: a command shows it to the person who waits."""
    token = _watcher.set(by)
    try:
        yield
    finally:
        _watcher.reset(token)


@transaction.atomic
def hand_over(job: Job) -> None:
    """Give the job back in order after a slice of work, so that others get their turn, and send it again."""
    if _end_cancelled(_held(job)):
        return
    released = (
        _held(job)
        .filter(cancel_requested=False)
        .update(
            state=JobState.QUEUED,
            lease_token=None,
            lease_until=None,
            due_at=timezone.now() + RESEND_AFTER,
            attempts=F("attempts") - 1,
        )
    )
    if released:
        _send_on_commit(job.pk, job.queue)


def finish(job: Job, *, result: dict[str, object], message: str = "") -> bool:
    """Mark as done; False when the job was no longer ours."""
    return _end(_held(job), JobState.DONE, message, result=result)


def fail(job: Job, message: str) -> bool:
    """Mark as failed with words that say what, where and what to do; False when the job was no longer ours."""
    return _end(_held(job), JobState.FAILED, message)


def interrupt(job: Job, message: str) -> bool:
    """Mark as cancelled by the process that holds it: the person in front of it stopped it. It can be resumed."""
    return _end(_held(job), JobState.CANCELLED, message)


@transaction.atomic
def cancel(job_id: uuid.UUID | str, *, by: User) -> bool:
    """Ask a job to stop. A waiting one ends at once, a running one within a moment. False when it had ended."""
    words = _("Cancelled by %(who)s. What was finished is kept.") % {"who": by.username}
    waiting = Job.objects.filter(pk=job_id, state=JobState.QUEUED).update(
        state=JobState.CANCELLED, cancel_requested=True, finished_at=timezone.now(), message=words
    )
    asked = waiting or Job.objects.filter(pk=job_id, state=JobState.RUNNING, cancel_requested=False).update(
        cancel_requested=True, message=words
    )
    if asked:
        record("job.cancelled", f"job {job_id}", by=by)
    return bool(asked)


@transaction.atomic
def resume(job_id: uuid.UUID | str, *, by: User) -> bool:
    """Start a failed or cancelled job again where it stopped; False when it is neither."""
    changed = Job.objects.filter(pk=job_id, state__in=(JobState.FAILED, JobState.CANCELLED)).update(
        state=JobState.QUEUED, cancel_requested=False, attempts=0, finished_at=None, due_at=timezone.now() + RESEND_AFTER,
        message=_("Started again by %(who)s.") % {"who": by.username},
    )  # fmt: skip
    if changed:
        record("job.resumed", f"job {job_id}", by=by)
        _send_on_commit(uuid.UUID(str(job_id)), Job.objects.values_list("queue", flat=True).get(pk=job_id))
    return bool(changed)


def reap() -> int:
    """Send again what is due, end what was tried too often; returns how many messages went out."""
    now = timezone.now()
    lost = Q(state=JobState.RUNNING, lease_until__lt=now)
    _end_cancelled(Job.objects.filter(lost | Q(state=JobState.QUEUED)))
    _end(
        Job.objects.filter(lost | Q(state=JobState.QUEUED), attempts__gte=F("max_attempts")),
        JobState.FAILED,
        _("The worker was lost at each attempt, so this job was given up. See the worker's log, then resume it."),
    )
    due = Job.objects.filter(state__in=(JobState.QUEUED, JobState.RUNNING), due_at__lt=now).order_by("due_at")
    sent = 0
    for job_id, queue, due_at in due.values_list("pk", "queue", "due_at")[:REAP_AT_MOST]:
        mine = Job.objects.filter(pk=job_id, due_at=due_at)  # another reaper may have been here
        if mine.update(due_at=now + _lease()) and not dispatch.send_job(job_id, queue):
            break  # the broker is away; the rest stays due
        sent += 1
    return sent


def _send_on_commit(job_id: uuid.UUID, queue: str) -> None:
    transaction.on_commit(partial(_send_if_waiting, job_id, queue))


def _send_if_waiting(job_id: uuid.UUID, queue: str) -> None:
    """A job that its own transaction has claimed (a command does its work in place) needs no message."""
    if Job.objects.filter(pk=job_id, state=JobState.QUEUED).exists():
        dispatch.send_job(job_id, queue)


def _end_cancelled(jobs: QuerySet[Job]) -> int:
    """End those of `jobs` that someone has cancelled; the words are there since then."""
    return jobs.filter(cancel_requested=True).update(
        state=JobState.CANCELLED, finished_at=timezone.now(), lease_token=None, lease_until=None
    )


def _end(jobs: QuerySet[Job], state: JobState, message: str, *, result: dict[str, object] | None = None) -> bool:
    """End `jobs`; the result so far stays where none is given."""
    given = {} if result is None else {"result": result}
    changed = jobs.update(
        state=state, finished_at=timezone.now(), lease_token=None, lease_until=None, message=message, **given
    )
    return bool(changed)


def _held(job: Job) -> QuerySet[Job]:
    return Job.objects.filter(pk=job.pk, state=JobState.RUNNING, lease_token=job.lease_token)


def _lease() -> timedelta:
    return timedelta(seconds=settings.JOB_LEASE_SECONDS)
