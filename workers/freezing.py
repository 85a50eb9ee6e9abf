"""Freezing: what a selection kept becomes rows that never change, with their hash and a manifest that says where they come from.

Rows lie in the store under their own hash, so the same content is stored once. Left out: what is kept (rejection.py).
"""

import json
import tomllib
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.conf import settings

from webapp.curation import recipes
from webapp.curation.dataset_actions import FrozenRows
from webapp.curation.models import Selection
from webapp.problems.models import Problem
from webapp.tags import as_list
from webapp.traces import shardfile
from webapp.traces.models import Trace, Verdict
from workers.formats import write_rows
from workers.parsing import answer_text, think_text

CHUNK = 200  # traces read together
MANIFEST_VERSION = 1
HASH_RULE = "SHA-256 over the rows in order, each as JSON with sorted keys, without spaces, UTF-8, ended by a line feed"


@dataclass(slots=True)
class Tally:
    """Counts over the rows, for manifest and card: rows by model, verifier, licence, source; sums of tokens; problems."""

    models: Counter[str] = field(default_factory=Counter)
    verifiers: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    licences: Counter[str] = field(default_factory=Counter)
    sources: Counter[str] = field(default_factory=Counter)
    problems: set[str] = field(default_factory=set)
    completion_tokens: int = 0
    rows_with_tokens: int = 0
    think_chars: int = 0
    answer_chars: int = 0

    def add(self, row: dict[str, Any]) -> None:
        """Count one row."""
        self.models[row["model"]] += 1
        self.verifiers[row["verifier"], row["verifier_version"], row["verdict"]] += 1
        self.licences[row["licence"]] += 1
        self.sources[row["source"]] += 1
        self.problems.add(row["problem_key"])
        self.completion_tokens += row["completion_tokens"] or 0
        self.rows_with_tokens += row["completion_tokens"] is not None
        self.think_chars += row["think_chars"]
        self.answer_chars += row["answer_chars"]


def freeze(trace_ids: Sequence[int], *, on_progress: Callable[[int], None]) -> tuple[FrozenRows, Tally]:
    """Write the rows of these traces, in this order, to the store; `on_progress` hears how many are read."""
    tally = Tally()

    def rows() -> Iterator[dict[str, Any]]:
        for start in range(0, len(trace_ids), CHUNK):
            for row in read_rows(trace_ids[start : start + CHUNK]):
                tally.add(row)
                yield row
            on_progress(min(start + CHUNK, len(trace_ids)))

    written = write_rows.write(rows())
    path = f"datasets/{written.content_hash}.parquet"
    shardfile.publish(path, written.data, is_same=lambda file: write_rows.stored_hash(file) == written.content_hash)
    return FrozenRows(path, written.count, written.content_hash), tally


def read_rows(trace_ids: Sequence[int]) -> list[dict[str, Any]]:
    """The rows of these traces, in this order, with the newest verdict of each."""
    related = ("problem__problem_set", "run__engine")
    traces = Trace.objects.select_related(*related).prefetch_related("findings").in_bulk(trace_ids)
    newest: dict[int, Verdict] = {}
    for verdict in Verdict.objects.filter(trace__in=trace_ids).order_by("created_at", "pk"):
        newest[verdict.trace_id] = verdict
    return [_row(traces[trace_id], newest.get(trace_id)) for trace_id in trace_ids]


def _row(trace: Trace, verdict: Verdict | None) -> dict[str, Any]:
    problem = trace.problem
    question = problem.prompt or ("" if problem.messages else trace.prompt)
    return {
        "trace_id": trace.pk,
        "run": trace.run.name,
        "sample_index": trace.sample_index,
        "problem_key": problem.key,
        "problem_set": problem.problem_set.name,
        "prompt": question,
        "messages": _messages(problem.messages, question, trace.run.params.get("system_prompt")),
        "model_prompt": trace.prompt,
        "think": think_text(trace.segments, trace.reasoning, trace.completion),
        "answer": answer_text(trace.segments, trace.reasoning, trace.completion),
        "reasoning": trace.reasoning,
        "completion": trace.completion,
        "finish_reason": trace.finish_reason,
        "label": trace.label,
        "rating": trace.rating,
        "tags": as_list(trace.tags),
        "findings": sorted({finding.kind for finding in trace.findings.all()}),
        **{name: getattr(trace, name) for name in _COUNTS},
        **_judged(problem, verdict),
        **_origin(trace),
    }


