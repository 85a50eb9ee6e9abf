"""The pages of an import, shared by problems and traces: upload, preview, confirm, progress, report.

Three addresses: the upload, the preview of an uploaded file (a short job reads its beginning, for the web process parses nothing), and the
import itself, which shows progress and then its report. Nothing is stored before the confirmation but the file under an id of ours.
"""

import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.contrib import messages
from django.http import Http404, HttpResponse, HttpResponseBase, JsonResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.functional import Promise
from django.utils.translation import gettext as _

from webapp.accounts.access import MemberRequest
from webapp.accounts.models import User
from webapp.jobs.models import Job, JobKind, JobState
from webapp.problems.import_actions import start_preview
from webapp.problems.import_forms import ConfirmForm, UploadForm
from webapp.problems.uploads import ImportSource, path_of, stem_of, store


@dataclass(frozen=True)
class ImportPages:
    """What differs between importing problems and importing traces."""

    namespace: str  # of the addresses
    kind: JobKind
    title: Promise
    list_title: Promise
    name_label: Promise
    name_help: Callable[[ImportSource], str]
    accepts: Promise  # what may be uploaded, in a sentence
    rows_template: str
    list_url: str
    default_name: Callable[[str, ImportSource], str]
    start: Callable[[ImportSource, User, str, str], Job]  # source, by, name, format
    finding_label: Callable[[str], str] = str  # the words for a finding of a trace

    @property
    def upload_url(self) -> str:
        return f"{self.namespace}:import"

    @property
    def preview_url(self) -> str:
        return f"{self.namespace}:import_preview"

    @property
    def report_url(self) -> str:
        return f"{self.namespace}:import_report"

    @property
    def report_file_url(self) -> str:
        return f"{self.namespace}:import_report_file"


def upload_page(request: MemberRequest, pages: ImportPages, **more: object) -> HttpResponseBase:
    """Choose a file; a POST keeps it and has its beginning read."""
    form = UploadForm(request.POST, request.FILES) if request.method == "POST" else UploadForm()
    if request.method == "POST" and form.is_valid():
        uploaded = form.cleaned_data["file"]
        try:
            source = store(uploaded.chunks(), uploaded.name or _("unnamed"))
        except ValueError as error:
            form.add_error("file", str(error))
        else:
            job = start_preview(pages.kind, source, by=request.user)
            return redirect(pages.preview_url, job.pk)
    context = {"pages": pages, "form": form, "max_bytes": settings.MAX_UPLOAD_BYTES, **more}
    return render(request, "problems/import.html", context, status=422 if form.errors else 200)


def preview_page(request: MemberRequest, pages: ImportPages, job_id: uuid.UUID) -> HttpResponseBase:
    """What was understood of the file; a POST imports it, or looks again as another format."""
    job = _job(pages, job_id, preview=True)
    source = ImportSource(**{key: job.args[key] for key in ("file", "name", "size", "sha256")})
    earlier = _import_of(pages, source)
    form = _confirm_form(pages, job, source, request.POST if request.method == "POST" else None)
    if request.method == "POST" and form.is_valid():
        answer = _confirm(request, pages, job, source, form)
        if answer is not None:
            return answer
    context = {
        "pages": pages, "job": job, "source": source, "form": form, "earlier": earlier, **_understood(pages, job),
        "is_here": path_of(source.file).exists(),
    }  # fmt: skip
    template = "problems/_import_preview.html" if request.htmx else "problems/import_preview.html"
    return render(request, template, context, status=422 if form.errors else 200)


def report_page(
    request: MemberRequest, pages: ImportPages, job_id: uuid.UUID, *, target: dict[str, object]
) -> HttpResponse:
    """The import: its progress, then its report. `target` is what was filled, for the links."""
    job = _job(pages, job_id, preview=False)
    found = report_of(job)
    context = {
        "pages": pages,
        "job": job,
        "report": found,
        "lost": _most_first((found or {}).get("lost", {})),
        **target,
    }
    return render(request, "problems/_import_report.html" if request.htmx else "problems/import_report.html", context)


def report_file(pages: ImportPages, job_id: uuid.UUID) -> HttpResponse:
    """The report as JSON, to keep."""
    job = _job(pages, job_id, preview=False)
    report = report_of(job)
    if report is None:
        raise Http404
    response = JsonResponse(report, json_dumps_params={"indent": 2, "ensure_ascii": False})
    response["Content-Disposition"] = f'attachment; filename="import-{job.pk}.json"'
    return response


def report_of(job: Job) -> dict[str, Any] | None:
    """The report of an import as far as it is, None before its first chunk."""
    state = job.args.get("state") or {}
    return job.result.get("report") or state.get("report")


def _job(pages: ImportPages, job_id: uuid.UUID, *, preview: bool) -> Job:
    job = get_object_or_404(Job, pk=job_id, kind=pages.kind)
    if bool(job.args.get("preview")) is not preview:
        raise Http404
    return job


def _import_of(pages: ImportPages, source: ImportSource) -> Job | None:
    """The import that this upload went into already, unless it failed or was cancelled."""
    jobs = Job.objects.filter(kind=pages.kind, args__file=source.file).exclude(
        state__in=(JobState.FAILED, JobState.CANCELLED)
    )
    return next((job for job in jobs if not job.args.get("preview")), None)


def _confirm_form(pages: ImportPages, job: Job, source: ImportSource, data: Any) -> ConfirmForm:
    initial = {"format": job.args.get("format")}
    if data is None:
        initial["name"] = pages.default_name(stem_of(source.name), source)
    return ConfirmForm(
        data, kind=pages.kind, name_label=str(pages.name_label), name_help=pages.name_help(source), initial=initial
    )


def _confirm(
    request: MemberRequest, pages: ImportPages, job: Job, source: ImportSource, form: ConfirmForm
) -> HttpResponseBase | None:
    """Start what the form asks for; None (and an error in the form) when that cannot be."""
    earlier = _import_of(pages, source)
    if earlier is not None:  # confirmed twice: one import
        return redirect(pages.report_url, earlier.pk)
    if not path_of(source.file).exists():
        messages.error(request, _("The uploaded file is no longer there. Upload it again."))
        return redirect(pages.upload_url)
    chosen = form.cleaned_data["format"]
    if "look" in request.POST or chosen != job.args.get("format"):
        return redirect(pages.preview_url, start_preview(pages.kind, source, by=request.user, format_name=chosen).pk)
    if job.state != JobState.DONE or not job.result.get("rows"):
        form.add_error(None, _("There is nothing to import yet: see above what was understood of the file."))
        return None
    try:
        started = pages.start(source, request.user, form.cleaned_data["name"], chosen)
    except ValueError as error:
        form.add_error("name", str(error))
        return None
    return redirect(pages.report_url, started.pk)


def _understood(pages: ImportPages, job: Job) -> dict[str, object]:
    """A preview's result as the templates show it."""
    found = job.result
    rows = [
        {**row, "findings": [pages.finding_label(kind) for kind in row.get("findings", [])]}
        for row in found.get("rows", [])
    ]
    findings = [(pages.finding_label(kind), count) for kind, count in _most_first(found.get("findings", {}))]
    understood = found.get("estimate", 0) - found.get("rejected_count", 0)
    return {
        "found": found,
        "rows": rows,
        "understood": understood,
        "findings": findings,
        "lost": _most_first(found.get("lost", {})),
    }


def _most_first(counts: dict[str, int]) -> list[tuple[str, int]]:
    return sorted(counts.items(), key=lambda item: -item[1])
