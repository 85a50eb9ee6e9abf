"""One layer of a window of tokens, from windows of all layers that are kept in memory for a while.

A Parquet list column is decoded whole or not at all, so reading one layer costs what reading all of them costs; who looks at one layer soon looks at
the next. Shards never change, so what is kept stays true. Left out: whole windows and those without routing, which tokenstore.py reads as they are.
"""

from collections.abc import Iterator
from functools import lru_cache

import numpy as np
from django.conf import settings

from webapp.traces import shardtable, tokenstore
from webapp.traces.shardtable import COLUMNS, ROUTED, Array, ShardMeta, TokenArrays

KEPT = 32  # windows of 1,024 tokens: of a V3 some 45 MB, a trace of 32,768 tokens as a whole


def one_layer(
    path: str, row_group: int, count: int, start: int, stop: int, *, layer: int
) -> tuple[TokenArrays, ShardMeta]:
    """Tokens `start` to `stop` of the trace with the routing of `layer` alone, as tokenstore.read_with_meta gives them."""
    meta = tokenstore.read_meta(path)
    held = shardtable.narrowed(meta, layer)
    place = meta.layers.index(layer)
    parts = [_narrow(part, place) for part in _parts(path, row_group, count, start, min(stop, count))]
    return _joined(parts), held


def _parts(path: str, row_group: int, count: int, start: int, stop: int) -> Iterator[TokenArrays]:
    size = tokenstore.ROW_GROUP_TOKENS
    for number in range(start // size, (stop - 1) // size + 1):
        first = number * size
        whole = _window(settings.STORE_URL, path, row_group, count, number)
        yield _slice(whole, max(start - first, 0), min(stop - first, len(whole)))


@lru_cache(maxsize=KEPT)
def _window(_store: str, path: str, row_group: int, count: int, number: int) -> TokenArrays:
    size = tokenstore.ROW_GROUP_TOKENS
    return tokenstore.read(path, row_group, count, number * size, min((number + 1) * size, count))


def _slice(tokens: TokenArrays, start: int, stop: int) -> TokenArrays:
    known = {name: array[start:stop] for name, array in _known(tokens)}
    return TokenArrays(**known, routing_count=min(max(tokens.routing_count - start, 0), stop - start))


def _narrow(tokens: TokenArrays, place: int) -> TokenArrays:
    part = slice(place, place + 1)
    arrays = {name: array[:, part] if name in ROUTED else array for name, array in _known(tokens)}
    return TokenArrays(**arrays, routing_count=tokens.routing_count)


def _joined(parts: list[TokenArrays]) -> TokenArrays:
    """The parts one after another; one that has no routing (the last token alone) is as zeros, which routing_count leaves out."""
    if len(parts) == 1:
        return parts[0]
    names = dict.fromkeys(name for part in parts for name, _ in _known(part))
    joined = {name: np.concatenate([_filled(parts, part, name) for part in parts]) for name in names}
    return TokenArrays(**joined, routing_count=sum(part.routing_count for part in parts))


def _filled(parts: list[TokenArrays], part: TokenArrays, name: str) -> Array:
    array: Array | None = getattr(part, name)
    if array is not None:
        return array
    like: Array = next(found for other in parts if (found := getattr(other, name)) is not None)
    return np.zeros((len(part), *like.shape[1:]), dtype=like.dtype)


def _known(tokens: TokenArrays) -> list[tuple[str, Array]]:
    return [(name, array) for name in COLUMNS if (array := getattr(tokens, name)) is not None]
