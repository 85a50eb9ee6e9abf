"""The pages of runs: the list, asking an engine, one run while it works and after."""

from typing import Any

from django.contrib import messages
from django.core.paginator import Paginator
from django.http import Http404, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_http_methods, require_POST, require_safe
from django_htmx.http import HttpResponseStopPolling

from webapp.accounts.access import MemberRequest, role_required
from webapp.accounts.models import Role
from webapp.engines.models import Engine
from webapp.jobs.models import JobState
from webapp.jobs.queries import may_steer
from webapp.problems.models import ProblemSet
from webapp.traces import run_actions, run_charts, run_queries, tally_actions
from webapp.traces.models import Run, RunKind
from webapp.traces.run_filters import RunFilter
from webapp.traces.run_forms import PROMPT, SET, AskForm
from webapp.traces.verify_actions import request_verification

RUNS_A_PAGE = 50
GROUPS_A_PAGE = 50
RUN_COLUMNS = {"name": gettext_lazy("Run"), "planned": gettext_lazy("Planned"), "created": gettext_lazy("Started")}
GROUP_COLUMNS = {
    "problem": gettext_lazy("Problem"),
    "correct": gettext_lazy("Correct"),
    "think": gettext_lazy("Think"),
    "answer": gettext_lazy("Answer"),
    "tokens": gettext_lazy("Tokens"),
}


@require_safe
@role_required(Role.VIEWER)
def runs(request: MemberRequest) -> HttpResponse:
    """All runs by filter; the address holds filter, order and page."""
    criteria = RunFilter(request.GET, queryset=Run.objects.all())
    sort = request.GET.get("sort", "")
    page = Paginator(run_queries.listed(criteria.qs, sort), RUNS_A_PAGE).get_page(request.GET.get("page"))
    tally_actions.ensure_all(list(page.object_list))
    counts = run_queries.counts(list(page.object_list))
    context = {
        "criteria": criteria,
        "active": any(request.GET.get(name) for name in criteria.filters),
        "page": page,
        "rows": [(run, counts.get(run.pk, run_queries.Counts())) for run in page.object_list],
        "columns": _columns(RUN_COLUMNS, sort),
        "sort": sort,
        "may_ask": request.user.may(Role.EDITOR),
    }
    return render(request, "traces/runs.html", context)


def _columns(names: dict[str, Any], sort: str) -> dict[str, dict[str, object]]:
    """Headings of sortable columns, each with the order that a click asks for: falling first, then rising."""
    states = {name: {name: "ascending", f"-{name}": "descending"}.get(sort, "") for name in names}
    return {
        name: {"words": words, "next": name if sort == f"-{name}" else f"-{name}", "state": states[name]}
        for name, words in names.items()
    }


@require_http_methods(["GET", "HEAD", "POST"])
@role_required(Role.EDITOR)
def submit(request: MemberRequest) -> HttpResponse:
    """Ask an engine: one prompt or a problem set. The address may name engine, example, set and prompt."""
    if request.method == "POST":
        form = AskForm(request.POST)
        if form.is_valid():
            try:
                return redirect("traces:run", _started(form, request).pk)
            except ValueError as error:
                form.add_error(None, str(error))
        return _form(request, form, form.cleaned_data.get("engine") or _first_engine(), status=422)
    engine = _chosen(Engine, request.GET.get("engine")) or _first_engine()
    problem_set = _chosen(ProblemSet, request.GET.get("set"))
    initial = {
        "engine": engine,
        "what": SET if problem_set else PROMPT,
        "problem_set": problem_set,
        "prompt": _example(engine, request.GET.get("example", "")) or request.GET.get("prompt", ""),
        "max_tokens": run_actions.most_tokens(engine),
    }
    return _form(request, AskForm(initial=initial), engine)


def _started(form: AskForm, request: MemberRequest) -> Run:
    given = form.cleaned_data
    asked = {"engine": given["engine"], "sampling": form.sampling(), "by": request.user, "name": given["name"].strip()}
    if given["what"] == SET:
        return run_actions.start_generation(problem_set=given["problem_set"], limit=given["limit"], **asked)
    return run_actions.ask(prompt=given["prompt"], answer=given["answer"].strip(), verifier=given["verifier"], **asked)


def _form(request: MemberRequest, form: AskForm, engine: Engine | None, *, status: int = 200) -> HttpResponse:
    context = {"form": form, "engine": engine, "facts": engine.facts if engine else {}}
    return render(
        request, "traces/_submit_engine.html" if request.htmx else "traces/submit.html", context, status=status
    )


