"""`manage.py export DATASET[@VERSION] --format NAME --out DIR`: a dataset version as files for a trainer."""

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from webapp.curation.dataset_actions import create_export
from webapp.curation.models import Dataset, DatasetVersion, Export, ExportFormat
from webapp.jobs.models import Job, JobState
from workers import export
from workers.command import add_queue_option, run_command


class Command(BaseCommand):
    help = "Write a dataset version in a trainer's format, with manifest and card."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("dataset", metavar="DATASET[@VERSION]", help="the newest version where none is named")
        parser.add_argument("--format", required=True, choices=ExportFormat.values)
        parser.add_argument("--out", type=Path, metavar="DIR", help="a new or empty folder; needed but with --queue")
        add_queue_option(parser)

    def handle(self, *_args: Any, dataset: str, format: str, out: Path | None, queue: bool, **_options: Any) -> None:  # noqa: A002  # the option's name
        if out is None and not queue:
            raise CommandError("Say where to write: --out DIR.")
        version = _version(dataset)
        if not _finished(version, format):

            def create() -> Job:
                row = create_export(version, format=format, by=None, at=timezone.now())
                assert row.job is not None  # noqa: S101  # create_export attaches it
                if row.job.state == JobState.RUNNING:
                    raise ValueError(f"This export is being written already, by job {row.job.pk}.")
                return row.job

            run_command(create, export.run, queue=queue, stderr=self.stderr)
        row = _finished(version, format)
        if out is None or row is None:
            return
        try:
            export.copy_to(row, out)
        except (ValueError, OSError) as error:
            raise CommandError(str(error)) from error
        self.stdout.write(f"{version}: {version.row_count:,} rows in {out}")


def _finished(version: DatasetVersion, name: str) -> Export | None:
    return version.exports.filter(format=name).exclude(path="").first()


def _version(name: str) -> DatasetVersion:
    """The version that `name` or `name@3` means. Raises CommandError when there is none."""
    dataset = Dataset.objects.filter(name=name).first()
    number: int | None = None
    if dataset is None and "@" in name:
        base, _, tail = name.rpartition("@")
        dataset = Dataset.objects.filter(name=base).first()
        if not tail.removeprefix("v").isdecimal():
            raise CommandError(f"{tail!r} is not a version number.")
        number = int(tail.removeprefix("v"))
    if dataset is None:
        known = ", ".join(Dataset.objects.order_by("name").values_list("name", flat=True)[:20]) or "none yet"
        raise CommandError(f"There is no dataset named {name!r}. There is: {known}.")
    versions = dataset.versions.select_related("dataset").order_by("-number")
    version = versions.first() if number is None else versions.filter(number=number).first()
    if version is None:
        raise CommandError(f"Dataset {dataset.name!r} has no version {number if number is not None else 'yet'}.")
    return version
