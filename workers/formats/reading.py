"""The registry of formats that can be read, and the reader: a file in, records out, each broken row by itself.

A new format is one module with a FORMAT and one line here; the first of the registry that fits most of the first rows is taken.
"""

from collections.abc import Generator, Iterator
from itertools import chain, islice
from pathlib import Path

from workers.formats import gsm8k, math500, plain_problems, plain_traces, seed_traces
from workers.formats.records import Format, Kind, ProblemRecord, Rejected, Row, RowError, TraceRecord
from workers.formats.rows import Rows

AUTO = "auto"
FORMATS: tuple[Format, ...] = (
    gsm8k.FORMAT,
    math500.FORMAT,
    plain_problems.FORMAT,
    seed_traces.FORMAT,
    plain_traces.FORMAT,
)
SAMPLE_ROWS = 20


def formats_of(kind: Kind) -> list[Format]:
    """The formats that a kind of import knows, the special ones first."""
    return [fmt for fmt in FORMATS if fmt.kind == kind]


class Reader:
    """Reads one file as problems or as traces; iterate over it once, then close it.

    `format` is None when no row of the beginning could be read at all; then only Rejected come. Raises ValueError, in words, when the
    file cannot be read as a whole, when `format` is not known, and when no format fits the fields of the first rows.
    `position` of `size` bytes were read; `count` is the number of rows where the file says so.
    """

    def __init__(self, path: Path, kind: Kind, format: str = AUTO, name: str = "") -> None:  # noqa: A002  # the contract's word
        self._rows = Rows(path, name)
        try:
            sample = list(islice(self._rows, SAMPLE_ROWS))
            self.format = _named(format, kind) if format != AUTO else _recognise(sample, kind)
        except BaseException:
            self._rows.close()
            raise
        self._all = chain(sample, self._rows)
        self.container, self.size, self.count = self._rows.container, self._rows.size, self._rows.count

    @property
    def position(self) -> int:
        return self._rows.position

    def __iter__(self) -> Iterator[ProblemRecord | TraceRecord | Rejected]:
        for row in self._all:
            if isinstance(row, Rejected):
                yield row
            elif self.format is None:
                yield Rejected(row.line, "the format is not known, because no row at the beginning could be read")
            else:
                yield _record(self.format, row)

    def close(self) -> None:
        self._rows.close()


def read_problems(path: Path, format: str = AUTO) -> Generator[ProblemRecord | Rejected]:  # noqa: A002
    """Yield the problems of a file; see Reader for what is raised."""
    yield from _read(path, "problems", format)  # type: ignore[misc]  # a format of problems makes no traces


def read_traces(path: Path, format: str = AUTO) -> Generator[TraceRecord | Rejected]:  # noqa: A002
    """Yield the traces of a file; see Reader for what is raised."""
    yield from _read(path, "traces", format)  # type: ignore[misc]


def detect(path: Path, kind: Kind) -> str:
    """Return the name of the format that a file is in. Raises ValueError when none fits or nothing can be read."""
    reader = Reader(path, kind)
    reader.close()
    if reader.format is None:
        raise ValueError("no row at the beginning of the file can be read")
    return reader.format.name


def _read(path: Path, kind: Kind, name: str) -> Iterator[ProblemRecord | TraceRecord | Rejected]:
    reader = Reader(path, kind, name)
    try:
        yield from reader
    finally:
        reader.close()


def _record(fmt: Format, row: Row) -> ProblemRecord | TraceRecord | Rejected:
    try:
        return fmt.read(row)
    except RowError as error:
        return Rejected(row.line, str(error))


def _named(name: str, kind: Kind) -> Format:
    known = formats_of(kind)
    for fmt in known:
        if fmt.name == name:
            return fmt
    raise ValueError(f"unknown format {name!r} of {kind}; known are {', '.join([AUTO, *(fmt.name for fmt in known)])}")


def _recognise(sample: list[Row | Rejected], kind: Kind) -> Format | None:
    if not sample:
        raise ValueError("the file has no records")
    rows = [row for row in sample if isinstance(row, Row)]
    if not rows:
        return None
    best = max(
        formats_of(kind), key=lambda fmt: sum(fmt.matches(row.value) for row in rows)
    )  # the first one wins a draw
    if any(best.matches(row.value) for row in rows):
        return best
    shown = ", ".join(list(rows[0].value)[:12]) or "none at all"
    other: Kind = "traces" if kind == "problems" else "problems"
    hint = f" (it could be imported as {other})" if any(f.matches(rows[0].value) for f in formats_of(other)) else ""
    raise ValueError(f"no known format of {kind} fits the fields of line {rows[0].line}: {shown}{hint}")
