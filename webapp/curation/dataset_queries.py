"""Reads of datasets: their versions, what a manifest says in facts, the first rows, the files of an export."""

from dataclasses import dataclass
from typing import NamedTuple

from django.db.models import Count, Max, OuterRef, Prefetch, QuerySet, Subquery
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from webapp.curation.models import Dataset, DatasetVersion, Export, ExportFormat

FORMAT_HELP = {
    ExportFormat.SFT_MESSAGES_JSONL: _(
        "A conversation a line in “messages”; the last message holds think and answer in R1 form. TRL, LLaMA-Factory and axolotl read it."
    ),
    ExportFormat.SFT_MESSAGES_PARQUET: _("The same conversations as typed columns: smaller, and quick to load."),
    ExportFormat.COLD_START_JSONL: _(
        "The question in “prompt”, think and answer in R1 form in “completion”: a trainer learns from the completion alone. Every row needs a think."
    ),
    ExportFormat.COLD_START_PARQUET: _("The same cold-start rows as typed columns."),
}


class Format(NamedTuple):
    """An export format as it is offered."""

    name: str
    label: str | Promise
    help: str | Promise


def formats() -> list[Format]:
    """The formats that can be written, in the order in which they are offered."""
    return [format_of(value) for value in ExportFormat.values]


def format_of(name: str) -> Format:
    """The format called `name`; a name that this version does not know stands for itself."""
    known = ExportFormat(name) if name in ExportFormat.values else None
    return Format(name, known.label if known else name, FORMAT_HELP.get(known, "") if known else "")


@dataclass(frozen=True, slots=True)
class ExportFile:
    """A file of an export: its name there, its path in the store, its size."""

    name: str
    path: str
    bytes: int
    sha256: str

    @property
    def basename(self) -> str:
        return self.name.rsplit("/", 1)[-1]


def files_of(export: Export) -> list[ExportFile]:
    """The files of an export that is written whole; none before that."""
    if not export.path:
        return []
    return [
        ExportFile(str(f["name"]), f"{export.path}/{f['name']}", int(f["bytes"]), str(f["sha256"]))
        for f in export.files
    ]


def listed() -> QuerySet[Dataset]:
    """Datasets by name with `version_count`, `newest` (its number), `newest_rows` and `newest_at`."""
    newest = DatasetVersion.objects.filter(dataset=OuterRef("pk")).order_by("-number")
    return (
        Dataset.objects.annotate(
            version_count=Count("versions"),
            newest=Max("versions__number"),
            newest_rows=Subquery(newest.values("row_count")[:1]),
            newest_at=Subquery(newest.values("created_at")[:1]),
        )
        .select_related("created_by")
        .order_by("name")
    )


def versions_of(dataset: Dataset) -> list[DatasetVersion]:
    """The versions of a dataset, the newest first, with selection, maker and exports."""
    exports = Export.objects.select_related("job").order_by("pk")
    return list(
        dataset.versions.select_related("selection", "created_by", "dataset")
        .prefetch_related(Prefetch("exports", exports))
        .order_by("-number")
    )


class Offer(NamedTuple):
    """A format together with the version's newest export in it, None where there is none."""

    format: Format
    export: Export | None


def offers(version: DatasetVersion) -> list[Offer]:
    """The formats with what is there of each; reads the prefetched exports of `versions_of`."""
    newest = {export.format: export for export in version.exports.all()}
    return [Offer(one, newest.get(one.name)) for one in formats()]
