"""Reads of problem sets and problems. Traces lie above problems in the flow: their counts come through the relation."""

from dataclasses import dataclass
from typing import Any

from django.db.models import Count, F, IntegerField, OuterRef, Q, QuerySet, Subquery
from django.db.models.functions import Coalesce, Substr

from webapp.problems.models import Problem, ProblemSet

EXCERPT_CHARS = 240
ORDERS = ("position", "prompt", "traces", "correct")  # the address's words; "-" before one turns it round


@dataclass(frozen=True, slots=True)
class RunCounts:
    """The traces of one problem in one run, by what their newest verdicts say."""

    run_id: int
    run_name: str
    traces: int
    correct: int
    wrong: int
    undecidable: int
    unscored: int


def sets() -> QuerySet[ProblemSet]:
    """All sets with the numbers of their problems, gold answers, runs and traces; the newest first."""
    problems = Problem.objects.filter(problem_set=OuterRef("pk")).order_by().values("problem_set")
    return ProblemSet.objects.annotate(
        problem_count=_count(problems, Count("pk")),
        gold_count=_count(problems, Count("pk", filter=Q(answer__isnull=False))),
        trace_count=_count(problems, Count("traces")),
        run_count=Count("runs"),
    ).order_by("-created_at", "-pk")


def _count(rows: QuerySet[Problem, Any], count: Count) -> Coalesce:
    return Coalesce(Subquery(rows.values(n=count), output_field=IntegerField()), 0)


def in_order(problems: QuerySet[Problem], sort: str) -> QuerySet[Problem]:
    """Problems as a list shows them: excerpts instead of texts, counts of traces, in the order that the address names."""
    word = sort.removeprefix("-")
    column = word if word in ORDERS else "position"
    counted = problems.annotate(
        traces_count=Count("traces"),
        correct_count=Count("traces", filter=Q(traces__verdict="correct")),
        excerpt=Substr("prompt", 1, EXCERPT_CHARS),
        gold=Substr("answer", 1, EXCERPT_CHARS),
    ).defer("prompt", "messages", "answer", "metadata", "verifier_args")
    key = F({"traces": "traces_count", "correct": "correct_count"}.get(column, column))
    return counted.order_by(key.desc() if sort.startswith("-") else key.asc(), "position", "pk")


def runs_of(problem: Problem) -> list[RunCounts]:
    """The runs that hold traces of a problem, the newest first."""
    rows: Any = Problem.objects.filter(pk=problem.pk, traces__isnull=False).values("traces__run", "traces__run__name")
    values = ("correct", "wrong", "undecidable", "unscored")
    counts = {value: Count("traces", filter=Q(traces__verdict=value)) for value in values}
    return [
        RunCounts(row["traces__run"], row["traces__run__name"], row["total"], *(row[value] for value in values))
        for row in rows.annotate(total=Count("traces"), **counts).order_by("-traces__run")
    ]


def neighbours(problem: Problem) -> tuple[int | None, int | None]:
    """The ids of the problems before and after this one in its set."""
    others = Problem.objects.filter(problem_set=problem.problem_set_id)
    before = others.filter(position__lt=problem.position).order_by("-position").values_list("pk", flat=True).first()
    after = others.filter(position__gt=problem.position).order_by("position").values_list("pk", flat=True).first()
    return before, after
