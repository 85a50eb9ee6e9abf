"""`manage.py load_starter`: what a fresh installation has to show: the bundled checkpoint, problems, real traces.

Done once for each state of the bundled files; what a person deletes afterwards stays deleted.
"""

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand

from webapp.engines.models import Engine
from webapp.jobs.models import Job
from webapp.problems.import_actions import start_problem_import, start_procedural_import
from webapp.problems.uploads import of_path
from webapp.traces.import_actions import start_trace_import

ENGINE_NAME = "tiny-r1"
PROCEDURAL_SET = "Procedural problems the tiny model never saw"
PROBLEMS_PER_FAMILY = 34  # six families: 204 problems
PROCEDURAL_SEED = 20261124
PROBLEM_SETS = {"gsm8k-test-200.jsonl": "GSM8K test, first 200", "math-500-first-100.jsonl": "MATH-500, first 100"}
TRACE_RUNS = {
    "real-traces.jsonl": "Real traces of many models",
    "one-problem-16-samples.jsonl": "One problem, 16 samples of Llama-3.2-3B",
}


class Command(BaseCommand):
    help = "Load the bundled checkpoint, problems and traces, unless that was done before."
    requires_system_checks: list[str] = []

    def handle(self, *_args: Any, **_options: Any) -> None:
        folder: Path = settings.STARTER_DIR
        stamp = settings.DATA_DIR / "starter.stamp"
        state = _state(folder)
        if stamp.exists() and stamp.read_text() == state:
            return
        self.stderr.write("Loading the starter content (once) ...")
        self._load(folder)
        stamp.write_text(state)

    def _load(self, folder: Path) -> None:
        # imported here: torch and the formats take seconds that a restart does not have
        from workers import ingest  # noqa: PLC0415
        from workers.command import run_command  # noqa: PLC0415
        from workers.trainers.families import FAMILIES  # noqa: PLC0415

        def do(create: Callable[[], Job], stage: Callable[[Job, float], bool]) -> None:
            run_command(create, stage, queue=False, stderr=self.stderr)

        register_bundled(folder / "tiny")
        for file, name in PROBLEM_SETS.items():
            source = of_path(folder / "problems" / file)
            do(lambda s=source, n=name: start_problem_import(s, by=None, set_name=n), ingest.run_problems)  # type: ignore[misc]
        for family in FAMILIES:
            made = {"family": family, "size": PROBLEMS_PER_FAMILY, "seed": PROCEDURAL_SEED, "split": "heldout"}
            do(lambda m=made: start_procedural_import(by=None, set_name=PROCEDURAL_SET, **m), ingest.run_problems)  # type: ignore[misc]
        for file, name in TRACE_RUNS.items():
            source = of_path(folder / "traces" / file)
            do(lambda s=source, n=name: start_trace_import(s, by=None, run_name=n), ingest.run_traces)  # type: ignore[misc]


def register_bundled(checkpoint: Path) -> None:
    """Register the bundled checkpoint, or renew it when a new version brings other weights. Another engine that has its name stays."""
    from workers.registering import register  # noqa: PLC0415  # torch: seconds that a restart does not have

    if not Engine.objects.filter(name=ENGINE_NAME).exclude(location=str(checkpoint)).exists():
        register(checkpoint, ENGINE_NAME, by=None)


def _state(folder: Path) -> str:
    """A digest of the bundled files' names, sizes and times; reading them would cost a restart its seconds."""
    files = sorted(file for file in folder.rglob("*") if file.is_file())
    return hashlib.sha256(
        "\n".join(f"{f.relative_to(folder)} {f.stat().st_size} {f.stat().st_mtime_ns}" for f in files).encode()
    ).hexdigest()
