"""Exports: a dataset version written in a trainer's format, its progress, and the files to take away."""

from typing import Any

from django.http import Http404, HttpResponse, HttpResponseBase
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.text import slugify
from django.views.decorators.http import require_POST, require_safe
from django_htmx.http import HttpResponseClientRefresh

from webapp.accounts.access import MemberRequest, role_required
from webapp.accounts.models import Role
from webapp.curation import dataset_actions, dataset_queries, dataset_rows, storefiles
from webapp.curation.models import DatasetVersion, Export


@require_POST
@role_required(Role.EDITOR)
def export_new(request: MemberRequest, dataset_id: int, number: int) -> HttpResponse:
    """Ask for an export; one that is there, or on its way, is shown instead of a second."""
    version = get_object_or_404(DatasetVersion.objects.select_related("dataset"), dataset=dataset_id, number=number)
    try:
        made = dataset_actions.create_export(
            version, format=request.POST.get("format", ""), by=request.user, at=timezone.now()
        )
    except ValueError as error:
        return render(request, "curation/refused.html", {"version": version, "words": str(error)}, status=422)
    return redirect("curation:export", made.pk)


@require_safe
@role_required(Role.VIEWER)
def export(request: MemberRequest, export_id: int) -> HttpResponse:
    """The export's progress; when it is written, its files."""
    made = _export(export_id)
    context: dict[str, Any] = {"job": made.job, "poll_url": reverse("curation:export", args=[made.pk])}
    if request.htmx:
        ended = made.job is None or made.job.is_finished
        return HttpResponseClientRefresh() if ended else render(request, "_components/job.html", context)
    files = dataset_queries.files_of(made)
    context |= {
        "export": made,
        "version": made.version,
        "files": files,
        "card": dataset_rows.card(files),
        "format": dataset_queries.format_of(made.format),
    }
    return render(request, "curation/export.html", context)


@require_safe
@role_required(Role.VIEWER)
def download(request: MemberRequest, export_id: int, name: str) -> HttpResponseBase:
    """One file of an export. `name` is looked up among the export's own files and is never a path."""
    made = _export(export_id)
    found = next((file for file in dataset_queries.files_of(made) if file.name == name), None)
    if found is None:
        raise Http404
    try:
        content = storefiles.open_file(found.path)
    except (ValueError, FileNotFoundError) as error:
        raise Http404(str(error)) from error
    return storefiles.attachment(request, storefiles.chunks(content), name=found.basename, size=found.bytes)


@require_safe
@role_required(Role.VIEWER)
def download_all(request: MemberRequest, export_id: int) -> HttpResponseBase:
    """All files of an export in one zip archive, made while it is sent."""
    made = _export(export_id)
    files = dataset_queries.files_of(made)
    if not files:
        raise Http404
    folder = f"{slugify(made.version.dataset.name) or 'dataset'}-v{made.version.number}-{made.format}"
    content = storefiles.zipped([(f"{folder}/{file.name}", file.path) for file in files])
    return storefiles.attachment(request, content, name=f"{folder}.zip")


def _export(export_id: int) -> Export:
    return get_object_or_404(Export.objects.select_related("job", "version__dataset", "created_by"), pk=export_id)
