"""What the trace page's modules fetch: windows of tokens, and the map. Both never change, so the browser keeps them for ever."""

import hashlib
from collections.abc import Callable
from http import HTTPStatus

from django.http import HttpRequest, HttpResponse, HttpResponseBase, JsonResponse, QueryDict
from django.shortcuts import get_object_or_404
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET

from webapp.traces import maps, tokenstore, windows, wire
from webapp.traces.models import Trace


@require_GET
def tokens(request: HttpRequest, trace_id: int) -> HttpResponseBase:
    """Tokens `start` to `stop` of a trace in the form of wire.py, with the routing of all layers, of one (`layer`) or of none."""
    trace, count = _stored(trace_id)
    if trace is None:
        return _refuse(_("Trace %(id)s has no per-token data.") % {"id": trace_id}, HTTPStatus.NOT_FOUND)
    start, stop = number(request.GET, "start", 0), number(request.GET, "stop", min(count, wire.MAX_TOKENS))
    if not 0 <= start < stop or start >= count or stop - start > wire.MAX_TOKENS:
        words = _("Tokens %(start)s to %(stop)s: ask for at most %(most)s tokens between 0 and %(count)s.")
        found = {
            "start": request.GET.get("start"),
            "stop": request.GET.get("stop"),
            "most": wire.MAX_TOKENS,
            "count": count,
        }
        return _refuse(words % found, HTTPStatus.BAD_REQUEST)
    try:
        layer = wire.layer_of(request.GET.get("layer", ""))
    except ValueError as error:
        return _refuse(str(error), HTTPStatus.BAD_REQUEST)

    def body() -> bytes:
        place = (trace.store_path, trace.store_row_group or 0, count, start, stop)
        if isinstance(layer, int):
            window, meta = windows.one_layer(*place, layer=layer)
        else:
            window, meta = tokenstore.read_with_meta(*place, layer=layer)
        return wire.encode(window, meta, start=start, count=count)

    return _kept(request, f"{etag(trace)}-{start}-{stop}-{layer}", body)


@require_GET
def trace_map(request: HttpRequest, trace_id: int) -> HttpResponseBase:
    """The map of a trace in the form of maps.py: `kind` and the number of `bins`."""
    trace, count = _stored(trace_id)
    if trace is None:
        return _refuse(_("Trace %(id)s has no per-token data.") % {"id": trace_id}, HTTPStatus.NOT_FOUND)
    kind, bins = request.GET.get("kind", "expert"), number(request.GET, "bins", 256)
    if kind not in maps.KINDS or not 1 <= bins <= maps.MOST_BINS:
        words = _("A map has at most %(most)s bins and is of %(kinds)s.")
        found = {"most": maps.MOST_BINS, "kinds": ", ".join(maps.KINDS)}
        return _refuse(words % found, HTTPStatus.BAD_REQUEST)

    def body() -> bytes:
        return maps.encode(maps.draw(trace.store_path, trace.store_row_group or 0, count, kind=kind, bins=bins))

    return _kept(request, f"{etag(trace)}-map-{kind}-{bins}", body)


def _stored(trace_id: int) -> tuple[Trace | None, int]:
    """The trace and its number of tokens; None and 0 where it has no per-token data."""
    trace = get_object_or_404(Trace.objects.only("store_path", "store_row_group", "store_tokens"), pk=trace_id)
    if not trace.has_tokens or trace.store_tokens is None or trace.store_row_group is None:
        return None, 0
    return trace, trace.store_tokens


def _kept(request: HttpRequest, tag: str, body: Callable[[], bytes]) -> HttpResponseBase:
    """The answer that `body` makes, to be kept for ever; without one where the browser has it."""
    quoted = f'"{tag}"'
    if request.headers.get("If-None-Match") == quoted:
        response = HttpResponse(status=HTTPStatus.NOT_MODIFIED)
    else:
        try:
            response = HttpResponse(body(), content_type=wire.CONTENT_TYPE)
        except ValueError as error:
            return _refuse(str(error), HTTPStatus.GONE)
    response["ETag"] = quoted
    response["Cache-Control"] = "private, max-age=31536000, immutable"
    return response


def _refuse(words: str, status: HTTPStatus) -> JsonResponse:
    return JsonResponse({"error": words}, status=status)


def etag(trace: Trace) -> str:
    """A shard is written once, so its path and place are its content."""
    place = (wire.VERSION, trace.pk, trace.store_path, trace.store_row_group, trace.store_tokens)
    return hashlib.sha256(repr(place).encode()).hexdigest()[:32]


def number(params: QueryDict, name: str, default: int) -> int:
    """The number under `name` in the address; `default` where there is none, -1 for what is not a number."""
    text = params.get(name, "")
    if not text:
        return default
    return int(text) if text.isascii() and text.isdigit() and len(text) < 12 else -1
