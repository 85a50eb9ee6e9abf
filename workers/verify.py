"""Stage: verdicts on a run's traces, each by its problem's own verifier.

Judges again only what this version of the verifier has not judged; `force` does. A trace that a person has judged is left
alone without `force`. No verifier or no gold answer: no verdict, the trace stays unscored and is counted as skipped.
Left out: how an answer is judged (workers/verification).
"""

import time
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any

from django.db.models import Count
from django.utils import timezone
from django.utils.translation import gettext as _

from webapp.jobs import actions as jobs
from webapp.jobs.models import Job
from webapp.problems.models import Problem, Verifier
from webapp.traces.actions import add_verdicts
from webapp.traces.models import FindingKind, FinishReason, Run, Trace, Verdict
from webapp.traces.records import NewVerdict
from workers import verification
from workers.parsing import answer_text
from workers.verification import Outcome, pool, text

CHUNK = 20  # traces; at worst each takes the verifier's whole time, and the lease must outlast a chunk
PERSON = "person"  # the verifier of a verdict that a person gave
_CUT = {FindingKind.TRUNCATED, FindingKind.UNCLOSED_THINK}


def run(job: Job, deadline: float) -> bool:
    """Verify the traces of run args["run_id"], chunk by chunk; False when the deadline passed with work left."""
    target = Run.objects.filter(pk=job.args.get("run_id")).first()
    if target is None:
        raise ValueError(_("There is no run %(id)s any more.") % {"id": job.args.get("run_id")})
    work = _work(job, target)
    done = work.traces - len(work.todo)
    jobs.progress(job, done=done, total=work.traces)
    for start in range(0, len(work.todo), CHUNK):
        if start and time.monotonic() > deadline:
            return False
        chunk = _load(work.todo[start : start + CHUNK])
        add_verdicts(_judge_all(chunk), by=None, at=timezone.now())
        done += len(chunk)
        jobs.progress(job, done=done)
    job.result = _result(job, target, work)
    job.message = _(
        "%(judged)s of %(traces)s traces judged: %(correct)s correct, %(wrong)s wrong, %(undecidable)s undecidable. "
        "%(skipped)s have no verifier or gold answer; %(kept)s had been judged before."
    ) % {key: job.result[key] for key in ("judged", "traces", "correct", "wrong", "undecidable", "skipped", "kept")}
    return True


def judge(trace: Trace) -> Outcome:
    """The outcome for one trace, which has its problem and findings at hand.

    Without an answer: wrong when the trace ended by itself, undecidable when it was cut off or nobody knows. An answer that was
    cut off counts only when its box was closed.
    """
    problem = trace.problem
    answer = answer_text(trace.segments, trace.reasoning, trace.completion)
    gold = problem.answer or ""
    if not answer.strip():
        return _no_answer(trace, gold)
    args = {"question": problem.prompt, **problem.verifier_args}
    try:
        outcome = verification.check(problem.verifier, args, problem.answer, answer)
    except (ValueError, TypeError, LookupError, ArithmeticError, RecursionError) as error:
        words = f"the verifier failed: {type(error).__name__}: {error}"
        return Outcome("undecidable", None, "", gold, "error", words[:300])
    if _is_cut_off(trace) and outcome.value != "undecidable" and not text.has_closed_box(answer):
        return replace(outcome, value="undecidable", score=None, message="the trace was cut off in its answer")
    return outcome


def _no_answer(trace: Trace, gold: str) -> Outcome:
    if trace.finish_reason == FinishReason.STOP:
        return Outcome("wrong", 0.0, "", gold, "no_answer", "the trace ended without an answer")
    if trace.finish_reason != FinishReason.UNKNOWN:
        why = "was cut off before an answer"
    elif _is_cut_off(trace):
        why = "ends in its think, so it was probably cut off before an answer; how it ended is not recorded"
    else:
        why = "has no answer, and whether it was cut off is not recorded"
    return Outcome("undecidable", None, "", gold, "no_answer", f"the trace {why}")


def _is_cut_off(trace: Trace) -> bool:
    if trace.finish_reason == FinishReason.UNKNOWN:
        return any(finding.kind in _CUT for finding in trace.findings.all())
    return trace.finish_reason != FinishReason.STOP


def _load(ids: Sequence[int]) -> list[Trace]:
    rows = Trace.objects.filter(pk__in=ids).select_related("problem").prefetch_related("findings")
    return list(rows.defer("prompt", "metadata", "provenance").order_by("pk"))


@dataclass(frozen=True, slots=True)
class _Work:
    """What a run holds: its traces, those without verifier or gold answer, the ids of those that need a verdict."""

    traces: int
    skipped: int
    todo: list[int]


def _work(job: Job, target: Run) -> _Work:
    """Find what still needs a verdict of the current versions, in three queries, however much is done already."""
    of_trace = dict(Trace.objects.filter(run=target).order_by("pk").values_list("pk", "problem_id"))
    fields = ("verifier", "verifier_args", "answer")
    problems = Problem.objects.filter(pk__in=Trace.objects.filter(run=target).values("problem")).only(*fields)
    verifier = {problem.pk: problem.verifier for problem in problems if _can_be_judged(problem)}
    version = {name: verification.version(name) for name in set(verifier.values())}
    verdicts = Verdict.objects.filter(trace__run=target)
    if job.args.get("force"):
        verdicts = verdicts.filter(created_at__gte=job.created_at)
    have = set(verdicts.values_list("trace_id", "verifier", "version"))
    by_person = {trace_id for trace_id, name, _version in have if name == PERSON}
    can_be = {trace_id: verifier[problem_id] for trace_id, problem_id in of_trace.items() if problem_id in verifier}
    todo = [
        trace_id
        for trace_id, name in can_be.items()
        if trace_id not in by_person and (trace_id, name, version[name]) not in have
    ]
    return _Work(len(of_trace), len(of_trace) - len(can_be), todo)


def _can_be_judged(problem: Problem) -> bool:
    has_entry = problem.verifier == Verifier.REASONING_GYM and "entry" in problem.verifier_args
    return problem.verifier != Verifier.NONE and (problem.answer is not None or has_entry)


def _judge_all(traces: Sequence[Trace]) -> list[NewVerdict]:
    """Judge traces, as many at a time as there are child processes."""
    with ThreadPoolExecutor(max_workers=pool.shared().size) as threads:
        outcomes = list(threads.map(judge, traces))
    return [
        NewVerdict(
            trace_id=trace.pk, verifier=trace.problem.verifier, version=verification.version(trace.problem.verifier),
            value=outcome.value, score=outcome.score, extracted=_storable(outcome.extracted), gold=_storable(outcome.gold),
            method=outcome.method, message=_storable(outcome.message),
        )
        for trace, outcome in zip(traces, outcomes, strict=True)
    ]  # fmt: skip


def _storable(value: str) -> str:
    """Text that any database takes: a NUL or half a surrogate pair may come out of a library."""
    return value.replace("\x00", "\ufffd").encode("utf-8", "replace").decode("utf-8")


def _result(job: Job, target: Run, work: _Work) -> dict[str, Any]:
    """Counts read from what is stored, so that they hold over all slices of the job."""
    since = Verdict.objects.filter(trace__run=target, created_at__gte=job.created_at, created_by=None)
    counts = Counter(dict(since.values_list("value").annotate(Count("pk"))))
    judged = sum(counts.values())
    values = {value: counts[value] for value in ("correct", "wrong", "undecidable")}
    kept = max(0, work.traces - work.skipped - judged)
    return {"traces": work.traces, "judged": judged, **values, "skipped": work.skipped, "kept": kept}
