"""What the routing says: of one trace, and of one expert over a run; the charts of a run as files."""

from typing import Any

import numpy as np
from django.http import Http404, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.utils.cache import patch_vary_headers
from django.utils.text import slugify
from django.utils.translation import gettext as _
from django.views.decorators.http import require_safe

from webapp.accounts.access import MemberRequest, role_required
from webapp.accounts.models import Role
from webapp.traces import charts, expert_cards, routing, routing_counting, routing_tables, run_charts, tally_actions
from webapp.traces.models import Run, RunRouting, Trace


def _whole(request: MemberRequest, name: str) -> int | None:
    text = request.GET.get(name, "")
    return int(text) if text.isascii() and text.isdigit() and len(text) < 7 else None


@require_safe
@role_required(Role.VIEWER)
def trace_routing(request: MemberRequest, trace_id: int) -> HttpResponse:
    """The routing of a trace, counted on at each asking until all of it is; the page asks again until then."""
    columns = ("run__name", "segments", "store_path", "store_row_group", "store_tokens")
    trace = get_object_or_404(Trace.objects.select_related("run").only(*columns), pk=trace_id)
    context: dict[str, Any] = {"trace": trace, "error": "", "counting": None}
    try:
        counting = routing_counting.count(trace, _whole(request, "layer"))
    except ValueError as error:
        context["error"] = str(error)
        counting = None
    if counting is not None:
        context |= {"counting": counting, "done_share": f"{counting.done / counting.count:.3f}"}
    if counting is not None and counting.is_done:
        context |= {
            "layers": routing_tables.layer_rows(trace, counting),
            "experts": routing_tables.expert_rows(trace, counting),
            "pairs": routing_tables.pair_rows(trace, counting),
            **_layers_around(counting.layers, counting.layer),
            "tokens": dict(zip(routing_counting.PARTS, counting.tokens.tolist(), strict=True)),
        }
    response = render(request, "traces/_routing.html" if request.htmx else "traces/routing.html", context)
    patch_vary_headers(response, ["HX-Request"])
    return response


@require_safe
@role_required(Role.VIEWER)
def expert(request: MemberRequest, run_id: int) -> HttpResponse:
    """One expert of a run, or the first of its first layer: the tokens it takes most, out of a sample of the run."""
    run = get_object_or_404(Run.objects.only("name"), pk=run_id)
    context: dict[str, Any] = {"run": run, "error": "", "card": None}
    try:
        meta = expert_cards.first_meta(run)
        if meta is not None:
            layer = _whole(request, "layer")
            layer = meta.layers[0] if layer is None else layer
            number = _whole(request, "expert") or 0
            if layer not in meta.layers or number >= meta.n_experts:
                words = _("Run %(run)s has no expert %(expert)s in layer %(layer)s.")
                raise Http404(words % {"run": run_id, "expert": number, "layer": layer})
            context["by_rate"] = by_rate = request.GET.get("sort") == "rate"
            context["card"] = expert_cards.card(run, meta, layer, number, by_rate=by_rate)
            context |= _in_run(run, layer, number) | _neighbours(meta.layers, meta.n_experts, layer, number)
    except ValueError as error:
        context["error"] = str(error)
    return render(request, "traces/expert.html", context)


def _in_run(run: Run, layer: int, number: int) -> dict[str, Any]:
    """The expert among those of its layer, from the counts of the whole run."""
    row = RunRouting.objects.filter(run=run, layer=layer).first()
    if row is None or not row.tokens or number >= len(row.counts):
        return {}
    counts = np.asarray(row.counts, np.int64)
    largest = int(counts.max())
    return {
        "run_share": 100 * row.counts[number] / row.tokens,
        "run_tokens": row.tokens,
        "rank": int((counts > counts[number]).sum()) + 1,
        "violation": routing.max_violation(counts),
        "loads": [(e, 100 * n / row.tokens, charts.bar(n, largest)) for e, n in enumerate(row.counts)],
    }


def _neighbours(layers: list[int], n_experts: int, layer: int, number: int) -> dict[str, int | None]:
    around = {"previous": number - 1 if number else None, "next": number + 1 if number + 1 < n_experts else None}
    return around | _layers_around(layers, layer)


def _layers_around(layers: list[int], layer: int) -> dict[str, int | None]:
    place = layers.index(layer)
    return {
        "lower": layers[place - 1] if place else None,
        "higher": layers[place + 1] if place + 1 < len(layers) else None,
    }


@require_safe
@role_required(Role.VIEWER)
def run_chart(request: MemberRequest, run_id: int, name: str, form: str) -> HttpResponse:
    """A chart of a run as a file: its table as CSV, its picture as SVG."""
    run = get_object_or_404(Run.objects.only("name"), pk=run_id)
    tally_actions.ensure(run.pk)
    chart = run_charts.named(run, name)
    if chart is None or form not in {"csv", "svg"}:
        raise Http404(_("Run %(id)s has no chart %(name)s as %(form)s.") % {"id": run_id, "name": name, "form": form})
    if form == "csv":
        response = HttpResponse(charts.as_csv(chart), content_type="text/csv; charset=utf-8")
    else:
        response = render(request, "traces/chart.svg", {"chart": chart, "run": run}, content_type="image/svg+xml")
    stem = slugify(run.name)[:60] or f"run-{run_id}"
    response["Content-Disposition"] = f'attachment; filename="{stem}-{chart.name}.{form}"'
    return response
