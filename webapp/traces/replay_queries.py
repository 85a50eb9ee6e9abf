"""Reads of replays: what the trace page says and offers, and the traces that a job is about."""

from dataclasses import dataclass

from django.db.models import QuerySet

from webapp.engines.models import Engine, EngineKind
from webapp.jobs.models import Job, JobKind, JobState
from webapp.traces.models import RoutingComparison, Trace
from webapp.traces.tokenstore import ShardMeta

# where a trace's provenance says that its tokens are replayed
REPLAYED_BY, REPLAYED_CHECKPOINT = "replayed_by", "replayed_checkpoint"
HASH_SHOWN = 12


@dataclass(frozen=True, slots=True)
class Replay:
    """What the trace page says of replays. `engine` and `checkpoint` of the one that is stored, "" for none; `job`: one at work, or the last one
    where it brought nothing; `engines`: those that can be chosen, none for who may not ask.
    """

    engine: str
    checkpoint: str
    job: Job | None
    engines: list[Engine]
    has_tokens: bool
    has_routing: bool
    comparisons: list["Compared"]


@dataclass(frozen=True, slots=True)
class LayerRate:
    """Of the tokens of a trace how many, and how many percent, have another set of experts in a layer; of their experts, how many percent are others."""

    layer: int
    differ: int
    percent: float
    experts: float


@dataclass(frozen=True, slots=True)
class Compared:
    """A trace's own routing against an engine's. `worst`: [token, layers that differ, the first of them]."""

    engine: str
    checkpoint: str
    tokens: int
    layers: list[LayerRate]
    worst: list[list[int]]


def replay_of(trace: Trace, store: ShardMeta | None, *, may_ask: bool) -> Replay:
    """What there is to say of `trace`, whose shard says `store`."""
    last = last_replay(trace.pk)
    return Replay(
        engine=str(trace.provenance.get(REPLAYED_BY, "")),
        checkpoint=str(trace.provenance.get(REPLAYED_CHECKPOINT, ""))[:HASH_SHOWN],
        job=None if last is not None and has_brought(last) else last,
        engines=list(local_engines()) if may_ask else [],
        has_tokens=trace.has_tokens,
        has_routing=store is not None and bool(store.layers),
        comparisons=[_compared(row, store.top_k) for row in _comparisons(trace)] if store is not None else [],
    )


def _comparisons(trace: Trace) -> QuerySet[RoutingComparison]:
    return RoutingComparison.objects.filter(trace=trace).order_by("-created_at", "-pk")


def _compared(row: RoutingComparison, top_k: int) -> Compared:
    tokens = max(row.tokens, 1)
    rates = [
        LayerRate(
            each["layer"],
            each["differ"],
            percent=100 * each["differ"] / tokens,
            experts=100 * each["experts"] / (tokens * max(top_k, 1)),
        )
        for each in row.layers
    ]
    return Compared(row.engine_name, row.checkpoint_hash[:HASH_SHOWN], row.tokens, rates, row.worst)


def local_engines() -> QuerySet[Engine]:
    """The engines that can replay, by name."""
    return Engine.objects.filter(kind=EngineKind.LOCAL).only("name", "checkpoint_hash").order_by("name")


def last_replay(trace_id: int) -> Job | None:
    """The newest job that is about this trace alone."""
    return Job.objects.filter(kind=JobKind.REPLAY, args__trace_ids=[trace_id]).order_by("-created_at", "pk").first()


def has_brought(job: Job) -> bool:
    """Whether a job ended well and changed something that a page shows."""
    return job.state == JobState.DONE and bool(job.result.get("replayed") or job.result.get("compared"))


def asked(job: Job) -> QuerySet[Trace]:
    """The traces that a job of kind replay is about, by key."""
    run_id = job.args.get("run_id")
    chosen = (
        Trace.objects.filter(run_id=run_id) if run_id else Trace.objects.filter(pk__in=job.args.get("trace_ids", []))
    )
    return chosen.order_by("pk")
