"""The token store: what is known of every token, in Parquet shards outside the database, each written once.

A shard holds the traces of one generation chunk. A trace begins a row group, a row group has at most 1,024 tokens, so a
window of a long trace costs the reading of a few row groups. Any Parquet reader opens a shard; the schema version,
layers, experts and top-k are in the file's metadata. Folder and object store are reached alike, through fsspec.

Left out: changing or deleting a shard, and an index of shards. The row of a Trace says where its tokens are.
"""

import hashlib
import io
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from webapp.traces import shardfile
from webapp.traces.records import StoredTokens

SCHEMA_VERSION = 1
ROW_GROUP_TOKENS = 1024
_PLAIN: list[tuple[str, Any]] = [
    ("token_id", np.int32),
    ("text_start", np.int32),
    ("text_end", np.int32),
    ("logprob", np.float32),
    ("entropy", np.float32),
]


@dataclass(frozen=True, slots=True)
class ShardMeta:
    """What holds for a whole shard. `layers`: decoder-layer ids that have a router, ascending; [] where nothing routes."""

    layers: list[int]
    n_experts: int
    top_k: int
    source: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class TokenArrays:
    """A trace's tokens, or a window of them: N = prompt + completion tokens.

    token_id, text_start, text_end: int32 [N]; characters into prompt + completion joined. logprob, entropy: float32 [N],
    natural log and nats, NaN where unknown (the prompt). expert_ids: uint8 or uint16 [N, L, K]; gate_weights: float16
    [N, L, K]; both None for a trace without routing. Row i of the routing is of token i as input, so the last token,
    which was never fed back, has none: the first `routing_count` rows count (N - 1 unless said otherwise).
    """

    token_id: np.ndarray[Any, Any]
    text_start: np.ndarray[Any, Any]
    text_end: np.ndarray[Any, Any]
    logprob: np.ndarray[Any, Any]
    entropy: np.ndarray[Any, Any]
    expert_ids: np.ndarray[Any, Any] | None = None
    gate_weights: np.ndarray[Any, Any] | None = None
    routing_count: int = -1

    def __post_init__(self) -> None:
        if self.expert_ids is None:
            object.__setattr__(self, "routing_count", 0)
        elif self.routing_count < 0:
            object.__setattr__(self, "routing_count", max(len(self) - 1, 0))

    def __len__(self) -> int:
        return len(self.token_id)


def write_shard(path: str, traces: Sequence[TokenArrays], meta: ShardMeta) -> list[StoredTokens]:
    """Write `traces` as the shard `path` (below the store) and return where each of them lies, in order.

    The shard appears whole or not at all. Writing the same content again changes nothing; ValueError when `path` holds
    other content, when an array does not fit the others or `meta`, or when there is nothing to write.
    """
    if not traces:
        raise ValueError(f"shard {path!r}: no traces to write")
    for number, trace in enumerate(traces):
        _check(trace, meta, f"shard {path!r}, trace {number}")
    routed = next((t.expert_ids.dtype for t in traces if t.expert_ids is not None), None)
    digest = _digest(traces, meta)
    schema = _schema(meta, routed, digest)
    stored, next_group = [], 0
    buffer = io.BytesIO()
    with pq.ParquetWriter(buffer, schema, compression="zstd") as writer:
        for trace in traces:
            stored.append(StoredTokens(path=path, row_group=next_group, count=len(trace)))
            for start in range(0, len(trace), ROW_GROUP_TOKENS):
                writer.write_table(_table(trace, slice(start, start + ROW_GROUP_TOKENS), schema))
                next_group += 1
    shardfile.publish(path, buffer.getvalue(), is_same=lambda file: _meta_digest(file) == digest)
    return stored


def read(path: str, row_group: int, count: int, start: int = 0, stop: int | None = None) -> TokenArrays:
    """Return tokens `start` to `stop` (not included; the end by default) of the trace of `count` tokens at `row_group`.

    Reads only the row groups that the window touches. ValueError when the shard is missing, damaged or holds fewer tokens.
    """
    return read_with_meta(path, row_group, count, start, stop)[0]


