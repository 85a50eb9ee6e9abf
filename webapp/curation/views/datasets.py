"""Datasets: the list, and the page of a version with its manifest, card, first rows and exports."""

import json
from typing import Any

from django.core.paginator import Paginator
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, render
from django.utils.text import slugify
from django.views.decorators.http import require_safe

from webapp.accounts.access import MemberRequest, role_required
from webapp.accounts.models import Role
from webapp.curation import dataset_queries, dataset_rows
from webapp.curation.models import Dataset, DatasetVersion

PER_PAGE = 50


@require_safe
@role_required(Role.VIEWER)
def datasets(request: MemberRequest) -> HttpResponse:
    """All datasets by name."""
    page = Paginator(dataset_queries.listed(), PER_PAGE).get_page(request.GET.get("page"))
    context = {"page": page, "datasets": page.object_list, "may_select": request.user.may(Role.EDITOR)}
    return render(request, "curation/datasets.html", context)


@require_safe
@role_required(Role.VIEWER)
def dataset(request: MemberRequest, dataset_id: int) -> HttpResponse:
    """A dataset by its newest version."""
    return _page(request, get_object_or_404(Dataset, pk=dataset_id), None)


@require_safe
@role_required(Role.VIEWER)
def version(request: MemberRequest, dataset_id: int, number: int) -> HttpResponse:
    """One version of a dataset."""
    return _page(request, get_object_or_404(Dataset, pk=dataset_id, versions__number=number), number)


@require_safe
@role_required(Role.VIEWER)
def manifest(request: MemberRequest, dataset_id: int, number: int) -> HttpResponse:
    """The manifest as a file."""
    row = get_object_or_404(DatasetVersion.objects.select_related("dataset"), dataset=dataset_id, number=number)
    text = json.dumps(row.manifest, indent=2, ensure_ascii=False, sort_keys=True)
    response = HttpResponse(text, content_type="application/json")
    name = f"{slugify(row.dataset.name) or 'dataset'}-v{row.number}-manifest.json"
    response.headers["Content-Disposition"] = f'attachment; filename="{name}"'
    return response


def _page(request: MemberRequest, home: Dataset, number: int | None) -> HttpResponse:
    versions = dataset_queries.versions_of(home)
    shown = next((row for row in versions if number in (None, row.number)), None)
    context: dict[str, Any] = {"dataset": home, "versions": versions, "version": shown}
    if shown is not None:
        offers = dataset_queries.offers(shown)
        written = [offer.export for offer in offers if offer.export and offer.export.path]
        context |= {
            "facts": dataset_rows.facts(shown.manifest),
            "manifest_json": json.dumps(shown.manifest, indent=2, ensure_ascii=False, sort_keys=True),
            "preview": dataset_rows.preview(shown),
            "formats": offers,
            "card": dataset_rows.card(dataset_queries.files_of(written[0])) if written else None,
            "may_export": request.user.may(Role.EDITOR),
        }
    return render(request, "curation/dataset.html", context)
