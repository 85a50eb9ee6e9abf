"""The map of a trace: layers x tokens in few enough pixels, computed from the store window by window.

Tokens are cut into bins of equal length. A bin of a layer says which expert (or group) its tokens are sent to most as their first, or the mean of a
measure. The answer has the form of wire.py: a header {"version", "bins", "count", "kind", "high", "layers", "arrays": [uint8 [bins, L] "map"]};
a category is its number modulo CATEGORIES, a measure 0 to 254 for 0 to `high`, and 255 says that nothing is known.

Left out: what is the same in every layer (log-probability, scripts, segments): the browser has it already and bins it itself.
"""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from webapp.traces import tokenstore
from webapp.traces.shardtable import Array, ShardMeta, TokenArrays
from webapp.traces.wire import VERSION

CATEGORIES = 32  # as many as js/viewer/palette.js tells apart
UNKNOWN = 255
MOST_BINS = 1024
WINDOW = 4096  # tokens in memory at a time


@dataclass(frozen=True, slots=True)
class Map:
    """`cells` uint8 [bins, L]; `high`: what 254 stands for, 0 for categories."""

    kind: str
    cells: Array
    layers: list[int]
    count: int
    high: float


def edges(count: int, bins: int) -> Array:
    """Where `bins` bins over `count` tokens begin and end: int64 [bins + 1]."""
    return np.arange(bins + 1, dtype=np.int64) * count // bins


def draw(path: str, row_group: int, count: int, *, kind: str, bins: int) -> Map:
    """The map of the trace of `count` tokens at `row_group`. ValueError for a kind that is not one, or that the store cannot tell."""
    if kind not in KINDS:
        raise ValueError(f"no map of {kind[:40]!r}: ask for one of {', '.join(KINDS)}")
    bounds = edges(count, min(bins, count))
    meta = tokenstore.read_meta(path)
    if not meta.layers:
        raise ValueError("nothing was routed in this trace, so there is no map of it")
    parts = [
        KINDS[kind](_Window(arrays, before, meta, bounds[first : last + 1] - start))
        for first, last, start, before, arrays in _windows(path, row_group, count, bounds)
    ]
    values = np.concatenate(parts)
    if kind in CATEGORICAL:
        cells, high = np.where(values < 0, UNKNOWN, values % CATEGORIES).astype(np.uint8), 0.0
    else:
        high = float(np.nanmax(values, initial=0.0)) or 1.0
        cells = np.where(np.isnan(values), UNKNOWN, np.rint(values / high * 254)).astype(np.uint8)
    return Map(kind, cells, meta.layers, count, high)


def encode(drawn: Map) -> bytes:
    """`drawn` in the form of this module's docstring."""
    shape = list(drawn.cells.shape)
    described = {"name": "map", "type": "uint8", "shape": shape, "offset": 0}
    header = json.dumps(
        {"version": VERSION, "bins": shape[0], "count": drawn.count, "kind": drawn.kind, "high": drawn.high, "layers": drawn.layers,
         "arrays": [described]}
    ).encode()  # fmt: skip
    header += b" " * (-(len(header) + 4) % 8)
    return len(header).to_bytes(4, "little") + header + drawn.cells.tobytes()


@dataclass(frozen=True, slots=True)
class _Window:
    """Some whole bins: their tokens, the experts [L, K] of the token before them (None at the beginning), and where each bin begins."""

    tokens: TokenArrays
    before: Array | None
    meta: ShardMeta
    bounds: Array

    @property
    def starts(self) -> Array:
        return self.bounds[:-1]

    def top(self) -> Array:
        """The strongest expert: int64 [n, L], n the tokens that were routed."""
        ids, weights, n = _routed(self.tokens)
        strongest = weights.argmax(axis=2)[:, :, None]
        return np.take_along_axis(ids, strongest, axis=2)[:, :, 0].astype(np.int64)[:n]


