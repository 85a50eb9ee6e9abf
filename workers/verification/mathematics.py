"""Verifier `math`: the same text, the same rational, the same expression, the same number within a relative tolerance.

The cheap steps decide first and exactly; Math-Verify is asked in a killable child (pool.py) and its "equal" is checked once
more (guards.py). What cannot be read, takes too long or is in doubt is undecidable.
"""

import re
from collections.abc import Mapping
from fractions import Fraction
from typing import Any, cast

from workers.verification import guards, plain, pool, quantities, text
from workers.verification.outcome import Outcome, Value, shortened

MAX_SHORT = 200  # characters: more is prose
TAIL = 4_000  # characters from the end of an answer in which nothing is marked as final
_CHOICE = re.compile(r"\(?([A-J])\)?[.:]?(?:\s|\\quad|\\|$).*", re.DOTALL)
_DELIMITED = re.compile(r"\$|\\\[|\\\(|\\boxed")
_EULER = re.compile(r"\\(?:mathrm|text|operatorname)\s*\{\s*e\s*\}")
_FORMULA = re.compile(r"\$\$(.+?)\$\$|\$([^$\n]+)\$|\\\((.+?)\\\)|\\\[(.+?)\\\]", re.DOTALL)
_WORD = re.compile(r"(?<![\\A-Za-z])[A-Za-z]{3,}")
# Python's power after a base, which Math-Verify does not read; "**bold**" has no base before it or no exponent behind
_POWER = re.compile(r"(?<=[\w)\]}])\s?\*\*\s?(\([^()]*\)|[+-]?[\w.]+)")
# a variable in an expression: one letter with an operator at its side (a unit stands behind its number, with none)
_VARIABLE = re.compile(r"[*^+\-(]\s*[A-Za-z](?![A-Za-z])|(?<![A-Za-z\\])[A-Za-z]\s*[*^+\-)]")
_COMMA_DECIMAL = re.compile(r"[+-]?\d+,\d+")


def check_math(args: Mapping[str, Any], gold: str, answer: str) -> Outcome:
    """Whether the answer says what `gold` says. args: relative (tolerance, 1e-6 unless said)."""
    wanted, given = expression(gold), expression(answer)
    tolerance = Fraction(str(args.get("relative", plain.RELATIVE)))
    ruling = _without_algebra(wanted, given, tolerance)
    if ruling is None:
        ruling, read = _with_algebra(wanted, given)
        given = given if given.is_short else Expression(read or given.shown, given.ways, is_short=False)
    score = {"correct": 1.0, "wrong": 0.0}.get(ruling.value)
    shown = shortened(given.shown), shortened(wanted.shown)
    return Outcome(cast("Value", ruling.value), score, *shown, ruling.method, ruling.message)


def _without_algebra(wanted: "Expression", given: "Expression", tolerance: Fraction) -> guards.Ruling | None:
    if not given.shown:
        return guards.Ruling("undecidable", "no_answer", "no answer found in the text")
    if text.normal(given.shown) == text.normal(wanted.shown):
        return guards.Ruling("correct", "exact")
    if (ruling := _choice(wanted, given) or guards.words(wanted.shown, given.shown)) is not None:
        return ruling
    for whose, side in (("the gold answer", wanted), ("the answer", given)):
        if why := guards.too_large(side.shown, prose=not side.is_short):
            return guards.Ruling("undecidable", "too_large", f"{whose} has {why}")
    ruling = _rational(wanted, given, tolerance)
    return ruling or (guards.before(wanted.shape, given.shape) if wanted.shape and given.shape else None)


def _with_algebra(wanted: "Expression", given: "Expression") -> tuple[guards.Ruling, str]:
    """The ruling, and what Math-Verify read as the answer."""
    try:
        reply = pool.shared().ask("compare", {"gold": wanted.ways, "answer": given.ways})
    except pool.ChildTimeoutError:
        return guards.Ruling("undecidable", "timeout", f"not compared within {pool.SECONDS:g} s"), ""
    except pool.ChildDiedError as error:
        return guards.Ruling("undecidable", "died", f"the comparing process ended: {error}"), ""
    read = str(reply.get("answer") or "")
    if reply.get("equal") and any(
        _is_only_a_part(side.shape, str(reply[key])) for side, key in ((wanted, "gold"), (given, "answer"))
    ):
        return guards.Ruling("undecidable", "partial", "only a number could be read out of an expression"), read
    if reply.get("equal") and not (wanted.shape and given.shape):  # the guards have not seen the expressions yet
        ruling = guards.before(str(reply.get("gold") or ""), read)
        if ruling is not None:
            return ruling, read
    return _read_reply(reply), read


