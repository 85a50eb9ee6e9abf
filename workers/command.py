"""What the management commands of this room share: do a job in this process and show its progress, or leave it to the workers."""

import time
from argparse import ArgumentParser
from collections.abc import Callable

from django.core.management.base import CommandError, OutputWrapper
from django.db import transaction

from webapp.jobs import actions as jobs
from webapp.jobs.models import Job

Create = Callable[[], Job]
Stage = Callable[[Job, float], bool]

FOREVER = float("inf")  # a command hands nothing over: its one slice is the whole job
LINE_EVERY = 5.0  # seconds between progress lines where stderr is a file
REDRAW_EVERY = 0.2  # seconds between redrawings where it is a terminal


def add_queue_option(parser: ArgumentParser) -> None:
    """`--queue`, which every command of this kind has."""
    parser.add_argument("--queue", action="store_true", help="leave the work to the workers")


def run_command(create: Create, stage: Stage, *, queue: bool, stderr: OutputWrapper) -> Job:
    """Create the job; with `queue` that is all, else do it here, with its progress on stderr, and return it ended.

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
    show = ProgressLine(stderr)
    try:
        with jobs.watched(show):
            while not stage(claimed, FOREVER):
                pass
    except ValueError as error:
        jobs.fail(claimed, str(error))
        raise CommandError(str(error)) from error
    except jobs.JobStopped as error:
        raise CommandError("The job was cancelled or taken over; what was finished is kept.") from error
    except KeyboardInterrupt as error:
        words = "Stopped by hand; what was finished is kept. Resume it on the Jobs page, or run the command again."
        jobs.interrupt(claimed, words)
        raise CommandError(words, returncode=130) from error
    finally:
        show.end()
    jobs.finish(claimed, result=claimed.result, message=claimed.message)
    claimed.refresh_from_db()
    return claimed


class ProgressLine:
    """Shows a job's progress: one line that is redrawn on a terminal, a line every few seconds elsewhere."""

    def __init__(self, stderr: OutputWrapper, clock: Callable[[], float] = time.monotonic) -> None:
        self._stderr, self._clock = stderr, clock
        self._terminal = stderr.isatty()
        self._began = self._shown = clock()
        self._width = 0

    def __call__(self, job: Job) -> None:
        """Show the job as it is now, unless that was just done."""
        now = self._clock()
        if now - self._shown < (REDRAW_EVERY if self._terminal else LINE_EVERY):
            return
        self._shown = now
        total = f" of {job.progress_total:,}" if job.progress_total else ""
        share = f" ({job.fraction:.0%})" if job.fraction is not None else ""
        line = f"{job.progress_done:,}{total} {job.progress_unit}{share}, {now - self._began:.0f} s  {job.message}".rstrip()
        if self._terminal:
            self._stderr.write(f"\r{line.ljust(self._width)}", ending="")
            self._stderr.flush()
            self._width = len(line)
        else:
            self._stderr.write(line)

    def end(self) -> None:
        """Leave the line, so that what follows stands on its own."""
        if self._width:
            self._stderr.write("")


def _created(create: Create) -> Job:
    try:
        return create()
    except ValueError as error:
        raise CommandError(str(error)) from error
