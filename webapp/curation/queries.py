"""Reads of labels and saved filters: the panel beside a trace, the queue of what waits for a label.

A queue is a trace list's query string without its condition on labels: what it holds stays the same while it is worked
off, so "12 of 80 labelled" counts up to 80. Its order is the list's.
"""

from dataclasses import dataclass

from django.db.models import Count, Min, Q, QuerySet
from django.http import QueryDict

from webapp.accounts.models import User
from webapp.curation.models import Label, SavedFilter
from webapp.tags import as_list
from webapp.traces import queries as trace_queries
from webapp.traces.filters import TraceFilter
from webapp.traces.models import Trace

NOT_OF_A_QUEUE = ("label", "page", "after", "queue")
MAX_TAG_ROWS = 1000  # distinct tag columns that are read for suggestions


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a queue is labelled, in traces."""

    labelled: int
    total: int


def labels_of(trace_id: int) -> list[Label]:
    """All labels of a trace, the newest first, with who gave them."""
    return list(Label.objects.select_related("created_by").filter(trace_id=trace_id).order_by("-pk"))


def texts_of(trace: Trace) -> list[tuple[str, str]]:
    """The trace's segments in order as (kind, text), without the tags between them and without empty ones."""
    texts = {"prompt": trace.prompt, "reasoning": trace.reasoning or "", "completion": trace.completion}
    parts = [(str(s["kind"]), texts[str(s["field"])][int(s["start"]) : int(s["end"])]) for s in trace.segments]
    return [(kind, text) for kind, text in parts if kind != "other" and text.strip()]


def used_tags() -> list[str]:
    """The tags that labels have used, sorted."""
    columns = Label.objects.exclude(tags="").values_list("tags", flat=True).distinct()[:MAX_TAG_ROWS]
    return sorted({tag for column in columns for tag in as_list(column)})


def queue_query(query: str) -> str:
    """The query string of the queue that the list at `query` makes."""
    params = QueryDict(query, mutable=True)
    for name in NOT_OF_A_QUEUE:
        params.pop(name, None)
    return params.urlencode()


def next_unlabelled(query: str, *, after: int | None) -> int | None:
    """The id of the queue's next trace without a label: behind trace `after`, else from the front; None when none is left.

    A trace that was skipped comes again after the last one; `after` itself comes again when it alone is left.
    """
    sort = QueryDict(query).get("sort", "")
    if sort.removeprefix("-") not in trace_queries.ORDERS:  # the newest first: the database can begin behind `after`
        waiting = _queue(query).filter(label="").order_by("-pk").values_list("pk", flat=True)
        later = waiting.filter(pk__lt=after).first() if after is not None else None
        return later if later is not None else waiting.first()
    first: int | None = None
    passed = after is None
    for trace_id, label in trace_queries.ordered(_queue(query), sort).values_list("pk", "label").iterator():
        if not label and passed:
            return int(trace_id)
        if not label and first is None:
            first = int(trace_id)
        passed = passed or trace_id == after
    return first


def progress(query: str) -> Progress:
    """How much of the queue has a label."""
    counts = _queue(query).order_by().aggregate(total=Count("pk"), labelled=Count("pk", filter=~Q(label="")))
    return Progress(labelled=counts["labelled"], total=counts["total"])


def labelled_before(trace_id: int, user: User) -> int | None:
    """The trace before this one in the order in which `user` first labelled them; the last of them for one without."""
    firsts = Label.objects.filter(created_by=user).values("trace_id").annotate(first=Min("pk"))
    here = firsts.filter(trace_id=trace_id).order_by("first").values_list("first", flat=True).first()
    before = firsts.exclude(trace_id=trace_id) if here is None else firsts.filter(first__lt=here)
    return before.order_by("-first").values_list("trace_id", flat=True).first()


def saved_filters() -> list[SavedFilter]:
    """All saved filters by name, with who saved them."""
    return list(SavedFilter.objects.select_related("created_by").order_by("name"))


def known_conditions(query: str) -> str:
    """Of a query string, what the trace list knows and can make sense of: its filters and its order, values as they were."""
    params = QueryDict(query)
    checked = TraceFilter(params, queryset=Trace.objects.none()).form
    kept = QueryDict(mutable=True)
    for name in [*TraceFilter.base_filters, "sort"]:
        values = [value for value in params.getlist(name) if value]
        if values and name not in checked.errors:
            kept.setlist(name, values)
    if kept.get("sort", "").removeprefix("-") not in trace_queries.ORDERS:
        kept.pop("sort", None)
    return kept.urlencode()


def _queue(query: str) -> QuerySet[Trace]:
    return trace_queries.filtered(QueryDict(queue_query(query)))
