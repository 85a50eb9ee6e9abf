"""Reads and checks a safetensors header before anything is allocated: the file is hostile until every number in it fits.

Format: 8 bytes little-endian header length, JSON header {name: {dtype, shape, data_offsets}}, then the data (safetensors' own specification).
Left out: types of less than a byte (F4, F6), which no checkpoint of this family uses.
"""

import json
import math
import os
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

MAX_HEADER_BYTES = 100_000_000  # the reference implementation's cap
LFS_POINTER = b"version "  # how the text file begins that stands for a file in a clone without Git LFS
MAX_DIMENSIONS = 8  # with numbers below 2^63, so that multiplying a shape stays cheap whatever a file claims
ITEM_BYTES = {
    **dict.fromkeys(("F64", "I64", "U64", "C64"), 8),
    **dict.fromkeys(("F32", "I32", "U32"), 4),
    **dict.fromkeys(("F16", "BF16", "I16", "U16"), 2),
    **dict.fromkeys(("F8_E4M3", "F8_E5M2", "F8_E8M0", "F8_E4M3FNUZ", "F8_E5M2FNUZ", "I8", "U8", "BOOL"), 1),
}


@dataclass(frozen=True, slots=True)
class TensorInfo:
    """A tensor's place: bytes [begin, end) of the file."""

    dtype: str
    shape: tuple[int, ...]
    begin: int
    end: int


def read_header(path: Path) -> dict[str, TensorInfo]:
    """Return the tensors of a file by name. Raises ValueError saying what is wrong with which file and tensor."""
    with path.open("rb") as file:
        return parse_header(path, file)


def parse_header(path: Path, file: BinaryIO) -> dict[str, TensorInfo]:
    """`read_header` of a file that is open at its beginning; `path` serves for what errors say."""
    size = os.fstat(file.fileno()).st_size
    start = file.read(8)
    if len(start) < 8:
        raise ValueError(f"{path} is not a safetensors file: {size} bytes")
    (length,) = struct.unpack("<Q", start)
    if start == LFS_POINTER:
        raise ValueError(f"{path} is a Git LFS pointer, not the weights; run `git lfs pull` where it was cloned")
    if length > min(MAX_HEADER_BYTES, size - 8):
        raise ValueError(f"{path}: the header claims {length} bytes, the file has {size}; it is damaged or cut off")
    try:
        header = json.loads(file.read(length).decode("utf-8"), object_pairs_hook=_unique)
    except (UnicodeDecodeError, json.JSONDecodeError, RecursionError) as error:
        raise ValueError(f"{path}: the header is not JSON: {error}") from error
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error
    if not isinstance(header, dict):
        raise ValueError(f"{path}: the header is not a JSON object")  # noqa: TRY004  # the file is bad, not the call
    data = 8 + length
    tensors = {name: _tensor(path, name, entry, data) for name, entry in header.items() if name != "__metadata__"}
    _check_layout(path, tensors, data, size)
    return tensors


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in pairs:
        if name in found:
            raise ValueError(f"the header names {shown(name)} twice")
        found[name] = value
    return found


def _tensor(path: Path, name: str, entry: Any, data: int) -> TensorInfo:
    try:
        dtype, shape, (begin, end) = str(entry["dtype"]), tuple(entry["shape"]), entry["data_offsets"]
    except (TypeError, KeyError, ValueError) as error:
        raise ValueError(f"{path}: the entry of {shown(name)} lacks dtype, shape or data_offsets") from error
    numbers = (*shape[: MAX_DIMENSIONS + 1], begin, end)
    if not all(isinstance(n, int) and not isinstance(n, bool) and 0 <= n < 2**63 for n in numbers):
        raise ValueError(f"{path}: the entry of {shown(name)} holds a number that is no size")
    if len(shape) > MAX_DIMENSIONS:
        raise ValueError(f"{path}: {shown(name)} has {len(shape)} dimensions")
    if dtype not in ITEM_BYTES:
        raise ValueError(f"{path}: {shown(name)} has the unknown dtype {shown(dtype)}")
    if math.prod(shape) * ITEM_BYTES[dtype] != end - begin:
        raise ValueError(
            f"{path}: {shown(name)} of shape {list(shape)} and {dtype} does not fill its {end - begin} bytes"
        )
    return TensorInfo(dtype, shape, data + begin, data + end)


def _check_layout(path: Path, tensors: dict[str, TensorInfo], at: int, size: int) -> None:
    """Tensors follow one another from byte `at` without gap or overlap and end where the file ends."""
    for name, info in sorted(tensors.items(), key=lambda item: (item[1].begin, item[1].end)):
        if info.begin != at:
            raise ValueError(f"{path}: {shown(name)} begins at byte {info.begin}, expected {at} (gap or overlap)")
        at = info.end
    if at != size:
        raise ValueError(f"{path}: the tensors end at byte {at}, the file at {size}; it is damaged or cut off")


def shown(name: str) -> str:
    """A name out of a file as an error may show it: short, printable, as it is where it is harmless."""
    harmless = len(name) <= 100 and name.isascii() and name.isprintable() and name and " " not in name
    return name if harmless else repr(name[:100]) + ("..." if len(name) > 100 else "")
