"""Reads of runs: the list, one run's figures, its groups. Every figure is from the counts that are kept while a run is written
(tallies.py); of traces only those of the page's own groups are read, and never their text.

Three states stay apart: a sample is correct, wrong or undecidable, or nobody has judged it (unscored). pass@k counts over judged samples,
and an undecidable one is no success.
"""

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from math import comb
from typing import Any

from django.core.cache import cache
from django.db.models import Case, Count, F, FloatField, Q, QuerySet, Sum, When
from django.db.models.functions import Cast, Substr

from webapp.jobs.models import FINISHED_STATES, Job, JobKind
from webapp.problems.models import Problem
from webapp.traces.models import (
    CurrentVerdict,
    Finding,
    FindingKind,
    FinishReason,
    LengthUnit,
    Run,
    RunBand,
    RunProblem,
    RunTotals,
    Trace,
)

EXCERPT_CHARS = 200
SAMPLES_SHOWN = 24  # samples of a group that have a link of their own in its row
_HEAVY = [
    "problem_ids",
    "source",
    "report",
    "engine__facts",
    "engine__examples",
    "engine__description",
    "problem_set__description",
    "job__args",
    "job__result",
]
RUN_ORDERS = {"name": "name", "created": "created_at", "planned": "planned"}
GROUP_ORDERS = {
    "problem": "position",
    "correct": "share",
    "tokens": "mean_tokens",
    "think": "mean_think",
    "answer": "mean_answer",
}


def listed(runs: QuerySet[Run], sort: str) -> QuerySet[Run]:
    """`runs` for the list, by `sort` ("name", "-created", ... of RUN_ORDERS), newest first for anything else."""
    column = RUN_ORDERS.get(sort.removeprefix("-"))
    order = ("-" if sort.startswith("-") else "") + column if column else "-created_at"
    return runs.select_related("engine", "problem_set", "job").defer(*_HEAVY).order_by(order, "-pk")


@dataclass(frozen=True, slots=True)
class Counts:
    """How many traces a run has and how they were judged."""

    traces: int = 0
    judged: int = 0
    correct: int = 0

    @property
    def share(self) -> float | None:
        """Correct among judged, or None while nothing is judged."""
        return self.correct / self.judged if self.judged else None


def counts(runs: Sequence[Run]) -> dict[int, Counts]:
    """The counts of several runs, in one query."""
    rows = RunBand.objects.filter(run__in=[run.pk for run in runs], traces__gt=0).values("run").order_by()
    unscored, correct = Q(verdict=CurrentVerdict.UNSCORED), Q(verdict=CurrentVerdict.CORRECT)
    found = rows.annotate(
        n=Sum("traces"), judged=Sum("traces", filter=~unscored), correct=Sum("traces", filter=correct)
    )
    return {row["run"]: Counts(row["n"], row["judged"] or 0, row["correct"] or 0) for row in found}


def run_with_all(run_id: int) -> Run:
    """The run with engine, set, job and who made it. Raises Run.DoesNotExist."""
    related = Run.objects.select_related("engine", "problem_set", "job__created_by", "created_by")
    return related.defer("problem_ids", "engine__examples", "engine__description").get(pk=run_id)


def open_verification(run: Run) -> Job | None:
    """The newest job that verifies this run, ended or not."""
    return Job.objects.filter(kind=JobKind.VERIFY, args__run_id=run.pk).order_by("-created_at").first()


def live(run: Run) -> dict[str, Any] | None:
    """The text that is growing while the run's job works, or None."""
    state: dict[str, Any] | None = cache.get(f"live:{run.pk}")
    return state


def questions(problem_ids: Collection[int]) -> dict[int, str]:
    """The beginning of each problem's question."""
    rows = Problem.objects.filter(pk__in=problem_ids).annotate(excerpt=Substr("prompt", 1, EXCERPT_CHARS))
    return dict(rows.values_list("pk", "excerpt"))


@dataclass(frozen=True, slots=True)
class Figures:
    """What a run came to. Times in seconds."""

    traces: int
    verdicts: list[tuple[str, int]]
    pass_at: list[tuple[int, float, int]]  # k, estimate, problems that have k judged samples
    finished: list[tuple[str, int]]
    findings: list[tuple[str, str, int]]  # kind, words, traces
    totals: dict[str, float | None] = field(default_factory=dict)
    tokens_per_second: float | None = None

    @property
    def judged(self) -> int:
        """Traces that have a verdict."""
        return sum(count for value, count in self.verdicts if value != CurrentVerdict.UNSCORED)


