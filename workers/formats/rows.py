"""A file as rows, whatever it is packed in. What it is, its first bytes say."""

from collections.abc import Iterator
from pathlib import Path

from workers.formats.bytestream import ByteStream
from workers.formats.csvrows import read_csv
from workers.formats.jsonrows import read_elements, read_lines
from workers.formats.parquetrows import ParquetRows
from workers.formats.records import Rejected, Row


class Rows:
    """Rows of one file, read once from the start; close it after use.

    `container` names what the file is; `position` of `size` bytes were read. Raises ValueError, in words, when the file as a whole
    cannot be read; a row that cannot is yielded as Rejected.
    """

    def __init__(self, path: Path, name: str = "") -> None:
        self._source: ByteStream | ParquetRows
        stream = ByteStream(path, name)
        self.count: int | None = None  # rows in the file, where it says so
        if stream.is_parquet:
            stream.close()
            self._source = ParquetRows(path)
            self.container, self.count, self._rows = "Parquet", self._source.count, iter(self._source)
        else:
            self._source = stream
            try:
                self.container, self._rows = _text_rows(stream, name or path.name)
            except BaseException:
                stream.close()
                raise
            if stream.compression:
                self.container += f" ({stream.compression})"
        self.size = self._source.size

    @property
    def position(self) -> int:
        return self._source.position

    def __iter__(self) -> Iterator[Row | Rejected]:
        return self._rows

    def close(self) -> None:
        self._source.close()


def _text_rows(stream: ByteStream, name: str) -> tuple[str, Iterator[Row | Rejected]]:
    begin = stream.head.lstrip()
    if not begin:
        raise ValueError("the file has no records: it holds blank lines only")
    first_line = begin.splitlines()[0].rstrip()
    if begin.startswith(b"["):
        return "JSON array", read_elements(stream.read, in_array=True)
    if begin.startswith(b"{"):
        if first_line == b"{":
            return "JSON objects", read_elements(stream.read, in_array=False)
        return "JSON lines", read_lines(stream.read)
    header = first_line.decode("utf-8", errors="replace")
    if name.lower().endswith((".csv", ".tsv")) or (header.isprintable() and ("," in header or "\t" in header)):
        return "CSV", read_csv(stream.read, header)
    raise ValueError(f"not JSON lines, a JSON array, CSV or Parquet: the file begins with {header[:40]!r}")
