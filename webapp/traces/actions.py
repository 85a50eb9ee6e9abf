"""Writes of runs, traces and verdicts, with the counts that runs keep of them. Each is atomic, and doing it again adds nothing twice."""

from collections.abc import Sequence
from datetime import datetime

from django.db import transaction
from django.utils import timezone

from webapp.accounts.actions import record
from webapp.accounts.models import User
from webapp.engines.models import Engine
from webapp.jobs.models import Job
from webapp.problems.models import ProblemSet
from webapp.traces import tallies, tally_actions
from webapp.traces.models import Finding, Run, RunKind, Trace, Verdict
from webapp.traces.records import NewTrace, NewVerdict


@transaction.atomic
def create_run(
    *,
    name: str,
    kind: RunKind,
    by: User | None,
    problem_set: ProblemSet | None = None,
    engine: Engine | None = None,
    params: dict[str, object] | None = None,
    samples_per_problem: int = 1,
    problem_ids: list[int] | None = None,
    planned: int = 0,
    source: dict[str, object] | None = None,
) -> Run:
    """Add a run. Raises ValueError when the name is taken."""
    if Run.objects.filter(name=name).exists():
        raise ValueError(f"a run named {name!r} exists; choose another name")
    run = Run.objects.create(
        name=name, kind=kind, problem_set=problem_set, engine=engine, params=params or {}, planned=planned,
        samples_per_problem=samples_per_problem, problem_ids=problem_ids, source=source or {}, created_by=by,
        created_at=timezone.now(),
    )  # fmt: skip
    record("run.created", f"run {run.pk}", by=by, detail={"name": name, "kind": kind})
    return run


def attach_job(run: Run, job: Job) -> None:
    """Let the run's page follow `job`."""
    Run.objects.filter(pk=run.pk).update(job=job)
    run.job = job


@transaction.atomic
def add_traces(run: Run, samples: Sequence[NewTrace]) -> int:
    """Save samples with their findings; those that the run already has are left as they are. Returns how many were new."""
    have = set(
        Trace.objects.filter(run=run, problem_id__in={s.problem_id for s in samples}).values_list(
            "problem_id", "sample_index"
        )
    )
    prints = {s.fingerprint for s in samples if s.fingerprint}
    known = (
        set(Trace.objects.filter(run=run, fingerprint__in=prints).values_list("fingerprint", flat=True))
        if prints
        else set()
    )
    fresh = [s for s in samples if (s.problem_id, s.sample_index) not in have and s.fingerprint not in known]
    traces = Trace.objects.bulk_create([_row(run, sample) for sample in fresh])
    Finding.objects.bulk_create(
        Finding(trace=trace, kind=f.kind, field=f.field, start=f.start, end=f.end, note=f.note[:300])
        for trace, sample in zip(traces, fresh, strict=True)
        for f in sample.findings
    )
    tally_actions.count_added(run, traces, fresh)
    return len(traces)


def _row(run: Run, sample: NewTrace) -> Trace:
    return Trace(
        run=run, problem_id=sample.problem_id, sample_index=sample.sample_index, fingerprint=sample.fingerprint,
        prompt=sample.prompt, reasoning=sample.reasoning, completion=sample.completion, finish_reason=sample.finish_reason,
        segments=sample.segments, model_name=sample.model_name, seed=sample.seed, prompt_tokens=sample.prompt_tokens,
        completion_tokens=sample.completion_tokens, think_chars=_chars(sample, "think"), answer_chars=_chars(sample, "answer"),
        mean_logprob=sample.mean_logprob, mean_entropy=sample.mean_entropy, duration_seconds=sample.duration_seconds,
        provenance=sample.provenance, metadata=sample.metadata, created_at=sample.created_at,
        store_path=sample.tokens.path if sample.tokens else "",
        store_row_group=sample.tokens.row_group if sample.tokens else None,
        store_tokens=sample.tokens.count if sample.tokens else None,
    )  # fmt: skip


def _chars(sample: NewTrace, kind: str) -> int:
    return sum(int(str(s["end"])) - int(str(s["start"])) for s in sample.segments if s["kind"] == kind)


@transaction.atomic
def add_verdicts(verdicts: Sequence[NewVerdict], *, by: User | None, at: datetime) -> None:
    """Add judgements and set each trace's current verdict to its newest one. Earlier verdicts stay."""
    Verdict.objects.bulk_create(
        Verdict(
            trace_id=v.trace_id, verifier=v.verifier, version=v.version, value=v.value, score=v.score, extracted=v.extracted,
            gold=v.gold, method=v.method, message=v.message, created_at=at, created_by=by,
        )
        for v in verdicts
    )  # fmt: skip
    current = {v.trace_id: v.value for v in verdicts}
    columns = ("run_id", *tallies.COLUMNS)
    before = list(Trace.objects.select_for_update().filter(pk__in=current).only(*columns).order_by("pk"))
    for value in set(current.values()):
        Trace.objects.filter(pk__in=[pk for pk, v in current.items() if v == value]).update(verdict=value)
    tally_actions.move(before, current)


def set_current_label(trace_id: int, *, value: str, rating: int | None, tags: str) -> None:
    """Keep the newest label beside the trace, for lists; called by curation inside the transaction that adds the label."""
    Trace.objects.filter(pk=trace_id).update(label=value, rating=rating, tags=tags)
