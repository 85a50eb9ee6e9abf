"""Importing traces: the shared pages of webapp/problems/importing.py."""

import uuid

from django.http import HttpResponse, HttpResponseBase
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_http_methods, require_safe

from webapp.accounts.access import MemberRequest, role_required
from webapp.accounts.models import Role, User
from webapp.jobs.models import Job, JobKind
from webapp.problems import importing
from webapp.problems.uploads import ImportSource
from webapp.traces.import_actions import free_run_name, run_of_file, start_trace_import
from webapp.traces.models import FindingKind, Run


def _start(source: ImportSource, by: User, name: str, format_name: str) -> Job:
    return start_trace_import(source, by=by, run_name=name, format_name=format_name)


def _name_help(source: ImportSource) -> str:
    earlier = run_of_file(source.sha256)
    if earlier is not None:
        words = gettext("This very file went into the run %(name)s before; rows that it has are counted as duplicates.")
        return words % {"name": earlier.name}
    return gettext("An import of this name that exists already gets the rows that it lacks.")


def _finding_label(kind: str) -> str:
    return str(FindingKind(kind).label) if kind in FindingKind.values else kind


PAGES = importing.ImportPages(
    namespace="traces",
    kind=JobKind.IMPORT_TRACES,
    title=_("Import traces"),
    list_title=_("Traces"),
    name_label=_("Run"),
    name_help=_name_help,
    accepts=_(
        "Rows with a prompt and a completion, or conversations: JSON lines, JSON, CSV, Parquet; gzip or Zstandard too."
    ),
    rows_template="traces/_import_rows.html",
    list_url="traces:list",
    default_name=lambda stem, source: free_run_name(stem, sha256=source.sha256),
    start=_start,
    finding_label=_finding_label,
)


@require_http_methods(["GET", "HEAD", "POST"])
@role_required(Role.EDITOR)
def upload(request: MemberRequest) -> HttpResponseBase:
    """Choose a file of traces."""
    return importing.upload_page(request, PAGES)


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
    run = Run.objects.filter(pk=job.args.get("run_id")).first() if job else None
    return importing.report_page(request, PAGES, job_id, target={"run": run})


@require_safe
@role_required(Role.EDITOR)
def report_file(_request: MemberRequest, job_id: uuid.UUID) -> HttpResponse:
    """The report as JSON."""
    return importing.report_file(PAGES, job_id)
