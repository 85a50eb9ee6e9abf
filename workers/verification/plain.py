"""Verifiers that need no algebra: the same text, the same number."""

import re
from collections.abc import Iterator, Mapping
from fractions import Fraction
from typing import Any

from workers.verification import quantities, text
from workers.verification.outcome import Outcome, shortened
from workers.verification.quantities import Quantity

RELATIVE = 1e-6


def check_exact(args: Mapping[str, Any], gold: str, answer: str) -> Outcome:
    r"""Whether the answer is the gold text, spaces at the ends and runs of spaces aside.

    The answer may be the whole text, what is in `<answer>` or `\boxed`, or what follows "answer is". args: ignore_case.
    """
    wanted = _plain(gold, args)
    candidates = list(_candidates(answer))
    for how, candidate in candidates:
        if _plain(candidate, args) == wanted:
            return Outcome("correct", 1.0, shortened(candidate), gold, how)
    how, candidate = candidates[0]
    return Outcome("wrong", 0.0, shortened(candidate), gold, how, "the text differs from the gold answer")


def check_numeric(args: Mapping[str, Any], gold: str, answer: str) -> Outcome:
    """Whether the answer is the gold number; the last number of the text counts where none is marked as the answer.

    Two whole numbers must be equal; else they may differ by args["relative"] (1e-6 unless said) of the larger. A percent sign
    in one of the two alone is read as a unit or as a hundredth, whichever fits.
    """
    wanted = quantities.read(text.half_width(gold))
    if wanted is None:
        return Outcome("undecidable", None, "", gold, "gold", "the gold answer is not a number")
    how, shown, given = _number(answer)
    if given is None:
        return Outcome("undecidable", None, shortened(shown), gold, how, "no number found in the answer")
    tolerance = Fraction(str(args.get("relative", RELATIVE)))
    for value in _readings(given, wanted):
        if same_number(Quantity(value, given.is_decimal), wanted, tolerance):
            return Outcome("correct", 1.0, shown, gold, how)
    return Outcome("wrong", 0.0, shown, gold, how, "the number differs from the gold answer")


def same_number(a: Quantity, b: Quantity, tolerance: Fraction) -> bool:
    """Equal; or within the relative tolerance where one of them is written as a decimal and so may be rounded."""
    if a.value == b.value:
        return True
    rounded = a.is_decimal or b.is_decimal
    return rounded and quantities.close(a.value, b.value, tolerance)


def _readings(given: Quantity, wanted: Quantity) -> list[Fraction]:
    if given.is_percent == wanted.is_percent:
        return [given.value]
    return [given.value, given.value / 100 if given.is_percent else given.value * 100]


def _number(answer: str) -> tuple[str, str, Quantity | None]:
    for how, candidate in _candidates(answer):
        cleaned = re.sub(r"^[^\d.+-]{0,3}(?=[\d.+-])", "", text.half_width(candidate).strip())  # a currency sign
        if (found := quantities.read(cleaned)) is not None:
            return how, cleaned, found
        if how in ("boxed", "stated") and (last := quantities.last_in(cleaned)) is not None:
            return how, last, quantities.read(last)
    last = quantities.last_in(text.half_width(text.final_part(answer)))
    return ("last_number", last, quantities.read(last)) if last else ("last_number", "", None)


def _candidates(answer: str) -> Iterator[tuple[str, str]]:
    part = text.final_part(answer)
    yield "whole" if part == answer.strip() else "answer_tag", part
    if boxes := text.last_boxes(part):
        yield "boxed", ", ".join(boxes)
    if (said := text.stated(part)) is not None:
        yield "stated", said


def _plain(value: str, args: Mapping[str, Any]) -> str:
    value = " ".join(value.split())
    return value.casefold() if args.get("ignore_case") else value
