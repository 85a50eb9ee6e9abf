"""What tests of the stages need: problems, runs with parsed traces, a claimed job. All through the product's own writes."""

import itertools
import time
from datetime import UTC, datetime

from webapp.jobs import actions as jobs
from webapp.jobs.models import Job
from webapp.problems.actions import NewProblem, add_problems, get_or_create_set
from webapp.problems.models import Problem
from webapp.traces.actions import add_traces, create_run
from webapp.traces.models import Trace
from webapp.traces.records import NewFinding, NewTrace
from workers.parsing import parse

NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
LONG_AGO = 0.0  # a deadline that has passed
_names = itertools.count(1)


def later():
    """A deadline that is far."""
    return time.monotonic() + 300


def make_problems(answers, *, verifier="math", args=None, set_name=None, prompt="What is {}?", licence="MIT"):
    """A set with one problem an answer; returns the problems in order."""
    problem_set = get_or_create_set(set_name or f"set {next(_names)}", by=None, source="made up", licence=licence)
    new = [
        NewProblem(
            prompt=prompt.format(f"thing {i}"),
            answer=answer,
            verifier=verifier,
            verifier_args=args or {},
            licence=licence,
        )
        for i, answer in enumerate(answers)
    ]
    ids = add_problems(problem_set, new)
    rows = Problem.objects.in_bulk(ids)
    return [rows[pk] for pk in ids]


def make_run(problems, *, name=None, **kwargs):
    from webapp.traces.models import RunKind

    return create_run(
        name=name or f"run {next(_names)}",
        kind=RunKind.GENERATE,
        by=None,
        problem_set=problems[0].problem_set,
        params={"temperature": 0.6, "seed": 7},
        **kwargs,
    )


def sample(problem, index, completion, *, prompt=None, finish_reason="stop", reasoning=None, **kwargs):
    prompt = problem.prompt if prompt is None else prompt
    parsed = parse(prompt, reasoning, completion, finish_reason)
    findings = [NewFinding(f.kind, f.field, f.start, f.end, f.note) for f in parsed.findings]
    return NewTrace(
        problem_id=problem.pk, sample_index=index, prompt=prompt, completion=completion, segments=parsed.segments, findings=findings,
        finish_reason=finish_reason, reasoning=reasoning, created_at=NOW, **kwargs,
    )  # fmt: skip


def r1(think, answer):
    """A completion in R1 form."""
    return f"<think>\n{think}\n</think>\n\n{answer}"


def add(run, *samples):
    """Save samples; returns the run's traces in order."""
    add_traces(run, samples)
    return list(Trace.objects.filter(run=run).order_by("pk"))


def claimed(kind, args, **kwargs):
    """A job of `kind` that this process holds."""
    job = jobs.create(kind, title=str(kind), by=None, args=args, queue="default", **kwargs)
    held = jobs.claim(job.pk)
    assert held is not None
    return held


def work(stage, job: Job):
    """Run a stage to its end, as a worker would; returns the job."""
    assert stage.run(job, later()) is True
    return job
