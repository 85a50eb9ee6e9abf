"""What the management commands of this room share: do a job in this process and show its progress, or leave it to the workers."""

import time
from collections.abc import Callable

from django.conf import settings
from django.core.management.base import CommandError, OutputWrapper
from django.db import transaction

from webapp.jobs import actions as jobs
from webapp.jobs.models import Job

Create = Callable[[], Job]
Stage = Callable[[Job, float], bool]

FIRST_SLICE = 1.0  # seconds; slices grow, so that a stage that looks for its place again does not do so all the time


def run_command(create: Create, stage: Stage, *, queue: bool, stderr: OutputWrapper) -> Job:
    """Create the job; with `queue` that is all, else do it here, slice by slice, with its progress on stderr.

    `create` runs in the transaction that also claims the job, so that no worker takes it first. Raises CommandError with the words
    that the job failed with.
    """
    if queue:
        job = _created(create)
        stderr.write(f"Job {job.pk} waits for a worker: {job.title}")
        return job
    with transaction.atomic():
        claimed = jobs.claim(_created(create).pk)
    assert claimed is not None  # noqa: S101  # nobody else has seen it
    try:
        _work(claimed, stage, stderr)
    except ValueError as error:
        jobs.fail(claimed, str(error))
        raise CommandError(str(error)) from error
    except jobs.JobStopped as error:
        raise CommandError("The job was cancelled or taken over; what was finished is kept.") from error
    except KeyboardInterrupt as error:
        words = "Stopped by hand; what was finished is kept. Run the command again to go on."
        jobs.fail(claimed, words)
        raise CommandError(words) from error
    jobs.finish(claimed, result=claimed.result, message=claimed.message)
    claimed.refresh_from_db()
    return claimed


def _created(create: Create) -> Job:
    try:
        return create()
    except ValueError as error:
        raise CommandError(str(error)) from error


def _work(job: Job, stage: Stage, stderr: OutputWrapper) -> None:
    slice_seconds = FIRST_SLICE
    while not stage(job, time.monotonic() + slice_seconds):
        slice_seconds = min(slice_seconds * 2, float(settings.JOB_SLICE_SECONDS))
        now = Job.objects.only("progress_done", "progress_total", "progress_unit", "message").get(pk=job.pk)
        total = f" of {now.progress_total:,}" if now.progress_total else ""
        stderr.write(f"{now.progress_done:,}{total} {now.progress_unit}  {now.message}")
