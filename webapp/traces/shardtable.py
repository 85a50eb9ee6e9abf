"""What a shard says of tokens, as arrays and as the columns of a Parquet table.

Version 2 of the schema added columns that may be absent, and null where a trace does not know them: whether a token was drafted and accepted, and
what the router weighed in each layer. Version 1 is read as it is. Left out: files (shardfile.py), where a trace lies in one (tokenstore.py).

Lengths: N tokens, L layers that have a router, K experts a token.
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import pyarrow as pa

Array = np.ndarray[Any, Any]
Layer = int | Literal["none"] | None

SCHEMA_VERSION = 2
READABLE = (1, 2)
PLAIN: dict[str, Any] = {
    "token_id": np.int32,
    "text_start": np.int32,
    "text_end": np.int32,
    "logprob": np.float32,
    "entropy": np.float32,
}
CHOICE = ("expert_ids", "gate_weights")  # [N, L, K]
DETAIL: dict[str, Any] = {  # [N, L]
    "routing_entropy": np.float16,
    "routing_margin": np.float16,
    "swapped": np.uint8,
    "open_groups": np.uint32,
}
ROUTED = (*CHOICE, *DETAIL)
COLUMNS = (*PLAIN, "accepted", *ROUTED)


@dataclass(frozen=True, slots=True)
class ShardMeta:
    """What holds for a whole shard. `layers`: decoder-layer ids that have a router, ascending; [] where nothing routes. `n_group`: the groups that
    a layer's experts are in, 0 where that is not known.
    """

    layers: list[int]
    n_experts: int
    top_k: int
    source: str = ""
    n_group: int = 0


@dataclass(frozen=True, slots=True, eq=False)
class TokenArrays:
    """A trace's tokens, or a window of them: N = prompt + completion tokens.

    token_id, text_start, text_end: int32 [N]; characters into prompt, reasoning (where it is a field of its own) and completion joined. logprob, entropy: float32 [N],
    natural log and nats, NaN where unknown (the prompt). expert_ids: uint8 or uint16 [N, L, K]; gate_weights: float16
    [N, L, K]; both None for a trace without routing. Row i of the routing is of token i as input, so the last token,
    which was never fed back, has none: the first `routing_count` rows count (N - 1 unless said otherwise).

    None where unknown: accepted bool [N], the token had been drafted (MTP) and was what was sampled; and, as rows of the routing,
    routing_entropy float16 [N, L], nats, of the router's scores over their sum; routing_margin float16 [N, L], last chosen less best refused of the
    scores that chose, inf where none was refused; swapped uint8 [N, L], experts chosen that would not be without the correction bias;
    open_groups uint32 [N, L], bit g: the experts of group g could be chosen.
    """

    token_id: Array
    text_start: Array
    text_end: Array
    logprob: Array
    entropy: Array
    expert_ids: Array | None = None
    gate_weights: Array | None = None
    routing_count: int = -1
    accepted: Array | None = None
    routing_entropy: Array | None = None
    routing_margin: Array | None = None
    swapped: Array | None = None
    open_groups: Array | None = None

    def __post_init__(self) -> None:
        if self.expert_ids is None:
            object.__setattr__(self, "routing_count", 0)
        elif self.routing_count < 0:
            object.__setattr__(self, "routing_count", max(len(self) - 1, 0))

    def __len__(self) -> int:
        return len(self.token_id)


def check(trace: TokenArrays, meta: ShardMeta, where: str) -> None:
    """Raise ValueError, naming `where`, for arrays that do not fit each other or `meta`."""
    n = len(trace)
    if n == 0:
        raise ValueError(f"{where}: has no tokens")
    for name in (*PLAIN, "accepted"):
        _check_shape(where, name, getattr(trace, name), (n,))
    if (trace.expert_ids is None) != (trace.gate_weights is None):
        raise ValueError(f"{where}: expert_ids and gate_weights come together or not at all")
    for name in DETAIL:
        if trace.expert_ids is None and getattr(trace, name) is not None:
            raise ValueError(f"{where}: {name} without expert_ids")
    if trace.expert_ids is not None:
        _check_routing(trace, trace.expert_ids, meta, where)


def _check_routing(trace: TokenArrays, ids: Array, meta: ShardMeta, where: str) -> None:
    n, layers = len(trace), len(meta.layers)
    for name in CHOICE:
        _check_shape(where, name, getattr(trace, name), (n, layers, meta.top_k))
    for name in DETAIL:
        _check_shape(where, name, getattr(trace, name), (n, layers))
    if ids.dtype not in {np.dtype(np.uint8), np.dtype(np.uint16)}:
        raise ValueError(f"{where}: expert_ids are {ids.dtype}, not uint8 or uint16")
    if not 0 <= trace.routing_count <= n:
        raise ValueError(f"{where}: routing of {trace.routing_count} tokens of {n}")
    highest = int(ids[: trace.routing_count].max(initial=0))
    if highest >= meta.n_experts:
        raise ValueError(f"{where}: expert {highest} of {meta.n_experts}")


def _check_shape(where: str, name: str, array: Array | None, shape: tuple[int, ...]) -> None:
    if array is not None and array.shape != shape:
        raise ValueError(f"{where}: {name} has shape {array.shape}, expected {shape}")


def schema(traces: Sequence[TokenArrays], meta: ShardMeta) -> pa.Schema:
    """The schema of a shard of `traces`: a column is there where any of them knows it."""
    fields = [pa.field(name, pa.from_numpy_dtype(dtype)) for name, dtype in PLAIN.items()]
    if any(trace.accepted is not None for trace in traces):
        fields.append(pa.field("accepted", pa.bool_()))
    for name in ROUTED:
        known = next((array for trace in traces if (array := getattr(trace, name)) is not None), None)
        if known is not None:
            width = len(meta.layers) * (meta.top_k if name in CHOICE else 1)
            fields.append(pa.field(name, pa.list_(pa.from_numpy_dtype(_kind(name, known)), width)))
    said = {
        "sluice_schema_version": str(SCHEMA_VERSION),
        "sluice_layers": json.dumps(meta.layers),
        "sluice_first_router_layer": str(meta.layers[0]) if meta.layers else "",
        "sluice_n_experts": str(meta.n_experts),
        "sluice_top_k": str(meta.top_k),
        "sluice_n_group": str(meta.n_group),
        "sluice_source": meta.source,
        "sluice_content_sha256": digest(traces, meta),
    }
    return pa.schema(fields, metadata=said)


def _kind(name: str, array: Array) -> Any:
    """What a routed column is stored as: expert ids as they come, the rest by the schema."""
    return array.dtype if name == "expert_ids" else DETAIL.get(name, np.float16)


def table(trace: TokenArrays, part: slice, of: pa.Schema) -> pa.Table:
    """Rows `part` of a trace as a table of the schema `of`."""
    rows = len(trace.token_id[part])
    # rows without routing are null: the last token's, and all of a trace that has none
    unknown = pa.array(np.arange(part.start, part.start + rows) >= trace.routing_count)
    columns = []
    for field in of:
        array = getattr(trace, field.name)
        if array is None:
            columns.append(pa.nulls(rows, field.type))
        elif field.name in ROUTED:
            kind = field.type.value_type.to_pandas_dtype()
            flat = pa.array(np.ascontiguousarray(array[part], dtype=kind).reshape(-1))
            columns.append(pa.FixedSizeListArray.from_arrays(flat, type=field.type, mask=unknown))
        else:
            columns.append(pa.array(np.ascontiguousarray(array[part], dtype=field.type.to_pandas_dtype())))
    return pa.Table.from_arrays(columns, schema=of)


def repeating(of: pa.Schema) -> list[str]:
    """The columns whose values come again, by the path that Parquet gives them: these have a dictionary. For half floats it is a detour: the gate
    weights of 8,192 tokens in 58 layers were read in about a third of the time without one.
    """
    lists = [field.name for field in of if field.name in ROUTED and field.type.value_type != pa.float16()]
    return ["token_id", *(f"{name}.list.element" for name in lists)]


def columns(layer: Layer) -> list[str]:
    """The columns to be read where `layer` is wanted."""
    return [*PLAIN, "accepted"] if layer == "none" else list(COLUMNS)


def narrowed(meta: ShardMeta, layer: Layer) -> ShardMeta:
    """`meta` of arrays that hold `layer` alone. ValueError for a layer that has no router."""
    if layer is None:
        return meta
    if layer == "none":
        return replace(meta, layers=[])
    if layer not in meta.layers:
        known = ", ".join(map(str, meta.layers)) or "none"
        raise ValueError(f"layer {layer} has no router; those that have: {known}")
    return replace(meta, layers=[layer])


def arrays(rows: pa.Table, meta: ShardMeta, layer: Layer) -> TokenArrays:
    """A table's rows as arrays of `layer` alone, or of all layers of `meta`, which is that of the whole shard."""
    plain = {name: rows[name].to_numpy() for name in PLAIN}
    if "accepted" in rows.column_names and rows["accepted"].null_count < len(rows):
        plain["accepted"] = rows["accepted"].fill_null(False).to_numpy().astype(np.bool_, copy=False)
    known = len(rows) - rows["expert_ids"].null_count if "expert_ids" in rows.column_names else 0
    if known == 0:  # a trace without routing, or a window of the last token alone
        return TokenArrays(**plain)
    place = slice(None) if layer is None else slice(meta.layers.index(int(layer)), meta.layers.index(int(layer)) + 1)
    routed: dict[str, Any] = {}
    for name in ROUTED:
        if name in rows.column_names and rows[name].null_count < len(rows):
            each = (meta.top_k,) if name in CHOICE else ()
            routed[name] = _lists(rows[name], (len(meta.layers), *each), place)
    return TokenArrays(**plain, **routed, routing_count=known)


