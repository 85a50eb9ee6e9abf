"""Writing rows to a file, batch by batch: JSON lines or Parquet. Text goes out exactly as it came in.

JSON lines are UTF-8. The three characters that some readers take for line ends inside a line (U+0085, U+2028, U+2029) are
written as escapes, which are the same text to a JSON reader.
"""

import hashlib
import json
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import pyarrow as pa
import pyarrow.parquet as pq

_LINE_ENDS = {0x85: "\\u0085", 0x2028: "\\u2028", 0x2029: "\\u2029"}


def json_line(row: dict[str, Any]) -> str:
    """One row as one line, without the line feed. Raises ValueError for not-a-number, which is no JSON."""
    return json.dumps(row, ensure_ascii=False, allow_nan=False).translate(_LINE_ENDS)


class JsonLines:
    """A file of JSON lines being written."""

    def __init__(self, path: Path, _schema: pa.Schema) -> None:
        self._file = path.open("x", encoding="utf-8", newline="\n")

    def write(self, rows: list[dict[str, Any]]) -> None:
        """Add rows."""
        self._file.writelines(json_line(row) + "\n" for row in rows)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self._file.close()


class Parquet:
    """A Parquet file being written, one row group a batch."""

    def __init__(self, path: Path, schema: pa.Schema) -> None:
        self._schema = schema
        self._writer = pq.ParquetWriter(path, schema, compression="zstd")

    def write(self, rows: list[dict[str, Any]]) -> None:
        """Add rows."""
        self._writer.write_table(pa.Table.from_pylist(rows, self._schema))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self._writer.close()


WRITERS: dict[str, type[JsonLines] | type[Parquet]] = {"jsonl": JsonLines, "parquet": Parquet}


def described(path: Path) -> dict[str, Any]:
    """Name, size in bytes and SHA-256 of a written file."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while data := file.read(1 << 20):
            digest.update(data)
    return {"name": path.name, "bytes": path.stat().st_size, "sha256": digest.hexdigest()}
