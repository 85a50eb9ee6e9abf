"""Runs for the tests of their pages: sampled and judged, with a job in any state."""

from django.utils import timezone

from tests.webapp.traces import factories as make
from webapp.jobs import actions as jobs
from webapp.jobs.models import Job, JobKind, JobState
from webapp.traces.actions import attach_job
from webapp.traces.models import Run

FACTS = {
    "layers": 4,
    "router_layers": [1, 2, 3],
    "n_routed_experts": 16,
    "n_shared_experts": 1,
    "top_k": 2,
    "context": 512,
    "parameters": 3_700_000,
}
EXAMPLES = [
    {"family": "sums", "prompt": "What is 1 + 2?", "note": "a sum"},
    {"family": "gcd", "prompt": "gcd <b>6, 4</b>", "note": "a divisor"},
]


def sampled(*, problems=2, n=4, judged=True):
    """A finished run: of problem i the first i + 1 samples are correct."""
    run = make.run(
        f"run {Run.objects.count()}",
        engine=make.engine(),
        problem_set=make.problem_set(),
        samples_per_problem=n,
        planned=problems * n,
        params={"temperature": 0.6},
    )
    for i in range(problems):
        problem = make.problem(f"What is {i} + <i>1</i>?", str(i + 1))
        for sample in range(n):
            text = "<think>one more</think>It is." if sample else "<think>on and on"
            trace = make.trace(
                run,
                problem,
                text,
                sample_index=sample,
                finish="stop" if sample else "length",
                completion_tokens=10 * (sample + 1),
            )
            if judged:
                make.verdict(trace, "correct" if sample <= i else "wrong")
    return run


def with_job(run, state=JobState.RUNNING, **fields):
    job = jobs.create(
        JobKind.GENERATE,
        title="Generate",
        by=None,
        args={"run_id": run.pk},
        queue="inference",
        total=run.planned,
        unit="samples",
    )
    if state != JobState.QUEUED:
        jobs.claim(job.pk)
    ended = {} if state in (JobState.QUEUED, JobState.RUNNING) else {"finished_at": timezone.now(), "lease_token": None}
    Job.objects.filter(pk=job.pk).update(state=state, **ended, **fields)
    attach_job(run, job)
    return job
