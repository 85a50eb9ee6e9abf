"""Importing problems: the shared pages of importing.py, and procedural sets."""

import uuid

from django.http import HttpResponse, HttpResponseBase
from django.shortcuts import redirect
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from webapp.accounts.access import MemberRequest, role_required
from webapp.accounts.models import Role, User
from webapp.jobs.models import Job, JobKind
from webapp.problems import importing
from webapp.problems.import_actions import start_problem_import, start_procedural_import
from webapp.problems.import_forms import ProceduralForm
from webapp.problems.models import ProblemSet
from webapp.problems.uploads import ImportSource


def _start(source: ImportSource, by: User, name: str, format_name: str) -> Job:
    return start_problem_import(source, by=by, set_name=name, format_name=format_name)


PAGES = importing.ImportPages(
    namespace="problems",
    kind=JobKind.IMPORT_PROBLEMS,
    title=_("Import problems"),
    list_title=_("Problems"),
    name_label=_("Problem set"),
    name_help=lambda _source: gettext("A set of this name that exists already gets the problems that it lacks."),
    accepts=_(
        "GSM8K, MATH-500, or rows with a prompt and an answer: JSON lines, JSON, CSV, Parquet; gzip or Zstandard too."
    ),
    rows_template="problems/_import_rows.html",
    list_url="problems:list",
    default_name=lambda stem, _source: stem[:180],
    start=_start,
)


@require_http_methods(["GET", "HEAD", "POST"])
@role_required(Role.EDITOR)
def upload(request: MemberRequest) -> HttpResponseBase:
    """Choose a file of problems, or have problems made."""
    return importing.upload_page(request, PAGES, procedural=ProceduralForm())


@require_POST
@role_required(Role.EDITOR)
def procedural(request: MemberRequest) -> HttpResponseBase:
    """Make procedural problems."""
    form = ProceduralForm(request.POST)
    if not form.is_valid():
        request.method = "GET"  # the page as it is first shown, with this form's errors
        response = importing.upload_page(request, PAGES, procedural=form)
        response.status_code = 422
        return response
    data = form.cleaned_data
    name = data["set_name"] or f"{data['family']} {data['size']} seed {data['seed']}"
    given = {key: data[key] for key in ("family", "size", "seed", "split")}
    job = start_procedural_import(by=request.user, set_name=name, **given)
    return redirect("problems:import_report", job.pk)


@require_http_methods(["GET", "HEAD", "POST"])
@role_required(Role.EDITOR)
def preview(request: MemberRequest, job_id: uuid.UUID) -> HttpResponseBase:
    """What was understood of an uploaded file, before anything is stored."""
    return importing.preview_page(request, PAGES, job_id)


@require_safe
@role_required(Role.EDITOR)
def report(request: MemberRequest, job_id: uuid.UUID) -> HttpResponse:
    """The import's progress and report."""
    job = Job.objects.filter(pk=job_id).first()
    problem_set = ProblemSet.objects.filter(pk=job.args.get("set_id")).first() if job else None
    return importing.report_page(request, PAGES, job_id, target={"problem_set": problem_set})


@require_safe
@role_required(Role.EDITOR)
def report_file(_request: MemberRequest, job_id: uuid.UUID) -> HttpResponse:
    """The report as JSON."""
    return importing.report_file(PAGES, job_id)