def read_with_meta(
    path: str, row_group: int, count: int, start: int = 0, stop: int | None = None
) -> tuple[TokenArrays, ShardMeta]:
    """As `read`, with what the shard says of itself, from one opening of the file."""
    stop = count if stop is None else min(stop, count)
    if row_group < 0 or not 0 <= start <= stop:
        raise ValueError(f"tokens {start} to {stop} of row group {row_group} are not a window of {count}")
    with shardfile.OpenShard(path) as file:
        sizes = [file.metadata.row_group(i).num_rows for i in range(row_group, file.metadata.num_row_groups)]
        groups, offset = _groups(path, sizes, count, start, stop)
        rows = file.read_row_groups([row_group + group for group in groups])
        meta = _meta(file.schema_arrow.metadata or {}, path)
    return _arrays(rows.slice(start - offset, stop - start).combine_chunks(), meta), meta


def read_meta(path: str) -> ShardMeta:
    """Return what the shard says of itself. ValueError when it is missing, damaged or not a shard."""
    with shardfile.OpenShard(path) as file:
        return _meta(file.schema_arrow.metadata or {}, path)


# -- the arrays as a table ---------------------------------------------------------------------------------------------


def _check(trace: TokenArrays, meta: ShardMeta, where: str) -> None:
    n = len(trace)
    if n == 0:
        raise ValueError(f"{where}: has no tokens")
    for name, _ in _PLAIN:
        _check_shape(where, name, getattr(trace, name), (n,))
    if (trace.expert_ids is None) != (trace.gate_weights is None):
        raise ValueError(f"{where}: expert_ids and gate_weights come together or not at all")
    if trace.expert_ids is None:
        return
    for name in ("expert_ids", "gate_weights"):
        _check_shape(where, name, getattr(trace, name), (n, len(meta.layers), meta.top_k))
    if trace.expert_ids.dtype not in {np.dtype(np.uint8), np.dtype(np.uint16)}:
        raise ValueError(f"{where}: expert_ids are {trace.expert_ids.dtype}, not uint8 or uint16")
    if not 0 <= trace.routing_count <= n:
        raise ValueError(f"{where}: routing of {trace.routing_count} tokens of {n}")
    highest = int(trace.expert_ids[: trace.routing_count].max(initial=0))
    if highest >= meta.n_experts:
        raise ValueError(f"{where}: expert {highest} of {meta.n_experts}")


def _check_shape(where: str, name: str, array: np.ndarray[Any, Any], shape: tuple[int, ...]) -> None:
    if array.shape != shape:
        raise ValueError(f"{where}: {name} has shape {array.shape}, expected {shape}")


def _schema(meta: ShardMeta, routed: Any, digest: str) -> pa.Schema:
    fields = [pa.field(name, pa.from_numpy_dtype(dtype)) for name, dtype in _PLAIN]
    if routed is not None:
        width = len(meta.layers) * meta.top_k
        fields.append(pa.field("expert_ids", pa.list_(pa.from_numpy_dtype(routed), width)))
        fields.append(pa.field("gate_weights", pa.list_(pa.float16(), width)))
    return pa.schema(
        fields,
        metadata={
            "sluice_schema_version": str(SCHEMA_VERSION),
            "sluice_layers": json.dumps(meta.layers),
            "sluice_first_router_layer": str(meta.layers[0]) if meta.layers else "",
            "sluice_n_experts": str(meta.n_experts),
            "sluice_top_k": str(meta.top_k),
            "sluice_source": meta.source,
            "sluice_content_sha256": digest,
        },
    )


