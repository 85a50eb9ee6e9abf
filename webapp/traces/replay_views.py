"""Replays as pages: asked for one trace on its own page, for all of a run on a page of theirs, and followed while they work."""

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST, require_safe
from django_htmx.http import HttpResponseClientRefresh, HttpResponseStopPolling

from webapp.accounts.access import MemberRequest, role_required
from webapp.accounts.models import Role
from webapp.engines.models import Engine
from webapp.jobs.models import Job
from webapp.traces import replay_queries
from webapp.traces.models import Run, Trace
from webapp.traces.replay_actions import request_replay


@require_POST
@role_required(Role.EDITOR)
def replay(request: MemberRequest, trace_id: int) -> HttpResponse:
    """Ask for the tokens and routing of a trace by the chosen engine."""
    trace = get_object_or_404(Trace.objects.only("pk"), pk=trace_id)
    _ask(request, trace_ids=[trace.pk])
    return redirect(reverse("traces:detail", args=[trace.pk]) + "#replay")


@require_safe
@role_required(Role.VIEWER)
def replay_state(request: MemberRequest, trace_id: int) -> HttpResponse:
    """How far the replay of a trace is. When it has brought something the whole page is to be asked for again."""
    trace = get_object_or_404(Trace.objects.only("pk"), pk=trace_id)
    job = replay_queries.last_replay(trace.pk)
    if job is None or replay_queries.has_brought(job):
        return HttpResponseClientRefresh() if request.htmx else redirect("traces:detail", trace.pk)
    context = {"job": job, "poll_url": reverse("traces:replay_state", args=[trace.pk])}
    response = render(request, "_components/job.html", context)
    return HttpResponseStopPolling(response.content) if job.is_finished else response


@require_http_methods(["GET", "HEAD", "POST"])
@role_required(Role.EDITOR)
def run_replay(request: MemberRequest, run_id: int) -> HttpResponse:
    """Choose the engine through which all traces of a run are replayed, and ask for it."""
    run = get_object_or_404(Run.objects.select_related("engine"), pk=run_id)
    if request.method == "POST":
        job = _ask(request, run=run)
        return redirect("jobs:detail", job.pk) if job else redirect("traces:run_replay", run.pk)
    traces = Trace.objects.filter(run=run)
    context = {
        "run": run,
        "engines": replay_queries.local_engines(),
        "count": traces.count(),
        "without": traces.filter(store_path="").count(),
    }
    return render(request, "traces/replay.html", context)


def _ask(request: MemberRequest, *, run: Run | None = None, trace_ids: list[int] | None = None) -> Job | None:
    """The job that was asked for; None, with a message, where that makes no sense."""
    text = request.POST.get("engine", "")
    number = int(text) if text.isascii() and text.isdigit() and len(text) < 12 else 0
    engine = Engine.objects.filter(pk=number).first()
    if engine is None:
        messages.error(request, _("Choose an engine that is registered here."))
        return None
    try:
        return request_replay(engine, by=request.user, run=run, trace_ids=trace_ids)
    except ValueError as error:
        messages.error(request, str(error))
        return None
