"""Every Celery task. Each takes ids, makes one call and returns nothing; the Job row holds what came of it.

Left out: what a job does (the stages) and how it begins and ends (stages.py). Names and queues are those of webapp.dispatch, which sends.
"""

from typing import Any

from celery.signals import worker_ready

from webapp import dispatch
from webapp.celery import app
from webapp.jobs import actions as jobs
from workers import loaded, stages


@app.task(name=dispatch.RUN_JOB)
def run_job(*, job_id: str, **_kwargs: object) -> None:
    """A slice of a job that needs no torch."""
    stages.work(job_id)


@app.task(name=dispatch.RUN_INFERENCE_JOB)
def run_inference_job(*, job_id: str, **_kwargs: object) -> None:
    """A slice of a job that samples from a local engine; the inference worker alone listens to this queue."""
    stages.work(job_id)


@app.task(name=dispatch.REAP)
def reap(**_kwargs: object) -> None:
    """Send again what is due, end what was tried too often. Called by the clock."""
    jobs.reap()


@worker_ready.connect
def warm_up(sender: Any, **_kwargs: object) -> None:
    """The inference worker loads torch when it starts; a worker of the other queue never does."""
    if dispatch.INFERENCE_QUEUE in sender.app.amqp.queues.consume_from:
        loaded.warm()