def _is_only_a_part(shape: str, read: str) -> bool:
    """Whether a bare number was read out of an expression that holds a variable: what is left of it was not compared."""
    return quantities.read(read) is not None and _VARIABLE.search(shape) is not None


class Expression:
    """A final answer: `shown` as bare text, `ways` of writing it for Math-Verify; is_short: it is an expression, not prose.

    `shape` is the expression whose form the guards look at: in prose the last formula, "" where there is none.
    """

    def __init__(self, shown: str, ways: list[str], *, is_short: bool) -> None:
        self.shown = shown
        self.ways = ways
        self.is_short = is_short
        formulas = _FORMULA.findall(shown)
        self.shape = next(filter(None, formulas[-1])) if formulas else shown if is_short else ""


def expression(whole: str) -> Expression:
    """Find the final answer: the last boxes, what follows "answer is", or the whole text when it is but an answer."""
    part = _POWER.sub(r"^{\1}", _EULER.sub("e", text.half_width(text.final_part(whole))))
    if (said := text.stated(part)) is not None:
        return Expression(_bare(said), _ways(said), is_short=True)
    if boxes := text.last_boxes(part):
        boxed = ",".join(f"\\boxed{{{box}}}" for box in boxes)
        return Expression(", ".join(boxes), [f"${boxed}$"], is_short=True)
    tail = part[-TAIL:]
    is_short = len(tail) <= MAX_SHORT and "\n" not in tail
    return Expression(_bare(tail) if is_short else tail, _ways(tail), is_short=is_short)


def _ways(piece: str) -> list[str]:
    if _DELIMITED.search(piece):
        return [piece]
    short = len(piece) <= MAX_SHORT and "\n" not in piece and len(_WORD.findall(piece)) < 3
    return [f"${piece}$", piece] if short else [piece]


def _bare(piece: str) -> str:
    """Without the delimiters around it, where they enclose all of it."""
    piece = piece.strip().removesuffix(".").strip()
    for left, right in (("$$", "$$"), ("$", "$"), ("\\[", "\\]"), ("\\(", "\\)")):
        inner = piece[len(left) : -len(right)]
        if (
            len(piece) > len(left) + len(right)
            and piece.startswith(left)
            and piece.endswith(right)
            and left not in inner
        ):
            return inner.strip()
    return piece


def _choice(gold: Expression, answer: Expression) -> guards.Ruling | None:
    """One of the letters A to J as the gold answer: `A`, `(A)` and `A. seven apples` name the same choice."""
    if not re.fullmatch(r"\(?[A-J]\)?", text.normal(gold.shown)):
        return None
    named = _CHOICE.fullmatch(text.unwrapped(answer.shown).strip())
    if named and named[1] in gold.shown:
        return guards.Ruling("correct", "choice")
    return None if answer.is_short else guards.Ruling("undecidable", "choice", "the text does not begin with a choice")


def _rational(gold: Expression, answer: Expression, tolerance: Fraction) -> guards.Ruling | None:
    """Two plain numbers are compared exactly; nobody needs algebra for that."""
    g, a = quantities.read(gold.shown), quantities.read(answer.shown)
    if any(
        _COMMA_DECIMAL.fullmatch(side.shown.strip()) and quantities.read(side.shown) is None for side in (gold, answer)
    ):
        return (
            guards.Ruling("undecidable", "comma", "a comma that may part decimals or two numbers") if a or g else None
        )
    if g is None or a is None or g.is_percent != a.is_percent:
        return None
    if g.value == a.value:
        return guards.Ruling("correct", "rational")
    if plain.same_number(a, g, tolerance):
        return guards.Ruling("correct", "numeric", "equal within the relative tolerance")
    return guards.Ruling("wrong", "rational", "the numbers differ")


def _read_reply(reply: dict[str, Any]) -> guards.Ruling:
    if reply.get("equal"):
        relative, false_equation = reply.get("relative"), bool(reply.get("false_equation"))
        return guards.after(relative=relative, false_equation=false_equation) or guards.Ruling("correct", "symbolic")
    if reply.get("error"):
        return guards.Ruling("undecidable", "symbolic", str(reply["error"]))
    if not reply.get("gold"):
        return guards.Ruling("undecidable", "unread", "the gold answer cannot be read as mathematics")
    if not reply.get("answer"):
        return guards.Ruling("undecidable", "unread", "the answer cannot be read as mathematics")
    relative = reply.get("relative")
    if relative is not None and relative <= float(guards.RELATIVE) and reply.get("rounded"):
        return guards.Ruling("correct", "numeric", f"relative difference {relative:.3g}")
    return guards.Ruling("wrong", "symbolic", "not the same expression")
