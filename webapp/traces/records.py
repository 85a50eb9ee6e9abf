"""What a stage hands over to be stored: plain values, no rows. `workers` makes them, `webapp.traces.actions` saves them."""

from dataclasses import dataclass, field
from datetime import datetime


@dataclass(frozen=True, slots=True)
class NewFinding:
    """`start` and `end` count characters of the field; `kind` is a FindingKind value."""

    kind: str
    field: str
    start: int
    end: int
    note: str = ""


@dataclass(frozen=True, slots=True)
class ExpertLoad:
    """How many of a trace's `tokens` took each expert: `counts[i][e]` of decoder layer `layers[i]`."""

    layers: list[int]
    top_k: int
    tokens: int
    counts: list[list[int]]


@dataclass(frozen=True, slots=True)
class StoredTokens:
    """Where the per-token data of a trace lies: shard path below the store, first row group, number of tokens.

    `load`: what its routing comes to, for the counts of its run; None where nothing was routed.
    """

    path: str
    row_group: int
    count: int
    load: ExpertLoad | None = field(default=None, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class NewTrace:
    """One sample to be saved. Text fields are the model's own; `segments` as the Trace column documents them."""

    problem_id: int
    sample_index: int
    prompt: str
    completion: str
    segments: list[dict[str, object]]
    created_at: datetime
    findings: list[NewFinding] = field(default_factory=list)
    reasoning: str | None = None
    finish_reason: str = ""
    fingerprint: str | None = None
    model_name: str = ""
    seed: int | None = None
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    mean_logprob: float | None = None
    mean_entropy: float | None = None
    duration_seconds: float | None = None
    provenance: dict[str, object] = field(default_factory=dict)
    metadata: dict[str, object] = field(default_factory=dict)
    tokens: StoredTokens | None = None


@dataclass(frozen=True, slots=True)
class ReplayedTrace:
    """What a replay found of a stored trace. `before`: the shard that the trace had when it was read, "" for none."""

    trace_id: int
    before: str
    tokens: StoredTokens
    segments: list[dict[str, object]]
    provenance: dict[str, object]  # added to the trace's


@dataclass(frozen=True, slots=True)
class NewComparison:
    """A trace's own routing against a replay's; `layers` and `worst` as the columns of RoutingComparison document them."""

    trace_id: int
    engine_name: str
    checkpoint_hash: str
    tokens: int
    layers: list[dict[str, int]]
    worst: list[list[int]]


@dataclass(frozen=True, slots=True)
class NewVerdict:
    """One judgement to be added; `value` is correct, wrong or undecidable."""

    trace_id: int
    verifier: str
    version: str
    value: str
    score: float | None = None
    extracted: str = ""
    gold: str = ""
    method: str = ""
    message: str = ""
