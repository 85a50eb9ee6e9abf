"""`manage.py import_traces FILE`: traces of a file into an import run, with their problems."""

import json
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from webapp.jobs.models import Job
from webapp.problems.models import ProblemSet
from webapp.problems.uploads import of_path, stem_of, store_file
from webapp.traces.import_actions import free_run_name, start_trace_import
from webapp.traces.models import Run
from workers import ingest
from workers.command import add_queue_option, run_command
from workers.formats import AUTO, formats_of


class Command(BaseCommand):
    help = "Import traces from a file (JSON lines, JSON, CSV, Parquet; gzip and Zstandard too). A row that is there already is not added again."

    def add_arguments(self, parser: ArgumentParser) -> None:
        names = ", ".join(f"{fmt.name} ({fmt.label})" for fmt in formats_of("traces"))
        parser.add_argument("file", type=Path, metavar="FILE")
        parser.add_argument("--format", default=AUTO, help=f"{AUTO} recognises it by content; else {names}")
        parser.add_argument(
            "--run",
            dest="run_name",
            metavar="NAME",
            help="the run; by default the one this file went into before, else named after it",
        )
        parser.add_argument(
            "--set",
            dest="set_name",
            metavar="NAME",
            help="problem set for the questions; by default one of the run's own",
        )
        parser.add_argument("--report", type=Path, metavar="FILE.json", help="write the report there")
        add_queue_option(parser)

    def handle(self, *_args: Any, file: Path, queue: bool, report: Path | None, **options: Any) -> None:
        if queue and report:
            raise CommandError("--report needs the work to be done here; leave out --queue.")
        problem_set = _find_set(options["set_name"])

        def create() -> Job:
            source = store_file(file) if queue else of_path(file)
            name = options["run_name"] or free_run_name(stem_of(file.name), sha256=source.sha256)
            return start_trace_import(
                source, by=None, run_name=name, format_name=options["format"], problem_set=problem_set
            )

        try:
            job = run_command(create, ingest.run_traces, queue=queue, stderr=self.stderr)
            if report:
                report.write_text(
                    json.dumps(job.result["report"], indent=2, ensure_ascii=False) + "\n", encoding="utf-8"
                )
        except OSError as error:
            raise CommandError(f"Cannot use {error.filename}: {error.strerror}") from error
        if not queue:
            self._tell(job)

    def _tell(self, job: Job) -> None:
        found = job.result["report"]
        for row in found["rejected"][:20]:
            self.stderr.write(f"line {row['line']}: {row['why']}")
        if found["rejected_count"] > 20:
            self.stderr.write(f"... and {found['rejected_count'] - 20:,} more rejected rows; --report lists them")
        for words, count in found["lost"].items():
            self.stderr.write(f"{words}: {count:,} rows")
        run = Run.objects.get(pk=job.result["run_id"])
        self.stdout.write(f"{job.message} (run {run.name!r}, format {found['format']})")


def _find_set(name: str | None) -> ProblemSet | None:
    if name is None:
        return None
    found = ProblemSet.objects.filter(name=name).first()
    if found is None:
        raise CommandError(f"There is no problem set {name!r}.")
    return found
