"""Writes of datasets: a frozen version, an export with its job. A version never changes once it is there.

Left out: how rows are frozen (workers/rejection.py) and how an export is written (workers/export.py).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import transaction
from django.db.models import Max
from django.utils.translation import gettext as _

from webapp.accounts.actions import record
from webapp.accounts.models import User
from webapp.curation.models import Dataset, DatasetVersion, Export, ExportFormat, Selection
from webapp.dispatch import DEFAULT_QUEUE
from webapp.jobs import actions as jobs
from webapp.jobs.models import JobKind


@dataclass(frozen=True, slots=True)
class FrozenRows:
    """Rows that lie in the store: the path there, their number, the SHA-256 over their canonical form."""

    path: str
    count: int
    content_hash: str


@transaction.atomic
def add_version(
    selection: Selection, *, dataset: str, rows: FrozenRows, manifest: dict[str, Any], by: User | None, at: datetime
) -> DatasetVersion:
    """Add the next version of `dataset` (made when new), drawn by `selection`; asked again for it, the version that is there.

    Raises ValueError when the selection has frozen other rows in this dataset before.
    """
    home, created = Dataset.objects.get_or_create(name=dataset, defaults={"created_by": by, "created_at": at})
    if created:
        record("dataset.created", f"dataset {home.pk}", by=by, detail={"name": dataset})
    Dataset.objects.select_for_update().get(pk=home.pk)  # two that freeze at once get two numbers
    known = home.versions.filter(selection=selection).first()
    if known is not None:
        if known.content_hash != rows.content_hash:
            raise ValueError(
                _("Selection “%(name)s” has frozen other rows as %(version)s.") % {"name": selection, "version": known}
            )
        return known
    number = (home.versions.aggregate(last=Max("number"))["last"] or 0) + 1
    version = DatasetVersion.objects.create(
        dataset=home, number=number, selection=selection, rows_path=rows.path, row_count=rows.count,
        content_hash=rows.content_hash, manifest={**manifest, "dataset": dataset, "version": number}, created_at=at, created_by=by,
    )  # fmt: skip
    detail: dict[str, object] = {"dataset": dataset, "number": number, "rows": rows.count, "hash": rows.content_hash}
    record("dataset.frozen", f"dataset {home.pk}", by=by, detail=detail)
    return version


@transaction.atomic
def create_export(version: DatasetVersion, *, format: str, by: User | None, at: datetime) -> Export:  # noqa: A002  # the column's name
    """Add an export and the job that writes it (args {"export_id"}). Raises ValueError for a format that is not known.

    Where the version is written in this format already, or is being written, that export is returned.
    """
    if format not in ExportFormat.values:
        known = ", ".join(ExportFormat.values)
        raise ValueError(
            _("There is no export format “%(format)s”; known: %(known)s.") % {"format": format, "known": known}
        )
    for known_export in version.exports.filter(format=format).select_related("job").order_by("-pk"):
        if known_export.path or (known_export.job is not None and not known_export.job.is_finished):
            return known_export
    export = Export.objects.create(version=version, format=format, created_at=at, created_by=by)
    export.job = jobs.create(
        JobKind.EXPORT, title=_("Export %(version)s as %(format)s") % {"version": version, "format": format}, by=by,
        args={"export_id": export.pk}, queue=DEFAULT_QUEUE, total=version.row_count, unit=_("rows"),
    )  # fmt: skip
    export.save(update_fields=["job"])
    record(
        "dataset.export", f"dataset {version.dataset_id}", by=by, detail={"number": version.number, "format": format}
    )
    return export


def finish_export(export: Export, *, path: str, files: Sequence[dict[str, Any]]) -> None:
    """Offer an export that lies whole in the store: `files` is [{"name", "bytes", "sha256"}]."""
    Export.objects.filter(pk=export.pk).update(path=path, files=list(files))
    export.path, export.files = path, list(files)