def _table(trace: TokenArrays, part: slice, schema: pa.Schema) -> pa.Table:
    columns = [pa.array(getattr(trace, name)[part].astype(dtype, copy=False)) for name, dtype in _PLAIN]
    rows = len(columns[0])
    # rows without routing are null: the last token's, and all of a trace that has none
    unknown = pa.array(np.arange(part.start, part.start + rows) >= trace.routing_count)
    for name in ("expert_ids", "gate_weights")[: len(schema.names) - len(columns)]:
        kind = schema.field(name).type
        array = getattr(trace, name)
        if array is None:
            columns.append(pa.nulls(rows, kind))
            continue
        flat = pa.array(
            np.ascontiguousarray(array[part]).astype(kind.value_type.to_pandas_dtype(), copy=False).reshape(-1)
        )
        columns.append(pa.FixedSizeListArray.from_arrays(flat, type=kind, mask=unknown))
    return pa.Table.from_arrays(columns, schema=schema)


def _arrays(table: pa.Table, meta: ShardMeta) -> TokenArrays:
    plain = {name: table[name].to_numpy() for name, _ in _PLAIN}
    known = len(table) - table["expert_ids"].null_count if "expert_ids" in table.column_names else 0
    if known == 0:  # a trace without routing, or a window of the last token alone
        return TokenArrays(**plain)
    shape = (len(table), len(meta.layers), meta.top_k)
    return TokenArrays(
        **plain,
        expert_ids=_lists(table["expert_ids"]).reshape(shape),
        gate_weights=_lists(table["gate_weights"]).reshape(shape),
        routing_count=known,
    )


def _lists(column: pa.ChunkedArray) -> np.ndarray[Any, Any]:
    """Rows of a fixed-size list column one after another, null rows as zeros."""
    whole = column.combine_chunks()
    chunks = whole.chunks if isinstance(whole, pa.ChunkedArray) else [whole]
    kind = column.type.value_type.to_pandas_dtype()
    out = np.zeros((len(column), column.type.list_size), dtype=kind)
    row = 0
    for chunk in chunks:
        present = np.asarray(chunk.is_valid())
        out[row : row + len(chunk)][present] = chunk.drop_null().flatten().to_numpy().reshape(-1, column.type.list_size)
        row += len(chunk)
    return out


def _digest(traces: Sequence[TokenArrays], meta: ShardMeta) -> str:
    """SHA-256 of the content, independent of the Parquet writer's version."""
    digest = hashlib.sha256(repr((SCHEMA_VERSION, meta)).encode())
    for trace in traces:
        digest.update(repr((len(trace), trace.routing_count)).encode())
        for name, dtype in _PLAIN:
            digest.update(np.ascontiguousarray(getattr(trace, name), dtype=dtype).tobytes())
        if trace.expert_ids is not None and trace.gate_weights is not None:
            digest.update(np.ascontiguousarray(trace.expert_ids[: trace.routing_count]).tobytes())
            digest.update(np.ascontiguousarray(trace.gate_weights[: trace.routing_count], dtype=np.float16).tobytes())
    return digest.hexdigest()


# -- where a window lies ------------------------------------------------------------------------------------------------


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


def _meta(raw: dict[bytes, bytes], path: str) -> ShardMeta:
    try:
        if int(raw[b"sluice_schema_version"]) != SCHEMA_VERSION:
            raise ValueError(
                f"shard {path!r} has schema version {raw[b'sluice_schema_version']!r}, not {SCHEMA_VERSION}"
            )
        return ShardMeta(
            layers=[int(layer) for layer in json.loads(raw[b"sluice_layers"])],
            n_experts=int(raw[b"sluice_n_experts"]),
            top_k=int(raw[b"sluice_top_k"]),
            source=raw[b"sluice_source"].decode(),
        )
    except KeyError as missing:
        raise ValueError(f"{path!r} is a Parquet file but no token shard: {missing} is not in its metadata") from None


def _meta_digest(file: pq.ParquetFile) -> str:
    return bytes((file.schema_arrow.metadata or {}).get(b"sluice_content_sha256", b"")).decode()
