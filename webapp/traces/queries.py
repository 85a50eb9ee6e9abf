"""Reads of traces: the filtered list, one trace with all that is known of it, its place in its group."""

from dataclasses import dataclass

from django.db.models import Count, F, OuterRef, Prefetch, QuerySet, Subquery
from django.db.models.functions import Substr
from django.http import QueryDict
from django.utils.translation import gettext_lazy as _

from webapp.traces.filters import TraceFilter
from webapp.traces.models import CurrentVerdict, Finding, Trace, Verdict

EXCERPT_CHARS = 240
# what a list does not need of a trace and its neighbours: text, and whatever else grows with it
_HEAVY = [
    "prompt", "reasoning", "completion", "segments", "provenance", "metadata",
    "problem__prompt", "problem__messages", "problem__answer", "problem__metadata", "problem__verifier_args",
    "problem__problem_set__description", "run__params", "run__problem_ids", "run__source", "run__report",
    "run__engine__facts", "run__engine__examples", "run__engine__description",
]  # fmt: skip
# the address's word for an order, what it sorts by, what a person reads; the primary key decides between equals
ORDERS = {
    "think": ("think_chars", _("Think")),
    "answer": ("answer_chars", _("Answer")),
    "tokens": ("completion_tokens", _("Tokens")),
    "logprob": ("mean_logprob", _("Log-prob.")),
    "entropy": ("mean_entropy", _("Entropy")),
    "rating": ("rating", _("Label, rating")),
}


def filtered(params: QueryDict) -> QuerySet[Trace]:
    """The traces that the address `params` of the trace list asks for, in no order; none where a value makes no sense."""
    found: QuerySet[Trace] = TraceFilter(params, queryset=Trace.objects.all()).qs
    return found


def ordered(traces: QuerySet[Trace], sort: str) -> QuerySet[Trace]:
    """`traces` by `sort` ("think", "-think", ... of ORDERS); newest first for anything else."""
    field, _words = ORDERS.get(sort.removeprefix("-"), ("", ""))
    if not field:
        return traces.order_by("-pk")
    column = F(field)
    return traces.order_by(column.desc(nulls_last=True) if sort.startswith("-") else column.asc(nulls_last=True), "-pk")


def listed(traces: QuerySet[Trace]) -> QuerySet[Trace]:
    """`traces` with what a row of the list shows, without their text. `excerpt`: the problem's beginning; `extracted`: the
    answer that the newest verdict read.
    """
    newest = Verdict.objects.filter(trace=OuterRef("pk")).order_by("-created_at", "-pk")
    return (
        traces.select_related("run__engine", "problem__problem_set")
        .prefetch_related(Prefetch("findings", Finding.objects.order_by("pk")))
        .annotate(
            excerpt=Substr("problem__prompt", 1, EXCERPT_CHARS),
            extracted=Substr(Subquery(newest.values("extracted")[:1]), 1, EXCERPT_CHARS),
        )
        .defer(*_HEAVY)
    )


def trace_with_all(trace_id: int) -> Trace:
    """The trace with run, engine, problem, findings and verdicts (newest first). Raises Trace.DoesNotExist."""
    return (
        Trace.objects.select_related("run__engine", "problem__problem_set")
        .prefetch_related(
            Prefetch("findings", Finding.objects.order_by("field", "start", "pk")),
            Prefetch("verdicts", Verdict.objects.select_related("created_by").order_by("-created_at", "-pk")),
        )
        .get(pk=trace_id)
    )


@dataclass(frozen=True, slots=True)
class Place:
    """Where a trace stands among the samples of its problem in its run: the `number`-th of `count`, and its neighbours."""

    number: int
    count: int
    previous_id: int | None
    next_id: int | None


def place_in_group(trace: Trace) -> Place:
    """Where `trace` stands in its group, by sample index."""
    group = Trace.objects.filter(run_id=trace.run_id, problem_id=trace.problem_id)
    before = group.filter(sample_index__lt=trace.sample_index)
    after = group.filter(sample_index__gt=trace.sample_index)
    return Place(
        number=before.count() + 1,
        count=group.count(),
        previous_id=before.order_by("-sample_index").values_list("pk", flat=True).first(),
        next_id=after.order_by("sample_index").values_list("pk", flat=True).first(),
    )


def verdict_counts(traces: QuerySet[Trace]) -> dict[str, int]:
    """How many of `traces` stand at each current verdict, those of none left out: {"correct": 12, "unscored": 3}."""
    counts = dict(traces.order_by().values_list("verdict").annotate(Count("pk")))
    order = (CurrentVerdict.CORRECT, CurrentVerdict.WRONG, CurrentVerdict.UNDECIDABLE, CurrentVerdict.UNSCORED)
    return {value.value: counts[value] for value in order if value in counts}
