"""Rows of a CSV file: a header, then one record a line (quoted line breaks allowed), every value a text.

Left out: guessing. Commas separate (tabs where the header has tabs and no comma), and a header that reads otherwise is shown and refused.
"""

import csv
import io
from collections.abc import Iterator

from workers.formats.jsonrows import Read
from workers.formats.records import Rejected, Row
from workers.formats.values import MAX_RECORD_BYTES, row_from_value

MAX_COLUMNS = 1_000


class _Raw(io.RawIOBase):
    """What io.TextIOWrapper needs, over a read function."""

    def __init__(self, read: Read) -> None:
        self._read = read

    def readable(self) -> bool:
        return True

    def readinto(self, target: memoryview) -> int:  # type: ignore[override]  # the only buffer TextIOWrapper hands in
        part = self._read(len(target))
        target[: len(part)] = part
        return len(part)


def read_csv(read: Read, first_line: str) -> Iterator[Row | Rejected]:
    """Rows of a CSV stream; `first_line` is its header line. Raises ValueError, showing the header, when that cannot be one."""
    delimiter = "\t" if "\t" in first_line and "," not in first_line else ","
    csv.field_size_limit(MAX_RECORD_BYTES)
    # surrogateescape lets a row that is not UTF-8 be refused by itself
    text = io.TextIOWrapper(io.BufferedReader(_Raw(read)), encoding="utf-8", errors="surrogateescape", newline="")
    reader = csv.reader(text, delimiter=delimiter)
    header = [name.strip() for name in next(reader)]
    _check_header(header, first_line)
    while True:
        line = reader.line_num + 1
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            yield Rejected(line, f"not CSV: {error}")
            continue
        if not cells:
            continue
        if len(cells) != len(header):
            yield Rejected(line, f"{len(cells)} columns where the header has {len(header)}")
        elif any("\udc80" <= sign <= "\udcff" for cell in cells if not cell.isascii() for sign in cell):
            yield Rejected(line, "not UTF-8; save the file as UTF-8")
        else:
            yield row_from_value(dict(zip(header, cells, strict=True)), line)


def _check_header(header: list[str], shown: str) -> None:
    shown = shown.strip()[:200]
    if len(header) > MAX_COLUMNS:
        raise ValueError(f"{len(header):,} columns; at most {MAX_COLUMNS:,} are read")
    if len(header) == 1:
        raise ValueError(f"the header has one column only: {shown!r}. Columns must be separated by commas (or tabs)")
    twice = sorted({name for name in header if header.count(name) > 1})
    if twice:
        raise ValueError(f"the header names {', '.join(map(repr, twice))} twice: {shown!r}")
    if "" in header:
        raise ValueError(f"the header has a column without a name: {shown!r}")
