"""`manage.py generate --set NAME --engine NAME`: sample a problem set."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from webapp.engines.models import Engine
from webapp.jobs.models import Job
from webapp.problems.models import ProblemSet
from webapp.traces.models import Run
from webapp.traces.run_actions import Sampling, most_tokens, start_generation
from workers import generate
from workers.command import add_queue_option, run_command


class Command(BaseCommand):
    help = "Sample an engine's answers to the problems of a set."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--set", dest="set_name", required=True, metavar="NAME")
        parser.add_argument("--engine", required=True, metavar="NAME")
        parser.add_argument("-n", type=int, default=8, help="samples a problem (default 8)")
        parser.add_argument("--temperature", type=float, default=0.6)
        parser.add_argument("--top-p", type=float, default=1.0)
        parser.add_argument("--top-k", type=int, default=0)
        parser.add_argument("--max-tokens", type=int, help="of a sample; default: half of the context, at most 2,048")
        parser.add_argument("--limit", type=int, help="only the first problems of the set")
        parser.add_argument("--seed", type=int, help="default: drawn, and stored with the run")
        parser.add_argument("--run", default="", metavar="NAME", help="the run's name")
        add_queue_option(parser)

    def handle(self, *_args: Any, queue: bool, **options: Any) -> None:
        engine = _named(Engine, options["engine"], "engine")
        problem_set = _named(ProblemSet, options["set_name"], "problem set")
        made: list[Run] = []

        def create() -> Job:
            sampling = Sampling(
                n=options["n"], temperature=options["temperature"], top_p=options["top_p"], top_k=options["top_k"],
                max_tokens=options["max_tokens"] or most_tokens(engine), seed=options["seed"],
            )  # fmt: skip
            run = start_generation(
                engine=engine,
                problem_set=problem_set,
                sampling=sampling,
                by=None,
                name=options["run"],
                limit=options["limit"],
            )
            made.append(run)
            assert run.job is not None  # noqa: S101  # start_generation attaches it
            return run.job

        job = run_command(create, generate.run, queue=queue, stderr=self.stderr)
        self.stdout.write(f"{made[0].name}" if queue else f"{made[0].name}: {job.message}")


def _named(model: Any, name: str, what: str) -> Any:
    row = model.objects.filter(name=name).first()
    if row is None:
        known = ", ".join(model.objects.order_by("name").values_list("name", flat=True)[:20]) or "none yet"
        raise CommandError(f"There is no {what} named {name!r}. There is: {known}.")
    return row
