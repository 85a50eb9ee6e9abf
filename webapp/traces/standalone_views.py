"""One trace as a file to hand on: HTML that asks nothing of any host, with its own Content-Security-Policy and no script.

The only page with a style sheet inside: a file has no other place for it, and its hash is what the policy allows.
"""

import base64
import hashlib
from typing import Any

import numpy as np
from django.http import Http404, HttpResponse
from django.shortcuts import render
from django.template.loader import render_to_string
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET

from webapp.accounts.access import MemberRequest, role_required
from webapp.accounts.models import Role
from webapp.tags import as_list
from webapp.traces import queries, routing_counting
from webapp.traces.models import Trace
from webapp.traces.panes import panes_of
from webapp.traces.visible import pieces

STYLE = "traces/standalone.css"
COUNTED_SECONDS = 2.0  # a trace whose routing takes longer to count goes without the table, as the file says
MOST_EXPERTS = 4  # named for each layer


@require_GET
@role_required(Role.VIEWER)
def standalone(request: MemberRequest, trace_id: int) -> HttpResponse:
    """The trace with all its text, verdicts, findings, labels and facts as one HTML file."""
    try:
        trace = queries.trace_with_all(trace_id)
    except Trace.DoesNotExist:
        raise Http404(_("There is no trace %(id)s.") % {"id": trace_id}) from None
    texts = {"prompt": trace.prompt, "reasoning": trace.reasoning, "completion": trace.completion}
    panes = panes_of(trace.segments, texts)
    style = render_to_string(STYLE)
    context = {
        "trace": trace,
        "texts": [(pane, pieces((texts[pane.field] or "")[pane.start : pane.end])) for pane in panes],
        "labels": [(label, as_list(label.tags)) for label in trace.labels.select_related("created_by").order_by("-pk")],
        "load": _load(trace),
        "policy": f"default-src 'none'; style-src 'sha256-{_digest(style)}'; base-uri 'none'; form-action 'none'",
        "style": STYLE,
    }
    response = render(request, "traces/standalone.html", context)
    response["Content-Disposition"] = f'attachment; filename="trace-{trace.pk}.html"'
    return response


def _digest(style: str) -> str:
    return base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()


def _load(trace: Trace) -> list[dict[str, Any]] | None:
    """For each router layer the experts that think and answer take most, as (expert, share of its tokens); [] without routing.

    None where counting takes too long or the shard cannot be read.
    """
    try:
        counting = routing_counting.count(trace, None, seconds=COUNTED_SECONDS)
    except ValueError:
        return None
    if counting is None:
        return []
    if not counting.is_done:
        return None
    rows = []
    for place, layer in enumerate(counting.layers):
        row: dict[str, Any] = {"layer": layer}
        for part in ("think", "answer"):
            n = routing_counting.PARTS.index(part)
            tokens, counts = int(counting.tokens[n]), counting.loads[n, place]
            best = np.argsort(-counts, kind="stable")[:MOST_EXPERTS]
            row[part] = [(int(e), 100 * int(counts[e]) / tokens) for e in best if counts[e]] if tokens else []
        rows.append(row)
    return rows
