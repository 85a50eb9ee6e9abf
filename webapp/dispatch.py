"""The only sender of Celery messages. Task names are constants; a message carries an id.

`webapp.jobs.actions` calls it on commit. A message that cannot be sent is not an error of the caller: the job row is the truth and the reaper sends it again.
"""

import logging
import uuid

from kombu.exceptions import OperationalError

from webapp.celery import app

logger = logging.getLogger(__name__)

RUN_JOB = "jobs.run"  # any kind of job on the default queue
RUN_INFERENCE_JOB = "inference.run"  # jobs that need torch; the inference worker alone listens
REAP = "jobs.reap"

DEFAULT_QUEUE = "default"
INFERENCE_QUEUE = "inference"
TASK_OF_QUEUE = {DEFAULT_QUEUE: RUN_JOB, INFERENCE_QUEUE: RUN_INFERENCE_JOB}


def send_job(job_id: uuid.UUID, queue: str) -> bool:
    """Send the message about a job now; False (and a log line) when the broker does not answer."""
    try:
        app.send_task(TASK_OF_QUEUE[queue], kwargs={"job_id": str(job_id)}, queue=queue, retry=False)
    except (OperationalError, OSError) as error:
        logger.warning("job %s is saved; the queue did not take its message and will be tried again: %s", job_id, error)
        return False
    return True