_COUNTS = ("prompt_tokens", "completion_tokens", "think_chars", "answer_chars", "mean_logprob", "mean_entropy")


def _judged(problem: Problem, verdict: Verdict | None) -> dict[str, Any]:
    return {
        "gold": problem.answer,
        "verdict": verdict.value if verdict else "unscored",
        "verifier": verdict.verifier if verdict else "",
        "verifier_version": verdict.version if verdict else "",
        "score": verdict.score if verdict else None,
    }


def _origin(trace: Trace) -> dict[str, Any]:
    """Who wrote a trace, how, and under which licence; what the trace itself says goes before what its problem says."""
    problem, run, provenance, home = trace.problem, trace.run, trace.provenance, trace.problem.problem_set
    engine = run.engine.name if run.engine else ""
    return {
        "engine": engine,
        "model": trace.model_name or engine,
        "checkpoint_hash": run.engine.checkpoint_hash if run.engine else "",
        "sampling": _json(run.params),
        "seed": trace.seed,
        "source": str(provenance.get("source") or problem.source or home.source or home.name),
        "licence": str(provenance.get("licence") or problem.licence or home.licence),
        "provenance": _json(provenance),
    }


def _messages(messages: list[dict[str, Any]] | None, question: str, system: object) -> list[dict[str, str]]:
    """What was asked, as a conversation; a run's system prompt stands in front where the problem has none."""
    asked = [{"role": str(m.get("role", "user")), "content": str(m.get("content") or "")} for m in messages or []]
    asked = asked or [{"role": "user", "content": question}]
    if system and asked[0]["role"] != "system":
        asked.insert(0, {"role": "system", "content": str(system)})
    return asked


def manifest(
    selection: Selection,
    recipe: recipes.Recipe,
    funnel: list[dict[str, Any]],
    rows: FrozenRows,
    tally: Tally,
    *,
    at: datetime,
) -> dict[str, Any]:
    """Everything needed to know, and to draw again, what is in a dataset version."""
    return {
        "manifest_version": MANIFEST_VERSION,
        "sluice_version": sluice_version(),
        "created": at.isoformat(),
        "selection": {"id": selection.pk, "name": selection.name},
        "recipe": recipe.as_document(),
        "recipe_in_words": recipes.in_words(recipe),
        "funnel": funnel,
        "parents": [_parent(run) for run in selection.runs.select_related("engine", "problem_set").order_by("pk")],
        "verifiers": [
            {"verifier": verifier, "version": version, "verdict": verdict, "rows": count}
            for (verifier, version, verdict), count in sorted(tally.verifiers.items())
        ],
        "models": dict(sorted(tally.models.items())),
        "sources": dict(sorted(tally.sources.items())),
        "licences": dict(sorted(tally.licences.items())),
        "rows": rows.count,
        "problems": len(tally.problems),
        "completion_tokens": tally.completion_tokens if tally.rows_with_tokens == rows.count else None,
        "think_chars": tally.think_chars,
        "answer_chars": tally.answer_chars,
        "rows_version": write_rows.ROWS_VERSION,
        "columns": write_rows.SCHEMA.names,
        "content_hash": rows.content_hash,
        "hash_rule": HASH_RULE,
    }


def _parent(run: Any) -> dict[str, Any]:
    engine = run.engine
    return {
        "kind": "run",
        "id": run.pk,
        "name": run.name,
        "made_by": run.kind,
        "problem_set": run.problem_set.name if run.problem_set else None,
        "engine": None if engine is None else {"name": engine.name, "checkpoint_hash": engine.checkpoint_hash},
        "sampling": run.params,
        "samples_per_problem": run.samples_per_problem,
        "imported_from": run.source or None,
    }


def sluice_version() -> str:
    """The version in pyproject.toml."""
    with (settings.BASE_DIR / "pyproject.toml").open("rb") as file:
        return str(tomllib.load(file)["project"]["version"])


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, sort_keys=True)
