"""`manage.py replay --run NAME --engine NAME`: give traces the tokens and routing of a local engine that reads them."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from webapp.engines.models import Engine
from webapp.jobs.models import Job, JobState
from webapp.traces.models import Run
from webapp.traces.replay_actions import request_replay
from workers import replaying
from workers.command import add_queue_option, run_command


class Command(BaseCommand):
    help = "Replay the traces of a run, or some traces, through a local engine: tokens and routing of a text that came without."

    def add_arguments(self, parser: ArgumentParser) -> None:
        what = parser.add_mutually_exclusive_group(required=True)
        what.add_argument("--run", metavar="NAME", help="all traces of this run")
        what.add_argument(
            "--trace", type=int, action="append", metavar="ID", help="this trace; may be given several times"
        )
        parser.add_argument("--engine", required=True, metavar="NAME")
        add_queue_option(parser)

    def handle(
        self, *_args: Any, run: str | None, trace: list[int] | None, engine: str, queue: bool, **_options: Any
    ) -> None:
        by = Engine.objects.filter(name=engine).first()
        if by is None:
            raise CommandError(f"There is no engine named {engine!r}.")
        target = Run.objects.filter(name=run).first() if run else None
        if run and target is None:
            raise CommandError(f"There is no run named {run!r}.")

        def create() -> Job:
            job = request_replay(by, by=None, run=target, trace_ids=trace)
            if job.state == JobState.RUNNING:
                raise ValueError(f"This is being replayed already, by job {job.pk}.")
            return job

        job = run_command(create, replaying.run, queue=queue, stderr=self.stderr)
        if not queue:
            self.stdout.write(job.message)
