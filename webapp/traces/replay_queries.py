"""Reads of replays: what the trace page says and offers, and the traces that a job is about."""

from dataclasses import dataclass

from django.db.models import QuerySet

from webapp.engines.models import Engine, EngineKind
from webapp.jobs.models import Job, JobKind, JobState
from webapp.traces.models import Trace
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
    )


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
