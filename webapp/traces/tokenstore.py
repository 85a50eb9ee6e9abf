"""The token store: what is known of every token, in Parquet shards outside the database, each written once.

A shard holds the traces of one generation chunk. A trace begins a row group, a row group has at most 1,024 tokens, so a
window of a long trace costs the reading of a few row groups. Any Parquet reader opens a shard; the schema version,
layers, experts and top-k are in the file's metadata. Folder and object store are reached alike, through fsspec.

Left out: the columns (shardtable.py), changing or deleting a shard, and an index of shards. The row of a Trace says where its tokens are.
"""

import io
from collections.abc import Sequence

import numpy as np
import pyarrow.parquet as pq

from webapp.traces import shardfile, shardtable
from webapp.traces.records import ExpertLoad, StoredTokens
from webapp.traces.shardtable import SCHEMA_VERSION, Layer, ShardMeta, TokenArrays

__all__ = [
    "ROW_GROUP_TOKENS",
    "SCHEMA_VERSION",
    "Layer",
    "ShardMeta",
    "TokenArrays",
    "load_of",
    "read",
    "read_meta",
    "read_with_meta",
    "write_shard",
]

ROW_GROUP_TOKENS = 1024


def write_shard(path: str, traces: Sequence[TokenArrays], meta: ShardMeta) -> list[StoredTokens]:
    """Write `traces` as the shard `path` (below the store) and return where each of them lies, in order.

    The shard appears whole or not at all. Writing the same content again changes nothing; ValueError when `path` holds
    other content, when an array does not fit the others or `meta`, or when there is nothing to write.
    """
    if not traces:
        raise ValueError(f"shard {path!r}: no traces to write")
    for number, trace in enumerate(traces):
        shardtable.check(trace, meta, f"shard {path!r}, trace {number}")
    schema = shardtable.schema(traces, meta)
    digest = shardtable.digest_of(schema.metadata)
    stored, next_group = [], 0
    buffer = io.BytesIO()
    with pq.ParquetWriter(buffer, schema, compression="zstd", use_dictionary=shardtable.repeating(schema)) as writer:
        for trace in traces:
            stored.append(StoredTokens(path, next_group, len(trace), load_of(trace, meta)))
            for start in range(0, len(trace), ROW_GROUP_TOKENS):
                writer.write_table(shardtable.table(trace, slice(start, start + ROW_GROUP_TOKENS), schema))
                next_group += 1
    shardfile.publish(path, buffer.getvalue(), is_same=lambda file: _digest(file) == digest)
    return stored


def read(
    path: str, row_group: int, count: int, start: int = 0, stop: int | None = None, *, layer: Layer = None
) -> TokenArrays:
    """Return tokens `start` to `stop` (not included; the end by default) of the trace of `count` tokens at `row_group`.

    Reads only the row groups that the window touches. `layer`: the id of the one layer whose routing is wanted ([N, 1, K], [N, 1]), "none" for no
    routing at all. ValueError when the shard is missing, damaged or holds fewer tokens, or when nothing routes in `layer`.
    """
    return read_with_meta(path, row_group, count, start, stop, layer=layer)[0]


def read_with_meta(
    path: str, row_group: int, count: int, start: int = 0, stop: int | None = None, *, layer: Layer = None
) -> tuple[TokenArrays, ShardMeta]:
    """As `read`, with what the shard says of itself, from one opening of the file. The layers are those that the arrays hold."""
    stop = count if stop is None else min(stop, count)
    if row_group < 0 or not 0 <= start <= stop:
        raise ValueError(f"tokens {start} to {stop} of row group {row_group} are not a window of {count}")
    with shardfile.OpenShard(path) as file:
        meta = shardtable.meta_of(file.schema_arrow.metadata or {}, path)
        held = shardtable.narrowed(meta, layer)
        sizes = [file.metadata.row_group(i).num_rows for i in range(row_group, file.metadata.num_row_groups)]
        groups, offset = _groups(path, sizes, count, start, stop)
        wanted = [name for name in shardtable.columns(layer) if name in file.schema_arrow.names]
        rows = file.read_row_groups([row_group + group for group in groups], columns=wanted)
    return shardtable.arrays(rows.slice(start - offset, stop - start).combine_chunks(), meta, layer), held


def read_meta(path: str) -> ShardMeta:
    """Return what the shard says of itself. ValueError when it is missing, damaged or not a shard."""
    with shardfile.OpenShard(path) as file:
        return shardtable.meta_of(file.schema_arrow.metadata or {}, path)


def load_of(trace: TokenArrays, meta: ShardMeta) -> ExpertLoad | None:
    """How many tokens of `trace` took each expert of each layer of `meta`; None where nothing was routed."""
    if trace.expert_ids is None or not trace.routing_count:
        return None
    ids = trace.expert_ids[: trace.routing_count]
    counts = [np.bincount(ids[:, i].reshape(-1), minlength=meta.n_experts).tolist() for i in range(len(meta.layers))]
    return ExpertLoad(list(meta.layers), meta.top_k, trace.routing_count, counts)


def _digest(file: pq.ParquetFile) -> str:
    return shardtable.digest_of(file.schema_arrow.metadata)


def _groups(path: str, sizes: list[int], count: int, start: int, stop: int) -> tuple[list[int], int]:
    """Which row groups hold tokens `start` to `stop`, and how many tokens of the trace lie before the first of them.

    `sizes`: tokens in each row group from the trace's first on. The result counts from there too.
    """
    groups: list[int] = []
    offset = seen = 0
    for index, size in enumerate(sizes):
        if seen >= count:
            break
        if seen + size > start and seen < max(stop, start + 1):
            offset = offset if groups else seen
            groups.append(index)
        seen += size
    if seen < count:
        raise ValueError(f"shard {path!r} holds {seen} tokens of this trace, the trace says {count}")
    return groups, offset
