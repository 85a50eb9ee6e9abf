"""Stage: tokens and routing of traces that came without, by a local engine that reads what they say; what has its own routing is compared.

Works through the asked traces by key, a few at a time: each few become one shard, and are saved before the next. A trace that this checkpoint has
replayed already is left as it is. The routing of the model that wrote a trace is never replaced: the replay's is compared with it. What cannot be
replayed is told by its number, and the others go on. Left out: how a text becomes tokens (rereading.py), how routings differ (mismatch.py).
"""

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from django.utils.translation import gettext as _

from webapp.engines.models import Engine as EngineRow
from webapp.jobs import actions as jobs
from webapp.jobs.models import Job
from webapp.traces import tally_actions
from webapp.traces.models import RoutingComparison, Trace
from webapp.traces.records import NewComparison, ReplayedTrace
from webapp.traces.replay_actions import save_comparisons, save_replays
from webapp.traces.replay_queries import HASH_SHOWN, REPLAYED_BY, REPLAYED_CHECKPOINT, asked
from webapp.traces.tokenstore import Layer, ShardMeta, TokenArrays, read, read_meta, write_shard
from workers import loaded
from workers.mismatch import mismatch
from workers.parsing import with_tokens
from workers.rereading import Reread, notes, reread
from workers.tokenarrays import routed, shard_meta

if TYPE_CHECKING:
    from inference import Engine
    from inference.records import Replay

CHUNK_TRACES = 8  # saved together, in one shard
CHUNK_TOKENS = 16_384  # no further trace joins a chunk that has so many
FAILURES_TOLD = 50  # traces whose trouble is told one by one
SOURCE = "replayed by"  # how the shard of a replay begins to say where it is from


@dataclass(slots=True)
class _Chunk:
    """Traces that were replayed and are not saved yet, with their new tokens; and those of which nothing is to be saved."""

    traces: list[tuple[Trace, Reread]] = field(default_factory=list)
    arrays: list[TokenArrays] = field(default_factory=list)
    compared: list[NewComparison] = field(default_factory=list)
    kept: int = 0
    failures: list[dict[str, Any]] = field(default_factory=list)
    last: int = 0  # key of the last trace that was looked at
    looked_at: int = 0

    @property
    def is_full(self) -> bool:
        return len(self.arrays) + len(self.compared) >= CHUNK_TRACES or sum(map(len, self.arrays)) >= CHUNK_TOKENS


def run(job: Job, deadline: float) -> bool:
    """Replay the traces of run args["run_id"], or those of args["trace_ids"], through engine args["engine_id"]; False when the deadline passed
    with work left. Raises ValueError when the engine is gone or cannot be loaded, or when not one of the traces could be replayed.
    """
    row = EngineRow.objects.filter(pk=job.args.get("engine_id")).first()
    if row is None:
        raise ValueError(_("There is no engine %(id)s any more.") % {"id": job.args.get("engine_id")})
    ids = list(asked(job).values_list("pk", flat=True))
    todo = [pk for pk in ids if pk > int(job.result.get("after", 0))]
    jobs.progress(
        job, done=len(ids) - len(todo), total=len(ids), message=_("Loading %(engine)s") % {"engine": row.name}
    )
    work = _Work(job, row, loaded.engine(row))
    while todo:
        chunk = work.read(todo, done=len(ids) - len(todo))
        todo = todo[chunk.looked_at :]
        work.save(chunk, done=len(ids) - len(todo))
        if todo and time.monotonic() > deadline:
            return False
    _conclude(job, row)
    return True


