"""Which stage does which kind of job, and one slice of a job from claim to end.

Left out: Celery (tasks.py) and commands (command.py), the two that call this. No stage imports torch when it is imported: a default
worker never loads it.
"""

import logging
import time
import uuid
from collections.abc import Callable

from django.conf import settings
from django.db import InterfaceError, OperationalError
from django.utils.translation import gettext as _

from webapp.jobs import actions as jobs
from webapp.jobs.models import Job, JobKind
from workers import export, generate, ingest, rejection, replaying, verify

logger = logging.getLogger(__name__)

Stage = Callable[[Job, float], bool]

STAGES: dict[JobKind, Stage] = {
    JobKind.GENERATE: generate.run,
    JobKind.IMPORT_PROBLEMS: ingest.run_problems,
    JobKind.IMPORT_TRACES: ingest.run_traces,
    JobKind.VERIFY: verify.run,
    JobKind.SELECT: rejection.run,
    JobKind.EXPORT: export.run,
    JobKind.REPLAY: replaying.run,
}


def work(job_id: uuid.UUID | str) -> None:
    """Claim the job, do a slice of it and finish it, hand it over or fail it. Does nothing when someone else has it."""
    job = jobs.claim(job_id)
    if job is None:
        logger.info("job %s: nothing to do; it is taken, ended or unknown", job_id)
        return
    try:
        done = STAGES[JobKind(job.kind)](job, time.monotonic() + settings.JOB_SLICE_SECONDS)
    except jobs.JobStopped:
        logger.info("job %s (%s) was cancelled or taken over; what was finished is kept", job.pk, job.title)
    except ValueError as error:  # a stage's own words for the person who asked
        logger.warning("job %s (%s) failed: %s", job.pk, job.title, error)
        jobs.fail(job, str(error))
    except (OperationalError, InterfaceError):  # the database went away: the lease runs out, then it is tried again
        logger.exception("job %s (%s) lost the database", job.pk, job.title)
    except Exception as error:  # any other fault must end as words in the job's row; the log has the place
        logger.exception("job %s (%s) failed unexpectedly", job.pk, job.title)
        words = _(
            "An unexpected fault: %(kind)s: %(what)s. The worker's log has its place; resume the job when it is mended."
        )
        jobs.fail(job, words % {"kind": type(error).__name__, "what": str(error)[:500]})
    else:
        if done:
            jobs.finish(job, result=job.result, message=job.message)
        else:
            jobs.hand_over(job)
