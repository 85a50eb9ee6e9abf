"""Rows of JSON: one object a line, or a JSON array, or objects one after the other over several lines.

Lines are kept apart first, so that one broken line costs one row. An array has no such anchor and is cut by a scanner that knows
strings and brackets; it holds one element at a time. Both take memory for one record, however long the file.
"""

import re
from collections.abc import Callable, Iterator

from workers.formats.records import Rejected, Row
from workers.formats.values import MAX_RECORD_BYTES, row_from_json

CHUNK = 2**20
Read = Callable[[int], bytes]
_TOO_LONG = f"longer than {MAX_RECORD_BYTES // 2**20} MiB"
_TOKEN = re.compile(rb'[\[\]{},"]')
_STRING_REST = re.compile(rb'[^"\\]*+(?:\\.[^"\\]*+)*+"', re.DOTALL)  # possessive: no backtracking over long strings


def read_lines(read: Read) -> Iterator[Row | Rejected]:
    """Rows of JSON lines; blank lines are passed over but counted."""
    for number, line in _lines(read):
        if line is None:
            yield Rejected(number, f"the line is {_TOO_LONG}")
        elif line.strip():
            yield row_from_json(line, number)


def read_elements(read: Read, *, in_array: bool) -> Iterator[Row | Rejected]:
    """Rows of a JSON array, or of objects one after the other; numbered from 1."""
    for number, element in enumerate(_elements(read, in_array=in_array), start=1):
        yield row_from_json(element, number)


def _lines(read: Read) -> Iterator[tuple[int, bytes | None]]:
    """Lines with any of the three line endings, numbered from 1; None in place of one that is too long."""
    rest, number, skipping = b"", 0, False
    while chunk := read(CHUNK):
        parts = (rest + chunk).splitlines(keepends=True)
        rest = b"" if parts[-1].endswith(b"\n") else parts.pop()  # a lone \r may be half of \r\n
        for part in parts:
            number += 1
            yield number, None if skipping else part
            skipping = False
        if len(rest) > MAX_RECORD_BYTES:
            rest, skipping = b"", True
    if rest or skipping:
        yield number + 1, None if skipping else rest


def _elements(read: Read, *, in_array: bool) -> Iterator[bytes]:
    """The elements' bytes, in order; what is left at the end is given as it is, so that a cut-off file is noticed.

    Raises ValueError when an element grows beyond the limit: nothing after it can be found.
    """
    buffer, position, start, depth = _skip_bracket(read) if in_array else b"", 0, 0, 0
    while True:
        token = _TOKEN.search(buffer, position)
        end = _STRING_REST.match(buffer, token.end()) if token and token.group() == b'"' else token
        if token is None or end is None:
            resume = token.start() if token else len(buffer)  # an unfinished string is looked at again
            chunk = read(CHUNK)
            if not chunk:
                break
            buffer, position, start = buffer[start:] + chunk, resume - start, 0
            if len(buffer) > MAX_RECORD_BYTES + CHUNK:
                raise ValueError(f"a record is {_TOO_LONG}")
            continue
        position = end.end()
        sign = token.group()
        if sign in b"[{":
            depth += 1
        elif sign in b"]}" and depth:
            depth -= 1
        elif sign == b"]" and in_array:
            yield from _piece(buffer[start : token.start()])
            start = token.end()
            break
        ends_object = sign == b"}" and not depth and not in_array
        if ends_object or (sign == b"," and not depth):
            yield from _piece(buffer[start : position if ends_object else token.start()])
            start = position
    yield from _piece(buffer[start:])


def _piece(raw: bytes) -> Iterator[bytes]:
    if raw.strip():
        yield raw.strip()


def _skip_bracket(read: Read) -> bytes:
    buffer = read(CHUNK)
    return buffer[buffer.index(b"[") + 1 :]