class _Work:
    """One slice of a job: an engine in memory, and what it makes of one trace after the other."""

    def __init__(self, job: Job, row: EngineRow, engine: "Engine") -> None:
        self.job, self.row, self.engine = job, row, engine
        self.meta = shard_meta(engine.config, f"{SOURCE} {row.name} {row.checkpoint_hash[:HASH_SHOWN]}")

    def read(self, ids: list[int], *, done: int) -> _Chunk:
        """Replay traces in order until a chunk is full; the lease is renewed before each."""
        chunk = _Chunk()
        for pk in ids:
            words = _("Replaying trace %(id)s") % {"id": pk}
            jobs.progress(self.job, done=done + chunk.looked_at, message=words)
            chunk.last, chunk.looked_at = pk, chunk.looked_at + 1
            trace = Trace.objects.select_related("run").filter(pk=pk).first()
            try:
                if trace is not None:  # else it was deleted meanwhile
                    self._one(trace, chunk)
            except ValueError as error:
                chunk.failures.append({"trace": pk, "why": str(error)})
            if chunk.is_full:
                break
        return chunk

    def _one(self, trace: Trace, chunk: _Chunk) -> None:
        said = read_meta(trace.store_path) if trace.has_tokens else None
        if said is not None and self._is_known(trace, said):
            chunk.kept += 1
        elif said is not None and _is_own(said):
            chunk.compared.append(self._compare(trace, said))
        else:
            text = reread(trace, self.engine.tokenizer, _stored(trace))
            chunk.arrays.append(self._arrays(text))
            chunk.traces.append((trace, text))

    def _is_known(self, trace: Trace, said: ShardMeta) -> bool:
        """Whether a replay could add nothing to a trace whose shard says `said`."""
        checkpoint = self.row.checkpoint_hash
        if said.source.startswith(SOURCE):
            return bool(trace.provenance.get(REPLAYED_CHECKPOINT) == checkpoint)
        if not self.meta.layers:
            return True  # no routing to add or to compare
        return _is_own(said) and RoutingComparison.objects.filter(trace=trace, checkpoint_hash=checkpoint).exists()

    def _compare(self, trace: Trace, said: ShardMeta) -> NewComparison:
        stored = _stored(trace, layer=None)
        text = reread(trace, self.engine.tokenizer, stored)
        if stored is None or stored.expert_ids is None or not text.stored:
            words = _(
                "its stored tokens are not those of the tokenizer of %(engine)s, so there is no routing to compare"
            )
            raise ValueError(words % {"engine": self.row.name})
        mine, theirs = ((meta.layers, meta.n_experts, meta.top_k) for meta in (self.meta, said))
        if mine != theirs:
            words = _(
                "its routing is of another shape than that of %(engine)s: other layers, experts or experts a token"
            )
            raise ValueError(words % {"engine": self.row.name})
        routing, count = self._replay(text).routing, stored.routing_count
        assert routing is not None  # noqa: S101  # an engine with layers that route
        found = mismatch(stored.expert_ids[:count], routing.expert_ids[:count], said.layers)
        return NewComparison(trace.pk, self.row.name, self.row.checkpoint_hash, found.tokens, found.layers, found.worst)

    def _replay(self, text: Reread) -> "Replay":
        count, context = len(text.token_ids), self.engine.config.max_position_embeddings
        if count > context:
            words = _("%(tokens)s tokens are more than the context of %(engine)s, which is %(context)s")
            raise ValueError(words % {"tokens": f"{count:,}", "engine": self.row.name, "context": f"{context:,}"})
        return self.engine.replay(text.token_ids, capture="full")

    def _arrays(self, text: Reread) -> TokenArrays:
        replay = self._replay(text)
        for values in (replay.logprobs, replay.entropies):
            values[: text.asked] = np.nan  # as of a generation: nobody sampled the prompt
        return TokenArrays(
            token_id=np.array(text.token_ids, np.int32),
            text_start=np.array([a for a, _ in text.spans], np.int32),
            text_end=np.array([b for _, b in text.spans], np.int32),
            logprob=replay.logprobs,
            entropy=replay.entropies,
            **routed(replay.routing, len(text.token_ids)),
        )

    def save(self, chunk: _Chunk, *, done: int) -> None:
        """Write the chunk's shard, point its traces to it, and count it."""
        job, result = self.job, dict(self.job.result)
        if chunk.arrays:
            # The claim's token is part of the name: the shard of a worker that was killed before it saved its rows stands in nobody's way.
            name = f"replays/{job.pk}/chunk-{chunk.traces[0][0].pk}-{str(job.lease_token)[:8]}.parquet"
            stored = write_shard(name, chunk.arrays, self.meta)
            replays = [
                ReplayedTrace(
                    trace_id=trace.pk, before=trace.store_path, tokens=place,
                    segments=with_tokens(
                        trace.segments, trace.prompt, trace.completion, text.spans, reasoning=trace.reasoning
                    ),
                    provenance=self._provenance(trace, text),
                )
                for (trace, text), place in zip(chunk.traces, stored, strict=True)
            ]  # fmt: skip
            save_replays(replays)
            changed = {trace.run_id for trace, _text in chunk.traces if trace.has_tokens}
            result["recount"] = sorted({*result.get("recount", []), *changed})
        save_comparisons(chunk.compared)
        tokens = sum(map(len, chunk.arrays)) + sum(one.tokens for one in chunk.compared)
        new = {"replayed": len(chunk.arrays), "compared": len(chunk.compared), "tokens": tokens, "kept": chunk.kept}
        for key, more in {**new, "failures": len(chunk.failures)}.items():
            result[key] = result.get(key, 0) + more
        result["failed"] = [*result.get("failed", []), *chunk.failures][:FAILURES_TOLD]
        jobs.progress(job, done=done, result={**result, "after": chunk.last})

    def _provenance(self, trace: Trace, text: Reread) -> dict[str, object]:
        said = {REPLAYED_BY: self.row.name, REPLAYED_CHECKPOINT: self.row.checkpoint_hash, **notes(trace, text)}
        if trace.has_tokens:  # its shard stays in the store
            said["replayed_over"] = f"{trace.store_path}, row group {trace.store_row_group}"
        return said


