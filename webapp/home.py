"""The home page: what runs, what was done last, what waits for a person, and where to begin.

It stands above the apps and reads from all of them; it writes nothing.
"""

from django.db.models import Count, Q
from django.http import HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe
from django_htmx.http import HttpResponseClientRefresh

from webapp.accounts.access import MemberRequest, role_required
from webapp.accounts.models import Role
from webapp.curation.models import DatasetVersion, Selection
from webapp.engines.models import Engine
from webapp.jobs import queries as jobs
from webapp.problems.models import Problem, ProblemSet
from webapp.traces.models import Run, RunKind, Trace

JOBS_SHOWN = 6
RUNS_SHOWN = 6


@require_safe
@role_required(Role.VIEWER)
def home(request: MemberRequest) -> HttpResponse:
    """The page; for htmx the running jobs, polled until none is left, when the page is loaded anew with what they made."""
    unfinished = jobs.unfinished()
    context: dict[str, object] = {"jobs": unfinished[:JOBS_SHOWN], "job_count": unfinished.count()}
    if request.htmx:
        return render(request, "home/_jobs.html", context) if context["job_count"] else HttpResponseClientRefresh()
    engine = Engine.objects.order_by("pk").first()
    traces = Trace.objects.aggregate(
        all=Count("pk"),
        unlabelled=Count("pk", filter=Q(label="")),
        correct=Count("pk", filter=Q(verdict="correct")),
        judged=Count("pk", filter=~Q(verdict="unscored")),
    )
    context |= {
        "traces": traces,
        "labelled": traces["all"] - traces["unlabelled"],
        "problem_count": Problem.objects.count(),
        "set_count": ProblemSet.objects.count(),
        "version_count": DatasetVersion.objects.count(),
        "runs": _runs(),
        "engine": engine,
        "steps": _steps(engine, traces),
        "may_edit": request.user.may(Role.EDITOR),
        "may_label": request.user.may(Role.ANNOTATOR),
    }
    return render(request, "home/home.html", context)


def _runs() -> list[Run]:
    counted = Run.objects.annotate(
        trace_count=Count("traces"),
        correct_count=Count("traces", filter=Q(traces__verdict="correct")),
        judged_count=Count("traces", filter=~Q(traces__verdict="unscored")),
    )
    chosen = counted.select_related("engine", "job", "problem_set").defer("params", "report", "problem_ids")
    return list(chosen.order_by("-created_at", "-pk")[:RUNS_SHOWN])


def _steps(engine: Engine | None, traces: dict[str, int]) -> dict[str, bool] | None:
    """The first way round, each step with whether it was done; None once a selection was drawn: the way is known then."""
    if Selection.objects.exists():
        return None
    return {
        "problems": Problem.objects.exists(),
        "asked": engine is not None and Run.objects.filter(kind=RunKind.GENERATE).exists(),
        "judged": traces["judged"] > 0,
        "labelled": traces["unlabelled"] < traces["all"],
    }