def _first_engine() -> Engine | None:
    return Engine.objects.order_by("pk").first()


def _chosen(model: Any, text: str | None) -> Any:
    return (
        model.objects.filter(pk=int(text)).first()
        if text and text.isascii() and text.isdigit() and len(text) < 12
        else None
    )


def _example(engine: Engine | None, number: str) -> str:
    if (
        engine is None
        or not (number.isascii() and number.isdigit())
        or len(number) > 6
        or int(number) >= len(engine.examples)
    ):
        return ""
    return str(engine.examples[int(number)].get("prompt", ""))


@require_safe
@role_required(Role.VIEWER)
def run(request: MemberRequest, run_id: int) -> HttpResponse:
    """One run: its growing text while it works; figures and groups when it has traces."""
    return render(request, "traces/run.html", _run_context(request, run_id))


@require_safe
@role_required(Role.VIEWER)
def run_fragment(request: MemberRequest, run_id: int) -> HttpResponse:
    """What moves on the run's page. When nothing works any more it comes once as a whole, and the polling stops."""
    context = _run_context(request, run_id) | {"is_fragment": True}
    response = render(request, "traces/_run.html", context)
    return response if context["is_active"] else HttpResponseStopPolling(response.content)


def _run_context(request: MemberRequest, run_id: int) -> dict[str, Any]:
    try:
        found = run_queries.run_with_all(run_id)
    except Run.DoesNotExist:
        raise Http404(_("There is no run %(id)s.") % {"id": run_id}) from None
    verification = run_queries.open_verification(found)
    is_sampling = run_queries.is_active(found.job)
    context: dict[str, Any] = {
        "run": found,
        "job": found.job,
        "verification": verification,
        "is_sampling": is_sampling,
        "is_active": run_queries.is_active(found.job, verification),
        "may_edit": request.user.may(Role.EDITOR),
        "may_steer": found.job is not None and may_steer(request.user, found.job),
        "can_resume": found.job is not None and found.job.state in (JobState.FAILED, JobState.CANCELLED),
        "is_import": found.kind == RunKind.IMPORT,
    }
    if is_sampling:
        return context | _progress(found)
    tally_actions.ensure(found.pk)
    sort = request.GET.get("sort", "")
    page = Paginator(run_queries.groups(found, sort), GROUPS_A_PAGE).get_page(request.GET.get("page"))
    return context | {
        "figures": run_queries.figures(found),
        "charts": run_charts.of_run(found),
        "page": page,
        "groups": run_queries.grouped(found, list(page.object_list)),
        "columns": _columns(GROUP_COLUMNS, sort),
        "report": found.report,
        "lost": sorted(found.report.get("lost", {}).items(), key=lambda item: -item[1]) if found.report else [],
    }


def _progress(found: Run) -> dict[str, Any]:
    """How far a run at work is, the samples included that have ended but are not saved yet."""
    assert found.job is not None  # noqa: S101  # is_sampling said so
    state = run_queries.live(found) if found.kind == RunKind.GENERATE else None
    done = max(found.job.progress_done, min(int(state["done"]), found.planned)) if state else found.job.progress_done
    total = found.job.progress_total
    progress = {"live": state, "done": done, "share": min(1.0, done / total) if total else None}
    if state is None:
        return progress
    questions = run_queries.questions({sample["problem_id"] for sample in state["samples"]})
    return progress | {
        "samples": [(sample, questions.get(sample["problem_id"], "")) for sample in state["samples"]],
        "question": next(iter(questions.values())) if len(questions) == 1 else "",
        "left": _duration(state["seconds_left"]),
    }


def _duration(seconds: float | None) -> str:
    """Time that is left, in words; "" while it is unknown."""
    if seconds is None:
        return ""
    if seconds < 0.5:
        return _("saving")
    if seconds < 90:
        return _("about %(n)s s left") % {"n": max(1, round(seconds))}
    return _("about %(n)s min left") % {"n": round(seconds / 60)}


@require_POST
@role_required(Role.EDITOR)
def verify(request: MemberRequest, run_id: int) -> HttpResponse:
    """Have the run's traces judged."""
    found = get_object_or_404(Run, pk=run_id)
    request_verification(found, by=request.user, force="force" in request.POST)
    messages.info(request, _("The run is being verified."))
    return redirect("traces:run", run_id)
