"""Counting a trace's routing out of the token store, window by window, so that a long trace shows how far it is.

What was counted waits in the cache between two requests; shards never change, so a finished count is kept and answers the next reader at
once. Should the cache lose it, it is counted again. Left out: what the counts say (routing.py).
"""

import hashlib
import time
from dataclasses import dataclass, field

import numpy as np
from django.core.cache import cache

from webapp.traces import routing, tokenstore
from webapp.traces.models import Trace
from webapp.traces.routing import Array

WINDOW = 4 * tokenstore.ROW_GROUP_TOKENS
SECONDS = 0.8  # of counting in one request
KEPT = 3600  # seconds that a count stays in the cache
PARTS = ("think", "answer", "other")
_VERSION = 1


@dataclass(slots=True)
class Counting:
    """A trace's routing so far: `done` of `count` tokens read. Loads int64 [3, L, E] by part (PARTS), `both` int64 [E, E] of one layer."""

    count: int
    layers: list[int]
    n_experts: int
    top_k: int
    layer: int  # whose pairs are counted
    done: int = 0
    loads: Array = field(default_factory=lambda: np.zeros(0, np.int64))
    tokens: Array = field(default_factory=lambda: np.zeros(len(PARTS), np.int64))  # routed tokens by part
    both: Array = field(default_factory=lambda: np.zeros(0, np.int64))

    @property
    def is_done(self) -> bool:
        return self.done >= self.count

    @property
    def place(self) -> int:
        """Which row `layer` is."""
        return self.layers.index(self.layer)


def count(trace: Trace, layer: int | None, *, seconds: float | None = None) -> Counting | None:
    """Count on for about `seconds` (SECONDS), pairs of decoder layer `layer` (the first router layer for None or one that has no router).

    None where the trace has no routing. ValueError when the shard is missing or damaged.
    """
    if not trace.has_tokens or trace.store_tokens is None or trace.store_row_group is None:
        return None
    meta = tokenstore.read_meta(trace.store_path)
    if not meta.layers:
        return None
    chosen = layer if layer in meta.layers else meta.layers[0]
    key = _key(trace, chosen)
    state: Counting = cache.get(key) or _begun(trace.store_tokens, meta, chosen)
    parts = parts_of(trace)
    until = time.monotonic() + (SECONDS if seconds is None else seconds)
    began = state.done
    while not state.is_done and (state.done == began or time.monotonic() < until):
        stop = min(state.done + WINDOW, state.count)
        window = tokenstore.read(trace.store_path, trace.store_row_group, state.count, state.done, stop)
        _add(state, window, parts[state.done : stop])
        state.done = stop
    if state.done != began:
        cache.set(key, state, KEPT)
    return state


def _begun(tokens: int, meta: tokenstore.ShardMeta, layer: int) -> Counting:
    return Counting(
        count=tokens, layers=meta.layers, n_experts=meta.n_experts, top_k=meta.top_k, layer=layer,
        loads=np.zeros((len(PARTS), len(meta.layers), meta.n_experts), np.int64),
        both=np.zeros((meta.n_experts, meta.n_experts), np.int64),
    )  # fmt: skip


def _add(state: Counting, window: tokenstore.TokenArrays, parts: Array) -> None:
    if window.expert_ids is None:
        return
    ids = window.expert_ids[: window.routing_count]
    parts = parts[: len(ids)]
    for part in range(len(PARTS)):
        chosen = ids[parts == part]
        state.loads[part] += routing.load(chosen, state.n_experts)
        state.tokens[part] += len(chosen)
    state.both += routing.together(ids[:, state.place], state.n_experts)


def parts_of(trace: Trace) -> Array:
    """Which part each token is of, as an index of PARTS: uint8 [store_tokens]; what no segment with tokens covers is "other"."""
    parts = np.full(trace.store_tokens or 0, PARTS.index("other"), np.uint8)
    for segment in trace.segments:
        if segment["kind"] in PARTS and segment.get("token_start") is not None and segment.get("token_end") is not None:
            parts[int(segment["token_start"]) : int(segment["token_end"])] = PARTS.index(segment["kind"])
    return parts


def _key(trace: Trace, layer: int) -> str:
    place = (_VERSION, trace.pk, trace.store_path, trace.store_row_group, trace.store_tokens, layer)
    return f"routing:{hashlib.sha256(repr(place).encode()).hexdigest()[:32]}"