def _is_own(said: ShardMeta) -> bool:
    """Whether a shard has the routing of the model that wrote its traces."""
    return bool(said.layers) and not said.source.startswith(SOURCE)


def _stored(trace: Trace, layer: Layer = "none") -> TokenArrays | None:
    if not trace.has_tokens or trace.store_row_group is None or trace.store_tokens is None:
        return None
    return read(trace.store_path, trace.store_row_group, trace.store_tokens, layer=layer)


def _recount(job: Job) -> list[str]:
    """Count the expert load of runs in which a shard took another's place anew; returns what went wrong in that."""
    wrong = []
    for run_id in job.result.get("recount", []):
        try:
            tally_actions.recount_load(run_id)
        except ValueError as error:
            wrong.append(
                _("The expert load of run %(id)s could not be counted: %(why)s.") % {"id": run_id, "why": error}
            )
    return wrong


def _conclude(job: Job, row: EngineRow) -> None:
    """Say what came of it."""
    counts = {key: int(job.result.get(key, 0)) for key in ("replayed", "compared", "kept", "tokens", "failures")}
    numbers = {key: f"{count:,}" for key, count in counts.items()} | {"engine": row.name}
    words = []
    if counts["replayed"]:
        words.append(_("%(replayed)s traces replayed through %(engine)s.") % numbers)
    if counts["compared"]:
        words.append(_("The routing of %(compared)s traces was compared with that of %(engine)s.") % numbers)
    if counts["kept"]:
        words.append(_("%(kept)s had all that %(engine)s could give, and were left as they are.") % numbers)
    if counts["failures"]:
        first = job.result["failed"][0]
        told = _("%(failures)s could not be replayed; the first is trace %(trace)s: %(why)s.")
        words.append(told % {**numbers, "trace": first["trace"], "why": first["why"]})
    words += _recount(job)
    if counts["failures"] and not (counts["replayed"] or counts["compared"] or counts["kept"]):
        raise ValueError(" ".join(words))
    job.message = " ".join(words) or _("There was nothing to replay.")
