"""The trace list and the trace page. Groups, runs, imports and what the page's modules fetch have view modules of their own."""

from collections.abc import Callable, Iterable
from typing import Any

from django.core.paginator import Paginator
from django.http import Http404, HttpResponse, QueryDict
from django.shortcuts import render
from django.urls import reverse
from django.utils.cache import patch_vary_headers
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET

from webapp.accounts.access import MemberRequest
from webapp.accounts.models import Role
from webapp.tags import as_list
from webapp.traces import queries, reading, tokenstore, viewer_words
from webapp.traces.filters import TraceFilter
from webapp.traces.models import FindingKind, Trace
from webapp.traces.panes import bases_of, panes_of
from webapp.traces.replay_queries import replay_of
from webapp.traces.token_views import etag, number

PAGE_SIZE = 50


@require_GET
def trace_list(request: MemberRequest) -> HttpResponse:
    """Traces by filter; the address holds filter, order and page."""
    criteria = TraceFilter(request.GET, queryset=Trace.objects.all())
    traces = criteria.qs
    sort = request.GET.get("sort", "")
    page = Paginator(queries.listed(queries.ordered(traces, sort)), PAGE_SIZE).get_page(request.GET.get("page"))
    query = _without_empty(request.GET)
    context = {
        "criteria": criteria,
        "page": page,
        "rows": [(trace, as_list(trace.tags)) for trace in page.object_list],
        "sort": sort,
        "rating": _column("rating", sort),
        "figures": [_column(name, sort) for name in queries.ORDERS if name != "rating"],
        "verdicts": queries.verdict_counts(traces),
        "query": query.urlencode(),
        "active": [name for name in query if name in criteria.filters],
    }
    is_fragment = request.htmx and not request.htmx.history_restore_request  # going back asks for the whole page
    response = render(request, "traces/_results.html" if is_fragment else "traces/list.html", context)
    patch_vary_headers(response, ["HX-Request"])
    if is_fragment:
        response["HX-Push-Url"] = f"{request.path}?{query.urlencode()}" if query else request.path
    return response


def _without_empty(params: QueryDict) -> QueryDict:
    """The filter and order of an address, without its empty values and without the page."""
    kept = QueryDict(mutable=True)
    for name, values in params.lists():
        if name != "page" and any(values):
            kept.setlist(name, [value for value in values if value])
    return kept


def _column(name: str, sort: str) -> dict[str, object]:
    """The heading of a sortable column, with the order that a click on it asks for: falling first, then rising."""
    state = {name: "ascending", f"-{name}": "descending"}.get(sort, "")
    return {"words": queries.ORDERS[name][1], "next": name if sort == f"-{name}" else f"-{name}", "state": state}


@require_GET
def detail(request: MemberRequest, trace_id: int) -> HttpResponse:
    """One trace: its text in panes, what is odd, how it was judged, and the instruments over its tokens."""
    try:
        trace = queries.trace_with_all(trace_id)
    except Trace.DoesNotExist:
        raise Http404(_("There is no trace %(id)s.") % {"id": trace_id}) from None
    texts = {"prompt": trace.prompt, "reasoning": trace.reasoning, "completion": trace.completion}
    panes = panes_of(
        trace.segments, texts, open_pane=number(request.GET, "pane", -1), open_from=number(request.GET, "from", 0)
    )
    store, store_error = _store(trace)
    context = {
        "trace": trace,
        "place": queries.place_in_group(trace),
        "store": store,
        "store_error": store_error,
        "viewer": _viewer_config(trace, store),
        "replay": replay_of(trace, store, may_ask=request.user.may(Role.EDITOR)),
        "speed": trace.completion_tokens / trace.duration_seconds
        if trace.completion_tokens and trace.duration_seconds
        else None,
    }
    return render(request, "traces/detail.html", context | reading.aids(panes, texts, request.GET))


def _store(trace: Trace) -> tuple[tokenstore.ShardMeta | None, str]:
    """What the trace's shard says of itself; or, where it cannot be read, why."""
    if not trace.has_tokens:
        return None, ""
    try:
        return tokenstore.read_meta(trace.store_path), ""
    except ValueError as error:
        return None, str(error)


def _viewer_config(trace: Trace, store: tokenstore.ShardMeta | None) -> dict[str, object]:
    """What the page's modules need to know, read by them from a JSON block."""
    config: dict[str, object] = {"count": 0, "window": tokenstore.ROW_GROUP_TOKENS, "words": viewer_words.words()}
    if store:
        config |= {
            "count": trace.store_tokens,
            "promptTokens": trace.prompt_tokens or 0,
            "tokensUrl": reverse("traces:tokens", args=[trace.pk]),
            "mapUrl": reverse("traces:map", args=[trace.pk]),
            "version": etag(trace)[:12],  # another installation's trace of the same number is another address
            "layers": store.layers,
            "nExperts": store.n_experts,
            "nGroup": store.n_group,
            "topK": store.top_k,
            "segments": _stretches(trace, trace.segments, lambda part: {"kind": part["kind"]}),
            "findings": _stretches(
                trace,
                [{"field": f.field, "start": f.start, "end": f.end, "kind": f.kind} for f in trace.findings.all()],
                lambda found: {"words": str(FindingKind(found["kind"]).label)},
            ),
        }
    return config


def _stretches(
    trace: Trace, rows: Iterable[dict[str, Any]], said: Callable[[dict[str, Any]], dict[str, str]]
) -> list[dict[str, object]]:
    """`rows` as characters of prompt, reasoning and completion joined, where the tokens count them."""
    bases = bases_of(trace.prompt, trace.reasoning)
    return [
        {"start": bases[row["field"]] + row["start"], "end": bases[row["field"]] + row["end"]} | said(row)
        for row in rows
    ]
