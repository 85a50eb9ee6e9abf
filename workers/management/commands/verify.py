"""`manage.py verify --run NAME`: judge a run's traces."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from webapp.jobs.models import Job, JobState
from webapp.traces.models import Run
from webapp.traces.verify_actions import request_verification
from workers import verify
from workers.command import add_queue_option, run_command


class Command(BaseCommand):
    help = "Judge the traces of a run, each by its problem's verifier."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--run", required=True, metavar="NAME")
        parser.add_argument(
            "--force", action="store_true", help="judge again what this version of a verifier has judged"
        )
        add_queue_option(parser)

    def handle(self, *_args: Any, run: str, force: bool, queue: bool, **_options: Any) -> None:
        target = Run.objects.filter(name=run).first()
        if target is None:
            raise CommandError(f"There is no run named {run!r}.")

        def create() -> Job:
            job = request_verification(target, by=None, force=force)
            if job.state == JobState.RUNNING:
                raise ValueError(f"The run is being verified already, by job {job.pk}.")
            return job

        job = run_command(create, verify.run, queue=queue, stderr=self.stderr)
        if not queue:
            self.stdout.write(job.message)
