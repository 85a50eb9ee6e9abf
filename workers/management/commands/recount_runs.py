"""`manage.py recount_runs [--run NAME] [--load]`: make the counts on run pages anew from the traces."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from webapp.traces import tally_actions
from webapp.traces.models import Run


class Command(BaseCommand):
    help = (
        "Count the traces of runs again: their figures, and with --load their expert load, which reads the token store."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--run", metavar="NAME", help="only this run")
        parser.add_argument("--load", action="store_true", help="read the token store and count the expert load too")

    def handle(self, *_args: Any, run: str | None, load: bool, **_options: Any) -> None:
        runs = Run.objects.filter(**({"name": run} if run else {})).only("name").order_by("pk")
        if run and not runs:
            raise CommandError(f"There is no run named {run!r}.")
        for one in runs:
            self.stderr.write(f"Counting {one.name} …")
            words = f"{one.name}: {tally_actions.recount(one.pk):,} traces"
            if load:
                try:
                    words += f", {tally_actions.recount_load(one.pk):,} with routing"
                except ValueError as error:
                    raise CommandError(f"{one.name}: {error}") from error
            self.stdout.write(f"{words}.")