def _windows(
    path: str, row_group: int, count: int, bounds: Array
) -> Iterator[tuple[int, int, int, Array | None, TokenArrays]]:
    """Bins `first` to `last`, the token that they begin at, the experts before it, and their tokens, of the whole trace in turn."""
    first, before = 0, None
    while first < len(bounds) - 1:
        last = max(first + 1, int(np.searchsorted(bounds, bounds[first] + WINDOW, side="right")) - 1)
        start, stop = int(bounds[first]), int(bounds[last])
        arrays = tokenstore.read(path, row_group, count, start, stop)
        yield first, last, start, before, arrays
        before = arrays.expert_ids[-1] if arrays.expert_ids is not None else None
        first = last


def _routed(tokens: TokenArrays) -> tuple[Array, Array, int]:
    if tokens.expert_ids is None or tokens.gate_weights is None:
        raise ValueError("the routing of this trace is not known")
    return tokens.expert_ids, tokens.gate_weights, tokens.routing_count


def _most(window: _Window, numbers: Array, size: int) -> Array:
    """The most frequent of `numbers` [n, L] (below `size`) in each bin: int64 [bins, L], -1 for none."""
    bins, layers = len(window.starts), numbers.shape[1]
    of_bin = np.searchsorted(window.bounds, np.arange(len(numbers)), side="right") - 1
    place = (of_bin[:, None] * layers + np.arange(layers)) * size + numbers
    counts = np.bincount(place.ravel(), minlength=bins * layers * size).reshape(bins, layers, size)
    return np.where(counts.any(axis=2), counts.argmax(axis=2), -1)


def _mean(window: _Window, values: Array) -> Array:
    """The mean of `values` [n, L] in each bin, without what is not finite: float64 [bins, L], NaN for none."""
    known = np.isfinite(values)
    padded = np.zeros((int(window.bounds[-1]) + 1, values.shape[1]))
    number = padded.copy()
    padded[: len(values)] = np.where(known, values, 0)
    number[: len(values)] = known
    total, counted = (np.add.reduceat(array, window.starts, axis=0) for array in (padded, number))
    return np.divide(total, counted, out=np.full_like(total, np.nan), where=counted > 0)


def _experts(window: _Window) -> Array:
    return _most(window, window.top(), window.meta.n_experts)


def _groups(window: _Window) -> Array:
    if window.meta.n_group < 2:  # one group is none
        raise ValueError("the experts of this trace are in no groups")
    return _most(window, window.top() * window.meta.n_group // window.meta.n_experts, window.meta.n_group)


def _gates(window: _Window) -> Array:
    _ids, weights, n = _routed(window.tokens)
    return _mean(window, weights[:n].max(axis=2).astype(np.float64))


def _changes(window: _Window) -> Array:
    """How many experts of a token the one before it did not have."""
    ids, _weights, n = _routed(window.tokens)
    before = ids[:1] if window.before is None else window.before[None]
    previous = np.concatenate([before, ids[:-1]])[:n]
    fresh = np.zeros(ids[:n].shape[:2])
    for k in range(ids.shape[2]):
        fresh += ~(previous == ids[:n, :, k : k + 1]).any(axis=2)
    if window.before is None:
        fresh[:1] = np.nan
    return _mean(window, fresh)


def _stored(name: str) -> Callable[[_Window], Array]:
    def values(window: _Window) -> Array:
        array = getattr(window.tokens, name)
        if array is None:
            raise ValueError(f"the store does not know {name} of this trace")
        return _mean(window, array[: window.tokens.routing_count].astype(np.float64))

    return values


KINDS: dict[str, Callable[[_Window], Array]] = {
    "expert": _experts,
    "gate": _gates,
    "change": _changes,
    "group": _groups,
    "routing_entropy": _stored("routing_entropy"),
    "routing_margin": _stored("routing_margin"),
    "swapped": _stored("swapped"),
}
CATEGORICAL = frozenset({"expert", "group"})