def _lists(column: pa.ChunkedArray, shape: tuple[int, ...], place: slice) -> Array:
    """Rows of a fixed-size list column, each in `shape` (layers first), of the layers at `place`; null rows as zeros."""
    width = range(shape[0])[place]
    out = np.zeros((len(column), len(width), *shape[1:]), dtype=column.type.value_type.to_pandas_dtype())
    row = 0
    for chunk in column.chunks:
        present = np.asarray(chunk.is_valid())
        values = chunk.drop_null().flatten().to_numpy().reshape(-1, *shape)
        out[row : row + len(chunk)][present] = values[:, place]
        row += len(chunk)
    return out


def digest(traces: Sequence[TokenArrays], meta: ShardMeta) -> str:
    """SHA-256 of the content, independent of the Parquet writer's version."""
    sha = hashlib.sha256(repr((SCHEMA_VERSION, meta)).encode())
    for trace in traces:
        sha.update(repr((len(trace), trace.routing_count)).encode())
        for name, dtype in PLAIN.items():
            sha.update(np.ascontiguousarray(getattr(trace, name), dtype=dtype).tobytes())
        if trace.accepted is not None:
            sha.update(b"accepted" + np.ascontiguousarray(trace.accepted, dtype=np.bool_).tobytes())
        for name in ROUTED:
            array = getattr(trace, name)
            if array is not None:
                known = np.ascontiguousarray(array[: trace.routing_count], dtype=_kind(name, array))
                sha.update(name.encode() + known.tobytes())
    return sha.hexdigest()


def meta_of(raw: dict[bytes, bytes], path: str) -> ShardMeta:
    """What the metadata of the file at `path` says. ValueError when it is no shard, or of a version that is not known here."""
    try:
        version = int(raw[b"sluice_schema_version"])
        if version not in READABLE:
            raise ValueError(f"shard {path!r} has schema version {version}; known are {READABLE[0]} to {READABLE[-1]}")
        return ShardMeta(
            layers=[int(layer) for layer in json.loads(raw[b"sluice_layers"])],
            n_experts=int(raw[b"sluice_n_experts"]),
            top_k=int(raw[b"sluice_top_k"]),
            source=raw[b"sluice_source"].decode(),
            n_group=int(raw.get(b"sluice_n_group", b"0")),
        )
    except KeyError as missing:
        raise ValueError(f"{path!r} is a Parquet file but no token shard: {missing} is not in its metadata") from None


def digest_of(raw: dict[bytes, bytes] | None) -> str:
    """The content's hash as the metadata has it; empty where it has none."""
    return bytes((raw or {}).get(b"sluice_content_sha256", b"")).decode()
