"""The trace list, the trace page with its token windows, the group page. Runs and imports have view modules of their own."""

import hashlib
from http import HTTPStatus

from django.core.paginator import Paginator
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase, JsonResponse, QueryDict
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.utils.cache import patch_vary_headers
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET

from webapp.accounts.access import MemberRequest
from webapp.problems.models import Problem
from webapp.tags import as_list
from webapp.traces import queries, tokenstore, wire
from webapp.traces.filters import TraceFilter
from webapp.traces.models import Run, Trace
from webapp.traces.panes import panes_of

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
def detail(request: HttpRequest, trace_id: int) -> HttpResponse:
    """One trace: its text in panes, what is odd, how it was judged, and the instruments over its tokens."""
    try:
        trace = queries.trace_with_all(trace_id)
    except Trace.DoesNotExist:
        raise Http404(_("There is no trace %(id)s.") % {"id": trace_id}) from None
    texts = {"prompt": trace.prompt, "reasoning": trace.reasoning, "completion": trace.completion}
    panes = panes_of(
        trace.segments, texts, open_pane=_number(request.GET, "pane", -1), open_from=_number(request.GET, "from", 0)
    )
    store, store_error = _store(trace)
    context = {
        "trace": trace,
        "panes": panes,
        "place": queries.place_in_group(trace),
        "store": store,
        "store_error": store_error,
        "viewer": _viewer_config(trace, store),
        "speed": trace.completion_tokens / trace.duration_seconds
        if trace.completion_tokens and trace.duration_seconds
        else None,
    }
    return render(request, "traces/detail.html", context)


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
    config: dict[str, object] = {"count": 0, "window": tokenstore.ROW_GROUP_TOKENS, "words": _words()}
    if store:
        config |= {
            "count": trace.store_tokens,
            "promptTokens": trace.prompt_tokens or 0,
            "tokensUrl": reverse("traces:tokens", args=[trace.pk]),
            "version": _etag(trace)[:12],  # another installation's trace of the same number is another address
            "layers": store.layers,
            "nExperts": store.n_experts,
            "topK": store.top_k,
        }
    return config


def _words() -> dict[str, str]:
    """Sentences that the page's modules put together; {name} is replaced there."""
    return {
        "expert": _("expert {id}"),
        "layerOf": _("layer {id} ({n} of {count})"),
        "layer": _("layer {id}"),
        "token": _("token {n} of {count}"),
        "loading": _("{loaded} of {count} tokens"),
        "failed": _("The tokens could not be loaded: {why}. Reload the page to try again."),
        "counts": _("{share} of {count} tokens by top-1 expert"),
        "lessLikely": _("0 to {low} nats; deeper is less likely"),
        "entropyRange": _("0 to {high} nats; deeper is less certain"),
        "gateRange": _("gate weight 0 to {high}"),
        "gateAny": _("gate weight of the strongest expert, 0 to {high}"),
        "unknown": _("not known for the prompt"),
        "notRouted": _("It was never fed back, so nothing was routed."),
        "found": _("{n} of {count}"),
        "notFound": _("not found on this page"),
        "mostUsed": _("the {n} most used of {count}"),
        "repeats": _("colours repeat after {n} experts; the numbers do not"),
        "empty": _("(no text of its own)"),
        "none": _("no colour"),
    }


@require_GET
def tokens(request: HttpRequest, trace_id: int) -> HttpResponseBase:
    """Tokens `start` to `stop` of a trace in the form of wire.py. They never change, so they may be kept for ever."""
    trace = get_object_or_404(Trace.objects.only("store_path", "store_row_group", "store_tokens"), pk=trace_id)
    if not trace.has_tokens or trace.store_tokens is None or trace.store_row_group is None:
        return _refuse(_("Trace %(id)s has no per-token data.") % {"id": trace_id}, HTTPStatus.NOT_FOUND)
    count = trace.store_tokens
    start, stop = _number(request.GET, "start", 0), _number(request.GET, "stop", min(count, wire.MAX_TOKENS))
    if not 0 <= start < stop or start >= count or stop - start > wire.MAX_TOKENS:
        words = _("Tokens %(start)s to %(stop)s: ask for at most %(most)s tokens between 0 and %(count)s.")
        found = {
            "start": request.GET.get("start"),
            "stop": request.GET.get("stop"),
            "most": wire.MAX_TOKENS,
            "count": count,
        }
        return _refuse(words % found, HTTPStatus.BAD_REQUEST)
    etag = f'"{_etag(trace)}-{start}-{stop}"'
    if request.headers.get("If-None-Match") == etag:
        response = HttpResponse(status=HTTPStatus.NOT_MODIFIED)
    else:
        try:
            window, meta = tokenstore.read_with_meta(trace.store_path, trace.store_row_group, count, start, stop)
            body = wire.encode(window, meta, start=start, count=count)
        except ValueError as error:
            return _refuse(str(error), HTTPStatus.GONE)
        response = HttpResponse(body, content_type=wire.CONTENT_TYPE)
    response["ETag"] = etag
    response["Cache-Control"] = "private, max-age=31536000, immutable"
    return response


def _refuse(words: str, status: HTTPStatus) -> JsonResponse:
    return JsonResponse({"error": words}, status=status)


def _etag(trace: Trace) -> str:
    """A shard is written once, so its path and place are its content."""
    place = (wire.VERSION, trace.pk, trace.store_path, trace.store_row_group, trace.store_tokens)
    return hashlib.sha256(repr(place).encode()).hexdigest()[:32]


def _number(params: QueryDict, name: str, default: int) -> int:
    """The number under `name` in the address; `default` where there is none, -1 for what is not a number."""
    text = params.get(name, "")
    if not text:
        return default
    return int(text) if text.isascii() and text.isdigit() and len(text) < 12 else -1


@require_GET
def group(request: HttpRequest, run_id: int, problem_id: int) -> HttpResponse:
    """All samples of one problem in one run, side by side in brief."""
    run = get_object_or_404(Run.objects.select_related("engine"), pk=run_id)
    problem = get_object_or_404(Problem.objects.select_related("problem_set"), pk=problem_id)
    page = Paginator(queries.group(run_id, problem_id), PAGE_SIZE).get_page(request.GET.get("page"))
    if not page.paginator.count:
        raise Http404(_("Run %(run)s has no sample of problem %(problem)s.") % {"run": run_id, "problem": problem_id})
    samples = [queries.brief(trace) for trace in page.object_list]
    counts = queries.verdict_counts(Trace.objects.filter(run_id=run_id, problem_id=problem_id))
    context = {"run": run, "problem": problem, "page": page, "samples": samples, "verdicts": counts}
    return render(request, "traces/group.html", context)
