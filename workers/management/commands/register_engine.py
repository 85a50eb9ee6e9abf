"""`manage.py register_engine PATH --name NAME`: a local checkpoint becomes an engine."""

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from workers.registering import register


class Command(BaseCommand):
    help = "Register a Hugging Face checkpoint directory of the DeepSeek family as an engine."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("path", type=Path)
        parser.add_argument("--name", required=True)

    def handle(self, *_args: Any, path: Path, name: str, **_options: Any) -> None:
        try:
            engine = register(path, name, by=None)
        except ValueError as error:
            raise CommandError(str(error)) from error
        facts = engine.facts
        experts = f"{facts['n_routed_experts']} experts" if facts["n_routed_experts"] else "no experts"
        self.stdout.write(f"{engine.name}: {facts['parameters']:,} parameters, {facts['layers']} layers, {experts}")
