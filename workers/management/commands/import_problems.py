"""`manage.py import_problems FILE`: problems of a file, or procedural ones, into a problem set."""

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from webapp.jobs.models import Job
from webapp.problems.import_actions import start_problem_import, start_procedural_import
from webapp.problems.uploads import of_path, stem_of, store_file
from workers import ingest
from workers.command import add_queue_option, run_command
from workers.formats import AUTO, formats_of


class Command(BaseCommand):
    help = (
        "Import problems from a file (JSON lines, JSON, CSV, Parquet; gzip and Zstandard too), or make procedural ones."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        names = ", ".join(f"{fmt.name} ({fmt.label})" for fmt in formats_of("problems"))
        parser.add_argument("file", nargs="?", type=Path, metavar="FILE")
        parser.add_argument("--format", default=AUTO, help=f"{AUTO} recognises it by content; else {names}")
        parser.add_argument(
            "--set", dest="set_name", metavar="NAME", help="the problem set; by default it is named after the file"
        )
        parser.add_argument(
            "--procedural", metavar="FAMILY", help="make problems of this family instead of reading a file"
        )
        parser.add_argument("--size", type=int, default=200, help="how many procedural problems (default 200)")
        parser.add_argument("--seed", type=int, default=0, help="seed of procedural problems (default 0)")
        parser.add_argument(
            "--split", choices=("heldout", "train", "any"), default="heldout",
            help="procedural problems that the bundled model never trained on (default), those it may have, or both",
        )  # fmt: skip
        add_queue_option(parser)

    def handle(self, *_args: Any, file: Path | None, procedural: str | None, queue: bool, **options: Any) -> None:
        if (file is None) == (procedural is None):
            raise CommandError("Give either a FILE or --procedural FAMILY.")

        def create() -> Job:
            if procedural is not None:
                name = options["set_name"] or f"{procedural} {options['size']} seed {options['seed']}"
                given = {key: options[key] for key in ("size", "seed", "split")}
                return start_procedural_import(by=None, family=procedural, set_name=name, **given)
            assert file is not None  # noqa: S101  # checked above
            source = store_file(file) if queue else of_path(file)
            return start_problem_import(
                source, by=None, set_name=options["set_name"] or stem_of(file.name), format_name=options["format"]
            )

        try:
            job = run_command(create, ingest.run_problems, queue=queue, stderr=self.stderr)
        except OSError as error:
            raise CommandError(f"Cannot read {file}: {error.strerror}") from error
        if not queue:
            self.stdout.write(job.message)