def figures(run: Run) -> Figures:
    """The figures of a run, in three queries of its counts however many traces it has."""
    ends = RunTotals.objects.filter(pk=run.pk).first() or RunTotals()
    sums, verdicts = Counter[str](), Counter[str]()
    for row in RunBand.objects.filter(run=run, traces__gt=0):
        verdicts[row.verdict] += row.traces
        if row.unit == LengthUnit.TOKENS:
            sums.update({"tokens": row.tokens, "tokens_traces": row.traces})
        sums.update({"think": row.think_chars, "answer": row.answer_chars})
    count = verdicts.total()
    words = dict(FindingKind.choices)
    return Figures(
        traces=count,
        verdicts=[
            (value, verdicts[value]) for value in ("correct", "wrong", "undecidable", "unscored") if verdicts[value]
        ],
        pass_at=pass_at(success_counts(run)) if set(verdicts) - {CurrentVerdict.UNSCORED} else [],
        finished=[(str(FinishReason(reason).label), n) for reason, n in Counter(ends.finished).most_common()],
        findings=sorted(
            ((kind, str(words.get(kind, kind)), n) for kind, n in ends.findings.items()), key=lambda f: -f[2]
        ),
        totals={
            "tokens": sums["tokens"], "mean_tokens": sums["tokens"] / sums["tokens_traces"] if sums["tokens_traces"] else None,
            "shortest": ends.shortest, "longest": ends.longest,
            "mean_think": sums["think"] / count if count else None, "mean_answer": sums["answer"] / count if count else None,
        },
        tokens_per_second=_speed(run),
    )  # fmt: skip


def _speed(run: Run) -> float | None:
    result = run.job.result if run.job and run.job.kind == JobKind.GENERATE else {}
    tokens, seconds = result.get("tokens"), result.get("seconds")
    return tokens / seconds if tokens and seconds else None


def success_counts(run: Run) -> Counter[tuple[int, int]]:
    """How many problems have n judged samples of which c are correct, by (n, c)."""
    rows = RunProblem.objects.filter(run=run, judged__gt=0).order_by().values_list("judged", "correct")
    return Counter({(n, c): times for n, c, times in rows.annotate(times=Count("pk"))})


def pass_at(sizes: Counter[tuple[int, int]]) -> list[tuple[int, float, int]]:
    """k, the mean estimate of pass@k, the problems that have k judged samples: for k of 1, 2, 4, ... and the largest group's size."""
    if not sizes:
        return []
    largest = max(n for n, _c in sizes)
    ks = [k for k in (2**i for i in range(largest.bit_length())) if k < largest] + [largest]
    estimates = []
    for k in ks:
        enough = [(n, c, times) for (n, c), times in sizes.items() if n >= k]
        problems = sum(times for _n, _c, times in enough)
        estimates.append((k, sum(pass_at_k(n, c, k) * times for n, c, times in enough) / problems, problems))
    return estimates


def pass_at_k(n: int, c: int, k: int) -> float:
    """The unbiased estimate of pass@k from n samples of which c are correct: 1 - C(n-c, k) / C(n, k) (Chen et al. 2021, eq. 1)."""
    if not 0 <= c <= n or not 1 <= k <= n:
        raise ValueError(f"pass@{k} cannot be told from {c} of {n} samples")
    return 1 - comb(n - c, k) / comb(n, k)


def groups(run: Run, sort: str) -> QuerySet[RunProblem]:
    """The run's problems, each with its counts and mean lengths. Sorted by GROUP_ORDERS, position by default, which an index has."""

    def mean(column: str, of: str) -> Case:
        return Case(When(**{f"{of}__gt": 0}, then=Cast(column, FloatField()) / Cast(of, FloatField())), default=None)

    column = GROUP_ORDERS.get(sort.removeprefix("-"), "position")
    order = F(column).desc(nulls_last=True) if sort.startswith("-") else F(column).asc(nulls_last=True)
    by_index = (
        ["position", "problem"] if column == "position" and not sort.startswith("-") else [order, "position", "problem"]
    )
    return (
        RunProblem.objects.filter(run=run)
        .annotate(
            excerpt=Substr("problem__prompt", 1, EXCERPT_CHARS), share=mean("correct", "judged"),
            mean_tokens=mean("tokens", "tokens_samples"), mean_think=mean("think_chars", "samples"),
            mean_answer=mean("answer_chars", "samples"),
        )
        .order_by(*by_index)
    )  # fmt: skip


@dataclass(slots=True)
class Group:
    """A problem's row: its samples in order (id, number, verdict) and how many have which finding."""

    problem: RunProblem
    samples: list[tuple[int, int, str]] = field(default_factory=list)
    findings: list[tuple[str, int]] = field(default_factory=list)


def grouped(run: Run, problems: Sequence[RunProblem]) -> list[Group]:
    """The rows of a page of groups, in two queries."""
    rows = {problem.problem_id: Group(problem) for problem in problems}
    traces = Trace.objects.filter(run=run, problem__in=rows, sample_index__lt=SAMPLES_SHOWN).order_by(
        "problem", "sample_index"
    )
    for pk, problem_id, index, verdict in traces.values_list("pk", "problem_id", "sample_index", "verdict"):
        rows[problem_id].samples.append((pk, index + 1, verdict))
    words = dict(FindingKind.choices)
    found = (
        Finding.objects.filter(trace__run=run, trace__problem__in=rows).order_by().values_list("trace__problem", "kind")
    )
    for problem_id, kind, n in found.annotate(n=Count("trace", distinct=True)).order_by("-n"):
        rows[problem_id].findings.append((str(words.get(kind, kind)), n))
    return list(rows.values())


def is_active(*jobs: Job | None) -> bool:
    """Whether any of the jobs has not ended."""
    return any(job is not None and job.state not in FINISHED_STATES for job in jobs)
