"""Reads and checks a safetensors header before anything is allocated: the file is hostile until every number in it fits.

Format: 8 bytes little-endian header length, JSON header {name: {dtype, shape, data_offsets}}, then the data (safetensors' own specification).
"""

import json
import math
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any

MAX_HEADER_BYTES = 100_000_000  # the reference implementation's cap
ITEM_BYTES = {
    "F64": 8,
    "F32": 4,
    "F16": 2,
    "BF16": 2,
    "I64": 8,
    "I32": 4,
    "I16": 2,
    "I8": 1,
    "U8": 1,
    "BOOL": 1,
    "F8_E4M3": 1,
    "F8_E5M2": 1,
}


@dataclass(frozen=True, slots=True)
class TensorInfo:
    """Where a tensor lies: bytes [begin, end) of the file's data part."""

    dtype: str
    shape: tuple[int, ...]
    begin: int
    end: int


def read_header(path: Path) -> dict[str, TensorInfo]:
    """Return the tensors of a file by name. Raises ValueError saying what is wrong with which file and tensor."""
    size = path.stat().st_size
    with path.open("rb") as file:
        start = file.read(8)
        if len(start) < 8:
            raise ValueError(f"{path} is not a safetensors file: {size} bytes")
        (length,) = struct.unpack("<Q", start)
        if length > min(MAX_HEADER_BYTES, size - 8):
            raise ValueError(f"{path}: the header claims {length} bytes, the file has {size}; it is damaged or cut off")
        text = file.read(length)
    try:
        header = json.loads(text.decode("utf-8"), object_pairs_hook=_unique)
    except (UnicodeDecodeError, json.JSONDecodeError, RecursionError) as error:
        raise ValueError(f"{path}: the header is not JSON: {error}") from error
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error
    if not isinstance(header, dict):
        raise ValueError(f"{path}: the header is not a JSON object")  # noqa: TRY004  # the file is bad, not the call
    tensors = {name: _tensor(path, name, entry) for name, entry in header.items() if name != "__metadata__"}
    _check_layout(path, tensors, size - 8 - length)
    return tensors


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in pairs:
        if name in found:
            raise ValueError(f"the header names {name!r} twice")
        found[name] = value
    return found


def _tensor(path: Path, name: str, entry: Any) -> TensorInfo:
    try:
        dtype, shape, (begin, end) = entry["dtype"], tuple(entry["shape"]), entry["data_offsets"]
    except (TypeError, KeyError, ValueError) as error:
        raise ValueError(f"{path}: the entry of {name!r} lacks dtype, shape or data_offsets") from error
    numbers = (*shape, begin, end)
    if not all(isinstance(n, int) and not isinstance(n, bool) and n >= 0 for n in numbers):
        raise ValueError(f"{path}: the entry of {name!r} holds a number that is no size: {entry!r:.200}")
    if dtype not in ITEM_BYTES:
        raise ValueError(f"{path}: {name!r} has the unknown dtype {dtype!r}")
    if math.prod(shape) * ITEM_BYTES[dtype] != end - begin:
        raise ValueError(f"{path}: {name!r} of shape {list(shape)} and {dtype} does not fill its {end - begin} bytes")
    return TensorInfo(dtype, shape, begin, end)


def _check_layout(path: Path, tensors: dict[str, TensorInfo], data_bytes: int) -> None:
    """Tensors follow one another without gap or overlap and end where the file ends."""
    at = 0
    for name, info in sorted(tensors.items(), key=lambda item: (item[1].begin, item[1].end)):
        if info.begin != at:
            raise ValueError(f"{path}: {name!r} begins at byte {info.begin}, expected {at} (gap or overlap)")
        at = info.end
    if at != data_bytes:
        raise ValueError(f"{path}: the tensors need {at} bytes, the file holds {data_bytes}; it is damaged or cut off")
