"""Selections: the list, a new recipe, its preview, and the page of one with every candidate's fate."""

import uuid
from typing import Any

from django.contrib import messages
from django.core.paginator import Paginator
from django.http import Http404, HttpResponse, HttpResponseBase
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_safe
from django_htmx.http import HttpResponseClientRefresh

from webapp.accounts.access import MemberRequest, role_required
from webapp.accounts.models import Role
from webapp.curation import recipe_form, recipes, selection_actions, selection_queries
from webapp.curation.forms import RunSelectionForm
from webapp.curation.models import Selection
from webapp.curation.recipe_form import RecipeForm
from webapp.jobs.models import Job, JobKind, JobState

PER_PAGE = 50


@require_safe
@role_required(Role.VIEWER)
def selections(request: MemberRequest) -> HttpResponse:
    """All selections, the newest first."""
    page = Paginator(selection_queries.listed(), PER_PAGE).get_page(request.GET.get("page"))
    rows = [(row, row.funnel[0] if row.funnel else None, row.funnel[-1] if row.funnel else None) for row in page]
    context = {"page": page, "rows": rows, "may_select": request.user.may(Role.EDITOR)}
    return render(request, "curation/selections.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
@role_required(Role.EDITOR)
def selection_new(request: MemberRequest) -> HttpResponse:
    """Choose runs and rules. A POST asks for a preview, or loads a preset or a JSON text into the form."""
    if request.method != "POST":
        recipe, run_ids = _starting_point(request)
        return _form(request, RecipeForm(initial=recipe_form.initial(recipe)), run_ids, recipe=recipe)
    run_ids = _ids(request.POST.getlist("run"))
    if "preset" in request.POST or "load" in request.POST:
        return _load(request, run_ids)
    form = RecipeForm(request.POST)
    if request.htmx:  # the recipe in words, while it is being written
        return render(request, "curation/_recipe_view.html", _said(_recipe_of(form)) | {"form": form})
    if form.is_valid():
        try:
            job = selection_actions.request_preview(recipe=form.document(), run_ids=run_ids, by=request.user)
        except ValueError as error:
            form.add_error(None, str(error))
        else:
            return redirect("curation:selection_preview", job.pk)
    return _form(request, form, run_ids, recipe=_recipe_of(form), status=422)


@require_http_methods(["GET", "HEAD", "POST"])
@role_required(Role.VIEWER)
def selection_preview(request: MemberRequest, job_id: uuid.UUID) -> HttpResponseBase:
    """What a recipe would keep; a POST runs it for good."""
    job = get_object_or_404(Job, pk=job_id, kind=JobKind.SELECT)
    if not job.args.get("preview"):
        raise Http404
    return _run(request, job) if request.method == "POST" else _preview(request, job)


@require_safe
@role_required(Role.VIEWER)
def selection(request: MemberRequest, selection_id: int) -> HttpResponse:
    """The funnel, every candidate with its fate and the rule that decided it, and the dataset version drawn."""
    row = get_object_or_404(selection_queries.listed(), pk=selection_id)
    if request.htmx:
        ended = row.job is None or row.job.is_finished
        return HttpResponseClientRefresh() if ended else render(request, "_components/job.html", _job(row))
    fate, rule = request.GET.get("fate", ""), request.GET.get("rule", "")
    found = selection_queries.candidates(row, fate=fate, rule=rule)
    counts = selection_queries.rule_counts(row)
    context = _job(row) | {
        "selection": row,
        "steps": selection_queries.steps(row.funnel),
        "words": recipes.in_words(recipes.parse(row.recipe)),
        "recipe_json": recipe_form.as_json(recipes.parse(row.recipe)),
        "counts": counts,
        "decided": sum(count.count for count in counts),
        "fate": fate,
        "rule": rule,
        "page": (page := Paginator(found, PER_PAGE).get_page(request.GET.get("page"))),
        "candidates": [(candidate, selection_queries.rule_name(candidate.rule)) for candidate in page],
        "may_select": request.user.may(Role.EDITOR),
    }
    return render(request, "curation/selection.html", context)


def _job(row: Selection) -> dict[str, Any]:
    return {"job": row.job, "poll_url": reverse("curation:selection", args=[row.pk])}


def _starting_point(request: MemberRequest) -> tuple[recipes.Recipe, list[int]]:
    """The recipe and the runs that the form opens with: of a preview (`from`), of a selection (`like`), or a preset."""
    run_ids = _ids(request.GET.getlist("run"))
    job_id = _uuid(request.GET.get("from", ""))
    job = Job.objects.filter(pk=job_id, kind=JobKind.SELECT).first() if job_id else None
    if job is not None and job.args.get("preview"):
        return recipes.parse(job.args["recipe"]), run_ids or list(job.args["run_ids"])
    for row in Selection.objects.filter(pk__in=_ids([request.GET.get("like", "")])):
        return recipes.parse(row.recipe), run_ids or list(row.runs.values_list("pk", flat=True))
    return _preset(request.GET.get("preset", "")), run_ids


def _preset(name: str) -> recipes.Recipe:
    known = recipe_form.presets()
    return known.get(name) or known.get(recipe_form.DEFAULT_PRESET, recipes.Recipe())


def _load(request: MemberRequest, run_ids: list[int]) -> HttpResponse:
    text = request.POST.get("recipe_json", "")
    try:
        recipe = _preset(request.POST["preset"]) if "preset" in request.POST else recipe_form.read_json(text)
    except ValueError as error:
        form = RecipeForm(request.POST)
        said = {"json_error": str(error), "json_text": text}
        return _form(request, form, run_ids, recipe=_recipe_of(form), status=422, **said)
    return _form(request, RecipeForm(initial=recipe_form.initial(recipe)), run_ids, recipe=recipe)


def _recipe_of(form: RecipeForm) -> recipes.Recipe | None:
    """The recipe that the form says; None when it cannot be followed. Errors of the form as a whole are not the recipe's."""
    document = form.checked_document()
    return recipes.parse(document) if document is not None else None


def _form(
    request: MemberRequest,
    form: RecipeForm,
    run_ids: list[int],
    *,
    recipe: recipes.Recipe | None = None,
    status: int = 200,
    **more: Any,
) -> HttpResponse:
    context = _said(recipe) | {
        "form": form,
        "runs": selection_queries.runs_to_choose(run_ids),
        "presets": [(name, recipe_form.PRESET_NAMES.get(name, name)) for name in recipe_form.presets()],
    }
    return render(request, "curation/selection_new.html", context | more, status=status)


def _said(recipe: recipes.Recipe | None) -> dict[str, Any]:
    return {
        "words": recipes.in_words(recipe) if recipe else [],
        "recipe_json": recipe_form.as_json(recipe) if recipe else "",
    }


def _preview(
    request: MemberRequest, job: Job, *, form: RunSelectionForm | None = None, status: int = 200
) -> HttpResponse:
    recipe = recipes.parse(job.args["recipe"])
    context = {
        "job": job,
        "poll_url": reverse("curation:selection_preview", args=[job.pk]),
        "steps": selection_queries.steps(job.result.get("funnel", [])),
        "words": recipes.in_words(recipe),
        "recipe_json": recipe_form.as_json(recipe),
        "form": form or RunSelectionForm(),
        "may_select": request.user.may(Role.EDITOR),
    }
    template = "curation/_preview.html" if request.htmx else "curation/selection_preview.html"
    return render(request, template, context, status=status)


@role_required(Role.EDITOR)
def _run(request: MemberRequest, job: Job) -> HttpResponse:
    form = RunSelectionForm(request.POST)
    if job.state != JobState.DONE:
        messages.error(request, _not_ready(job))
        return redirect("curation:selection_preview", job.pk)
    if form.is_valid():
        wanted = {**form.cleaned_data, "recipe": job.args["recipe"], "run_ids": job.args["run_ids"]}
        twin = selection_queries.made_already(**wanted)  # a second click is the same wish
        if twin is not None:
            return redirect("curation:selection", twin.pk)
        try:
            row = selection_actions.create_selection(**wanted, by=request.user, at=timezone.now())
        except ValueError as error:
            form.add_error(None, str(error))
        else:
            return redirect("curation:selection", row.pk)
    return _preview(request, job, form=form, status=422)


def _not_ready(job: Job) -> str:
    if job.is_finished:
        return _(
            "This preview was not finished, so nobody has seen what the recipe keeps. Change the recipe or resume its job."
        )
    return _("This preview is still being counted. Run the recipe when its funnel is here.")


def _ids(values: list[str]) -> list[int]:
    """The values that are ids, each once, in order; an address may hold anything."""
    return list(
        dict.fromkeys(int(value) for value in values if value.isdecimal() and value.isascii() and len(value) < 19)
    )


def _uuid(value: str) -> uuid.UUID | None:
    try:
        return uuid.UUID(value)
    except ValueError:
        return None
