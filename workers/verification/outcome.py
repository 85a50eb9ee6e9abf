"""What a verifier says of one answer."""

from dataclasses import dataclass
from typing import Literal

Value = Literal["correct", "wrong", "undecidable"]


@dataclass(frozen=True, slots=True)
class Outcome:
    """`value`: undecidable is neither right nor wrong: the verifier could not tell, and `message` says why.

    score: 0..1 where the verifier gives one. extracted: what was taken for the final answer. method: the step that decided.
    """

    value: Value
    score: float | None = None
    extracted: str = ""
    gold: str = ""
    method: str = ""
    message: str = ""


MAX_EXTRACTED = 2000  # characters of an answer that are kept beside a verdict; the trace has all of it


def shortened(text: str) -> str:
    """`text`, cut for keeping beside a verdict."""
    return text if len(text) <= MAX_EXTRACTED else text[:MAX_EXTRACTED] + "…"
