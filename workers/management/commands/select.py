"""`manage.py select --run NAME --recipe FILE.json --dataset NAME`: rejection sampling into a dataset version."""

import json
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from webapp.curation.models import Selection
from webapp.curation.selection_actions import create_selection
from webapp.jobs.models import Job
from webapp.traces.models import Run
from workers import rejection
from workers.command import add_queue_option, run_command


class Command(BaseCommand):
    help = "Draw a dataset version from runs by a recipe (see webapp/starter/recipes)."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--run", required=True, action="append", dest="runs", metavar="NAME", help="may be given several times"
        )
        parser.add_argument("--recipe", required=True, type=Path, metavar="FILE.json")
        parser.add_argument("--dataset", required=True, metavar="NAME")
        parser.add_argument("--name", default="", help="of the selection; default: dataset and number")
        add_queue_option(parser)

    def handle(
        self, *_args: Any, runs: list[str], recipe: Path, dataset: str, name: str, queue: bool, **_options: Any
    ) -> None:
        document = _read(recipe)
        run_ids = _run_ids(runs)

        def create() -> Job:
            chosen = name or _free_name(dataset)
            selection = create_selection(
                name=chosen, recipe=document, run_ids=run_ids, dataset=dataset, by=None, at=timezone.now()
            )
            assert selection.job is not None  # noqa: S101  # create_selection attaches it
            return selection.job

        job = run_command(create, rejection.run, queue=queue, stderr=self.stderr)
        if queue:
            return
        for step in job.result["funnel"]:
            self.stdout.write(
                f"{step['step']:<20}{step['problems']:>9,} problems {step['traces']:>9,} traces {step['rejected']:>9,} rejected"
            )
        self.stdout.write(job.message)


def _read(path: Path) -> object:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise CommandError(f"{path} cannot be read: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise CommandError(f"{path} is not JSON: {error}") from error


def _run_ids(names: list[str]) -> list[int]:
    known = dict(Run.objects.filter(name__in=names).values_list("name", "pk"))
    if missing := [name for name in names if name not in known]:
        raise CommandError(f"There is no run named {', '.join(map(repr, missing))}.")
    return [known[name] for name in names]


def _free_name(dataset: str) -> str:
    """The dataset's name with the next number that no selection has."""
    number = Selection.objects.count() + 1
    while Selection.objects.filter(name=f"{dataset} {number}").exists():
        number += 1
    return f"{dataset} {number}"
