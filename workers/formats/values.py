"""Makes a decoded value storable: what JSON allows and PostgreSQL refuses is replaced, and each replacement is named.

NaN and Infinity become null, NUL becomes U+2400 (its visible sign), a lone surrogate U+FFFD. Everything else is kept exactly, big
integers included. Depth is limited, because every later reader of the value recurses.
"""

import json
import math
import re
from base64 import b64encode
from collections import Counter
from datetime import date, time, timedelta
from decimal import Decimal

from workers.formats.records import Rejected, Row, RowError, Value

MAX_DEPTH = 64
MAX_RECORD_BYTES = 32 * 2**20
_BAD_CHARACTERS = re.compile("[\x00\ud800-\udfff]")


def row_from_json(raw: bytes, line: int) -> Row | Rejected:
    """Decode one object, or say why it is none."""
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError as error:
        return Rejected(line, f"not UTF-8 (byte {error.start + 1} of the line); save the file as UTF-8")
    repeated: list[str] = []

    def pairs(items: list[tuple[str, object]]) -> Value:
        value = dict(items)
        if len(value) < len(items):
            counts = Counter(key for key, _ in items)
            repeated.extend(key for key, times in counts.items() if times > 1)
        return value

    try:
        value = json.loads(text, strict=False, object_pairs_hook=pairs)
    except json.JSONDecodeError as error:
        cut = (
            ", the record seems to be cut off"
            if error.pos >= len(text.rstrip()) - 1 or error.msg.startswith("Unterminated")
            else ""
        )
        return Rejected(line, f"not JSON: {error.msg} (character {error.pos + 1}){cut}")
    except RecursionError:
        return Rejected(line, f"nested too deeply; at most {MAX_DEPTH} levels are read")
    except ValueError as error:  # an integer beyond Python's limit of digits
        return Rejected(line, f"a number that is too long: {error}")
    return row_from_value(value, line, [f"{key} (named twice, the last kept)" for key in repeated[:10]])


def row_from_value(value: object, line: int, lost: list[str] | None = None) -> Row | Rejected:
    """Clean a decoded value, or say why it is not a record."""
    if not isinstance(value, dict):
        return Rejected(line, f"a record must be an object with named fields; this is {_name(value)}")
    lost = lost or []
    cleaned: Value = {}
    try:
        for key, item in value.items():
            words: set[str] = set()
            name = str(_clean(key, words, 0))
            cleaned[name] = _clean(item, words, 1)
            lost += [f"{name} ({word})" for word in sorted(words)]
    except RowError as error:
        return Rejected(line, str(error))
    return Row(line, cleaned, tuple(lost))


def _clean(value: object, lost: set[str], depth: int) -> object:
    if depth > MAX_DEPTH:
        raise RowError(f"nested too deeply; at most {MAX_DEPTH} levels are read")
    if isinstance(value, str):
        return _clean_text(value, lost)
    if value is None or isinstance(value, bool | int) or (isinstance(value, float) and math.isfinite(value)):
        return value
    if isinstance(value, dict):
        return {str(_clean(str(key), lost, depth)): _clean(item, lost, depth + 1) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_clean(item, lost, depth + 1) for item in value]
    return _clean_other(value, lost)


def _clean_text(text: str, lost: set[str]) -> str:
    if text.isascii() and "\x00" not in text:
        return text
    if not _BAD_CHARACTERS.search(text):
        return text
    if "\x00" in text:
        lost.add("NUL, stored as U+2400")
    replaced = _BAD_CHARACTERS.sub(lambda m: "\u2400" if m.group() == "\x00" else "\ufffd", text)
    if "\ufffd" in replaced and replaced.count("\ufffd") > text.count("\ufffd"):
        lost.add("half of a surrogate pair, stored as U+FFFD")
    return replaced


def _clean_other(value: object, lost: set[str]) -> object:
    """What JSON has no word for: as null or as text."""
    if isinstance(value, float):
        lost.add("NaN or Infinity, stored as null")
        return None
    if isinstance(value, bytes):
        lost.add("bytes, stored as base64")
        return b64encode(value).decode("ascii")
    if isinstance(value, date | time):  # datetime is a date
        return value.isoformat()
    if isinstance(value, Decimal | timedelta):
        return str(value)
    raise RowError(f"a value of type {type(value).__name__} cannot be stored")


def _name(value: object) -> str:
    names: dict[type, str] = {
        list: "a list",
        str: "a text",
        bool: "true or false",
        int: "a number",
        float: "a number",
        type(None): "null",
    }
    return names.get(type(value), type(value).__name__)
