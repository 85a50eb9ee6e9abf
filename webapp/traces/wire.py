"""A window of tokens as the browser gets it: one little-endian binary answer, a JSON header and typed arrays.

    bytes 0..3      uint32: length of the header; with these four bytes it fills a multiple of 8
    bytes 4..       header: UTF-8 JSON, padded with spaces
    then            each array of header["arrays"], at its "offset" from the header's end, a multiple of 8

header: {"version", "start", "stop", "count", "routing_count", "layers", "n_experts", "top_k",
"arrays": [{"name", "type": int32|float32|uint8|uint16|float16, "shape", "offset"}]}. Token i of the trace is row i - start.
Routing rows from `routing_count` on have no meaning. The arrays are those of tokenstore.TokenArrays.
"""

import json
from typing import Any

import numpy as np

from webapp.traces.tokenstore import ShardMeta, TokenArrays

VERSION = 1
MAX_TOKENS = 8192  # of one window
CONTENT_TYPE = "application/vnd.sluice.tokens"
_NAMES = ("token_id", "text_start", "text_end", "logprob", "entropy", "expert_ids", "gate_weights")


def encode(window: TokenArrays, meta: ShardMeta, *, start: int, count: int) -> bytes:
    """`window` begins at token `start` of a trace of `count`."""
    arrays: list[dict[str, Any]] = []
    body = bytearray()
    for name in _NAMES:
        array = getattr(window, name)
        if array is None:
            continue
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
            "arrays": arrays,
        }
    ).encode()
    header += b" " * (-(len(header) + 4) % 8)
    return len(header).to_bytes(4, "little") + header + bytes(body)
