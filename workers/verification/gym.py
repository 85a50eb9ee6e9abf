"""Verifier `reasoning_gym`: the dataset's own scorer, by the dataset's name and the stored entry.

Runs in a killable child (pool.py), because scorers parse and even evaluate the answer. Text that SymPy would evaluate is
looked at first. 1.0 is correct; what is above 0 and below 1 is wrong with its score kept.
"""

import re
from collections.abc import Mapping
from typing import Any

from workers.verification import pool, text
from workers.verification.outcome import Outcome, shortened

MAX_CHARS = 20_000
# Datasets whose scorers hand the answer (and parts of the entry) to SymPy's parser, which evaluates Python.
EVALUATED = frozenset(
    {"countdown", "intermediate_integration", "polynomial_multiplication", "puzzle24", "simple_integration"}
)
_FUNCTIONS = frozenset("acos asin atan cos cosh exp log pi sin sinh sqrt tan tanh".split())  # noqa: SIM905
_NAME = re.compile(r"[^\W\d]\w*")
_ALGEBRA = re.compile(r"[\w\s+\-*/^().,=]*")
_METHOD = re.compile(r"\.\s*[^\W\d]")
_TOWER = re.compile(r"\*\*[^+\-,=]*\*\*|\*\*\s*\(?\s*\d{4,}|\d{60,}")


def check_gym(args: Mapping[str, Any], gold: str, answer: str) -> Outcome:
    """Score an answer: what is in its last box, else in its answer tag, else all of it. args: dataset, and metadata (with question where the scorer reads it) or the whole entry."""
    part = text.final_part(answer)
    part = ", ".join(text.last_boxes(part)) or part  # a scorer compares whole texts and knows no box
    entry = args.get("entry") or {
        "question": args.get("question", ""),
        "answer": gold,
        "metadata": args.get("metadata", {}),
    }
    if refusal := _refusal(args.get("dataset"), entry, part):
        method, message, value = "refused", refusal, None
    else:
        method, message, value = _score(str(args["dataset"]), entry, part)
    if value is None:
        return Outcome("undecidable", None, shortened(part), gold, method, message)
    return Outcome("correct" if value == 1 else "wrong", value, shortened(part), gold, method, message)


def _refusal(dataset: object, entry: object, part: str) -> str:
    """Why the scorer is not asked; "" when it may be."""
    if not isinstance(dataset, str) or not dataset:
        return "the problem does not name its reasoning-gym dataset"
    if not isinstance(entry, dict):
        return "the problem's stored entry is not an object"
    if len(part) > MAX_CHARS:
        return f"the answer has more than {MAX_CHARS} characters"
    if dataset in EVALUATED and not all(is_algebra(piece) for piece in (part, *_texts(entry))):
        return "the scorer would evaluate this text as a program"
    return ""


def _score(dataset: str, entry: dict[str, Any], part: str) -> tuple[str, str, float | None]:
    """Method, message and score; no score when there is none to trust."""
    try:
        reply = pool.shared().ask("score", {"dataset": dataset, "entry": entry, "answer": part})
    except pool.ChildTimeoutError:
        return "timeout", f"not scored within {pool.SECONDS:g} s", None
    except pool.ChildDiedError as error:
        return "died", f"the scoring process ended: {error}", None
    value = reply.get("score")
    if value is None or not 0 <= value <= 1:
        return "score", str(reply.get("error") or f"the scorer said {value}"), None
    return "score", "" if value == 1 else f"score {value:g}", float(value)


def is_algebra(piece: str) -> bool:
    """Whether a text holds numbers, operators, one-letter names and well-known functions, nothing else, and no huge power."""
    names = set(_NAME.findall(piece))
    return (
        _ALGEBRA.fullmatch(piece) is not None
        and all(len(name) == 1 or name in _FUNCTIONS for name in names)
        and not _METHOD.search(piece)
        and not _TOWER.search(piece.replace("^", "**"))
    )


def _texts(entry: dict[str, Any]) -> list[str]:
    metadata = entry.get("metadata")
    values = [entry.get("answer"), *(metadata.values() if isinstance(metadata, dict) else ())]
    return [value for value in values if isinstance(value, str) and value not in EVALUATED]
