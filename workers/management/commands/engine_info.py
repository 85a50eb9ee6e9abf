"""`manage.py engine_info PATH|FAMILY`: what a model is made of, from its config alone. Nothing is loaded."""

import json
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from webapp.engines import words


class Command(BaseCommand):
    help = (
        "Print parameters, cache, experts and context of a checkpoint or of a published model, from its config alone."
    )
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "source",
            help="a checkpoint directory, a config.json, or a published model: V3, R1, V2-Lite, MoE-16B, LLM-7B, ...",
        )
        parser.add_argument("--json", action="store_true", dest="as_json", help="print the facts as JSON")

    def handle(self, *_args: Any, source: str, as_json: bool, **_options: Any) -> None:
        from inference import facts_of  # noqa: PLC0415  # torch: not for the help text

        try:
            facts = facts_of(source)
        except ValueError as error:
            raise CommandError(str(error)) from error
        if as_json:
            self.stdout.write(json.dumps(facts, indent=2, ensure_ascii=False))
            return
        rows = [words.Row("Model", facts["name"])] if "name" in facts else []
        rows += words.rows(facts)
        width = max(len(row.label) for row in rows)
        for row in rows:
            self.stdout.write(f"{row.label:<{width}}  {row.value}{f'  ({row.note})' if row.note else ''}")
