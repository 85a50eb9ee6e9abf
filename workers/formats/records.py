"""What reading yields: rows as a file holds them, records as Sluice understands them, and what could not be read."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

Kind = Literal["problems", "traces"]
Value = dict[str, object]


class RowError(ValueError):
    """One row cannot be read; the message says why. Reading goes on with the next row."""


@dataclass(frozen=True, slots=True)
class Rejected:
    """A row that was not understood. `line` is its line (JSONL, CSV) or its number from 1 (array, Parquet)."""

    line: int
    why: str


@dataclass(frozen=True, slots=True)
class Row:
    """One object of the file, cleaned: nothing in it that PostgreSQL refuses. `lost` names the fields that cleaning changed, and how."""

    line: int
    value: Value
    lost: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ProblemRecord:
    """One question; the fields are those of webapp.problems.actions.NewProblem, tags as words."""

    line: int
    prompt: str
    answer: str | None = None
    messages: list[dict[str, str]] | None = None
    verifier: str = "none"
    verifier_args: Value = field(default_factory=dict)
    source: str = ""
    licence: str = ""
    tags: tuple[str, ...] = ()
    metadata: Value = field(default_factory=dict)
    key_extra: str = ""
    lost: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class TraceRecord:
    """One sample. `prompt` is what the model saw, the question where that is not recorded; `source_id` is the file's own name of the row."""

    line: int
    problem: ProblemRecord
    prompt: str
    completion: str
    reasoning: str | None = None
    finish_reason: str = ""
    source_id: str = ""
    model_name: str = ""
    seed: int | None = None
    provenance: Value = field(default_factory=dict)
    metadata: Value = field(default_factory=dict)
    lost: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Format:
    """One format: `matches` looks at a row's fields, `read` makes the record or raises RowError."""

    name: str
    label: str
    kind: Kind
    matches: Callable[[Value], bool]
    read: Callable[[Row], ProblemRecord | TraceRecord]
