"""A file as a stream of plain bytes: gzip and Zstandard are undone, within a limit on what they may expand to.

What a file is shows in its first bytes, never in its name; a name is only used to say more clearly what is wrong.
"""

import gzip
import zlib
from pathlib import Path
from typing import BinaryIO

import pyarrow as pa

HEAD_BYTES = 64 * 1024
EXPANSION = 200  # decoded bytes a stored byte; repetitive traces reach 50
MIN_DECODED_LIMIT = 256 * 2**20
_BOM = b"\xef\xbb\xbf"
_FOREIGN = [  # first bytes, what the file is, what to do
    (
        b"version https://git-lfs.github.com/spec/",
        "a Git LFS pointer, not the file itself: fetch the file (git lfs pull) and import that",
    ),
    (b"PK\x03\x04", "a ZIP archive: unpack it and import the file inside"),
    (b"BZh", "a bzip2 file: unpack it, or compress with gzip or Zstandard"),
    (b"\xfd7zXZ\x00", "an xz file: unpack it, or compress with gzip or Zstandard"),
    (b"\xff\xfe", "UTF-16 text: save it as UTF-8"),
    (b"\xfe\xff", "UTF-16 text: save it as UTF-8"),
]


class ByteStream:
    """`read(n)` gives decoded bytes without a leading byte order mark, `head` shows the first of them without taking them.

    Raises ValueError, in words, for an empty file, a kind that cannot be read, damage, and an expansion beyond the limit.
    """

    def __init__(self, path: Path, name: str = "") -> None:
        self.size = path.stat().st_size
        if not self.size:
            raise ValueError("the file has no records: it is empty")
        self._raw: BinaryIO = path.open("rb")
        try:
            magic = self._raw.read(64)
            self._raw.seek(0)
            self.compression = _compression(magic)
            self._file = self._open()
            self._decoded = 0
            self.limit = max(MIN_DECODED_LIMIT, EXPANSION * self.size) if self.compression else None
            self.head = self._fill(HEAD_BYTES)
            self._pending = self.head = self.head.removeprefix(_BOM)
            _refuse_foreign(self.head, self.compression, name or path.name)
        except BaseException:
            self._raw.close()
            raise

    def close(self) -> None:
        self._raw.close()

    @property
    def position(self) -> int:
        """Bytes of the stored file that were read."""
        return min(self._raw.tell(), self.size)

    @property
    def is_parquet(self) -> bool:
        return self.head.startswith(b"PAR1")

    def read(self, count: int) -> bytes:
        """Return up to `count` decoded bytes; b"" at the end."""
        if self._pending:
            part, self._pending = self._pending[:count], self._pending[count:]
            return part
        return self._take(count)

    def _open(self) -> BinaryIO:
        if self.compression == "gzip":
            return gzip.GzipFile(fileobj=self._raw)  # type: ignore[return-value]  # reads like one
        if self.compression == "zstd":
            return pa.CompressedInputStream(pa.PythonFile(self._raw, mode="r"), "zstd")  # type: ignore[no-any-return]
        return self._raw

    def _fill(self, count: int) -> bytes:
        parts = []
        while count > 0 and (part := self._take(count)):
            parts.append(part)
            count -= len(part)
        return b"".join(parts)

    def _take(self, count: int) -> bytes:
        try:
            part = bytes(self._file.read(count))
        except (EOFError, zlib.error, OSError, pa.ArrowException) as error:
            raise ValueError(
                f"the {self.compression or 'file'} data is damaged or cut off after {self._decoded:,} bytes: {error}"
            ) from error
        self._decoded += len(part)
        if self.limit is not None and self._decoded > self.limit:
            raise ValueError(
                f"the compressed file expands to more than {self.limit // 2**20:,} MiB; unpack it and import in parts"
            )
        return part


def _compression(magic: bytes) -> str:
    if magic.startswith(b"\x1f\x8b"):
        return "gzip"
    return "zstd" if magic.startswith(b"\x28\xb5\x2f\xfd") else ""


def _refuse_foreign(head: bytes, compression: str, name: str) -> None:
    for magic, words in _FOREIGN:
        if head.startswith(magic):
            raise ValueError(f"this is {words}")
    is_parquet = head.startswith(b"PAR1")
    if is_parquet and compression:
        raise ValueError(f"this is a Parquet file inside {compression}: unpack it first (Parquet compresses by itself)")
    if not is_parquet and name.lower().endswith((".parquet", ".pq")):
        raise ValueError(f"not a Parquet file, though its name says so: it begins with {head[:8]!r}")
    if not is_parquet and b"\x00" in head[:1024]:
        raise ValueError(
            "a binary file of a kind that is not known; JSON lines, a JSON array, CSV and Parquet can be read"
        )
