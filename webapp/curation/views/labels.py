"""Labelling: the panel beside a trace, and the way to the next trace that waits for a label.

The panel is loaded into the trace page and works as a page of its own, with buttons, where there is no JavaScript. On the page of a
group each sample has a strip of it (`strip` in the form): the three buttons, which keep rating, tags and one's own note.
A page is part of a queue when its address has `queue=`, the query string of the list that is being worked off.
"""

from typing import Any
from urllib.parse import urlencode, urlsplit

from django.contrib import messages
from django.http import HttpResponse, HttpResponseBase, HttpResponseRedirect, QueryDict
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_safe
from django_htmx.http import HttpResponseClientRedirect

from webapp.accounts.access import MemberRequest, role_required
from webapp.accounts.models import Role
from webapp.curation import actions, queries
from webapp.curation.dataset_rows import part
from webapp.curation.forms import LabelForm
from webapp.curation.models import Label
from webapp.tags import as_list
from webapp.traces.models import Trace
from webapp.traces.panes import PART_CHARS


@require_http_methods(["GET", "HEAD", "POST"])
@role_required(Role.VIEWER)
def label(request: MemberRequest, trace_id: int) -> HttpResponseBase:
    """The label panel of a trace; a POST adds a label."""
    trace = get_object_or_404(Trace.objects.select_related("problem", "run"), pk=trace_id)
    return _add_label(request, trace) if request.method == "POST" else _panel(request, trace)


@require_safe
@role_required(Role.ANNOTATOR)
def next_trace(request: MemberRequest) -> HttpResponse:
    """Go to the next trace of the queue that has no label; back to the list when all have one."""
    params = request.GET.copy()
    after = params.pop("after", [""])[-1]
    query = queries.queue_query(params.urlencode())
    found = queries.next_unlabelled(
        query, after=int(after) if after.isdecimal() and after.isascii() and len(after) < 19 else None
    )
    if found is None:
        messages.success(request, _("Every trace here has a label."))
        return redirect(f"{reverse('traces:list')}?{query}")
    if after == str(found):
        messages.info(request, _("This is the only trace here that has no label yet."))
    return redirect(_in_queue(found, query))


@role_required(Role.ANNOTATOR)
def _add_label(request: MemberRequest, trace: Trace) -> HttpResponse:
    queue = request.POST.get("queue")
    form = LabelForm(request.POST)
    if not form.is_valid():
        return _panel(request, trace, form=form, status=422)
    new = form.new_label()
    try:
        actions.add_label(trace.pk, new, seen=form.cleaned_data["seen"], by=request.user, at=timezone.now())
    except actions.LabelConflict as conflict:
        return _panel(request, trace, form=form, conflict=conflict.newest, status=409)
    if queue is not None:
        return _go(request, _next_address(queue, trace.pk))
    trace.refresh_from_db()
    if request.htmx:
        return _panel(request, trace, saved=True)
    return redirect(_in_group(trace)) if "strip" in request.POST else redirect("curation:label", trace.pk)


def _panel(
    request: MemberRequest,
    trace: Trace,
    *,
    form: LabelForm | None = None,
    conflict: Label | None = None,
    saved: bool = False,
    status: int = 200,
) -> HttpResponse:
    history = queries.labels_of(trace.pk)
    newest = history[0] if history else None
    queue = _queue_of(request)
    may_label = request.user.may(Role.ANNOTATOR)
    mine = (
        form.new_label() if form is not None and form.is_valid() else None
    )  # a form comes back valid on a conflict alone
    context: dict[str, Any] = {
        "trace": trace,
        "newest": newest,
        "newest_tags": as_list(newest.tags) if newest else [],
        "history": [(row, as_list(row.tags)) for row in history],
        "conflict": conflict,
        "saved": saved,
        "may_label": may_label,
        "form": _with_seen(request.POST, newest) if form else LabelForm(initial=_initial(newest, request)),
        "mine": mine,
        "mine_tags": as_list(mine.tags) if mine else [],
        "save_value": mine.value if mine else newest.value if newest else "",
        "used_tags": queries.used_tags() if may_label else [],
        "queue": queue,
    }
    if queue is not None:
        before = queries.labelled_before(trace.pk, request.user)
        context |= {
            "progress": queries.progress(queue),
            "skip_address": _next_address(queue, trace.pk),
            "back_address": _in_queue(before, queue) if before else "",
        }
    if request.htmx:  # which swaps nothing from a 4xx
        if "strip" in request.POST:
            own = newest is not None and newest.created_by_id == request.user.pk
            kept = {"tags": " ".join(context["newest_tags"]), "note": newest.note if newest is not None and own else ""}
            return render(request, "curation/_label_strip.html", context | kept)
        return render(request, "curation/_label_panel.html", context)
    parts = [part(kind, text, limit=PART_CHARS) for kind, text in queries.texts_of(trace)]
    return render(request, "curation/label.html", context | {"parts": parts}, status=status)


def _initial(newest: Label | None, request: MemberRequest) -> dict[str, object]:
    """Start from the state of the trace; a note is one person's words, so only one's own is there to be edited."""
    if newest is None:
        return {}
    own = newest.created_by_id == request.user.pk
    tags = " ".join(as_list(newest.tags))
    return {"seen": newest.pk, "rating": newest.rating, "tags": tags, "note": newest.note if own else ""}


def _with_seen(entries: QueryDict, newest: Label | None) -> LabelForm:
    """The same entries again, now with the newest label in view: posting once more is then a decision, not an accident."""
    again = LabelForm({**entries.dict(), "seen": str(newest.pk) if newest else ""})
    again.is_valid()
    return again


def _queue_of(request: MemberRequest) -> str | None:
    """The queue that the page belongs to: from the form, the address, or the address of the page around the fragment."""
    for params in (request.POST, request.GET):
        if "queue" in params:
            return queries.queue_query(params["queue"])
    around = QueryDict(urlsplit(request.htmx.current_url or "").query if request.htmx else "")
    return queries.queue_query(around["queue"]) if "queue" in around else None


def _in_group(trace: Trace) -> str:
    return f"{reverse('traces:group', args=[trace.run_id, trace.problem_id])}#sample-{trace.sample_index + 1}"


def _in_queue(trace_id: int, query: str) -> str:
    return f"{reverse('traces:detail', args=[trace_id])}?{urlencode({'queue': query})}"


def _next_address(queue: str, after: int) -> str:
    query = queries.queue_query(queue)
    return f"{reverse('curation:next')}?{query}{'&' if query else ''}after={after}"


def _go(request: MemberRequest, address: str) -> HttpResponse:
    return HttpResponseClientRedirect(address) if request.htmx else HttpResponseRedirect(address)
