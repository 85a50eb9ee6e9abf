"""A window of tokens as the browser gets it: one little-endian binary answer, a JSON header and typed arrays.

    bytes 0..3      uint32: length of the header; with these four bytes it fills a multiple of 8
    bytes 4..       header: UTF-8 JSON, padded with spaces
    then            each array of header["arrays"], at its "offset" from the header's end, a multiple of 8

header: {"version", "start", "stop", "count", "routing_count", "layers", "n_experts", "top_k", "n_group",
"arrays": [{"name", "type": int32|uint32|float32|uint8|uint16|float16, "shape", "offset"}]}. Token i of the trace is row i - start.
"layers" are those that the arrays hold: all of the trace, the one that was asked for, or none. Routing rows from `routing_count` on have no
meaning. The arrays are those of tokenstore.TokenArrays, as far as they are known; `accepted` is 0 or 1.
"""

import json
from typing import Any

import numpy as np

from webapp.traces.shardtable import COLUMNS
from webapp.traces.tokenstore import Layer, ShardMeta, TokenArrays

VERSION = 2
MAX_TOKENS = 8192  # of one window
CONTENT_TYPE = "application/vnd.sluice.tokens"


def layer_of(text: str) -> Layer:
    """The `layer` of an address: an id, "none", or all where nothing is said. ValueError for what is neither."""
    if text in {"", "none"}:
        return "none" if text else None
    if not (text.isascii() and text.isdigit() and len(text) < 6):  # no model has so many layers
        raise ValueError(f"layer must be the number of a layer or none, got {text[:40]!r}")
    return int(text)


def encode(window: TokenArrays, meta: ShardMeta, *, start: int, count: int) -> bytes:
    """`window` begins at token `start` of a trace of `count`; both are of the layers that were read (tokenstore.read_with_meta)."""
    arrays: list[dict[str, Any]] = []
    body = bytearray()
    for name in COLUMNS:
        array = getattr(window, name)
        if array is None:
            continue
        if array.dtype == np.bool_:
            array = array.view(np.uint8)
        little = np.ascontiguousarray(array, dtype=array.dtype.newbyteorder("<"))
        body += bytes(-len(body) % 8)
        arrays.append({"name": name, "type": str(array.dtype), "shape": list(array.shape), "offset": len(body)})
        body += little.tobytes()
    header = json.dumps(
        {
            "version": VERSION,
            "start": start,
            "stop": start + len(window),
            "count": count,
            "routing_count": window.routing_count,
            "layers": meta.layers,
            "n_experts": meta.n_experts,
            "top_k": meta.top_k,
            "n_group": meta.n_group,
            "arrays": arrays,
        }
    ).encode()
    header += b" " * (-(len(header) + 4) % 8)
    return len(header).to_bytes(4, "little") + header + bytes(body)
