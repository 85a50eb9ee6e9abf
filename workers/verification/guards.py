"""What is decided about two answers before, and corrected after, symbolic algebra.

Before: expressions that would take for ever, and forms that Math-Verify 0.9 is known to read as something else (a list with
dots, a ratio, a base, a set against a tuple). After: numbers that it calls equal although they are not. Where the reading
is in doubt the outcome is undecidable, never correct.
"""

import re
from fractions import Fraction
from typing import NamedTuple

from workers.verification import quantities, text

MAX_CHARS = 2_000  # of one expression
MAX_EXPONENT = 20_000
MAX_FACTORIAL = 5_000
MAX_DIGITS = 2_000
RELATIVE = Fraction(1, 10**6)

_EXPONENT = re.compile(r"(?:\^|\*\*)\s*[{(]?\s*-?\s*(\d+)")
_TOWER = re.compile(r"(?:\^|\*\*)\s*[{(]?\s*-?\d+\s*(?:\^|\*\*)\s*[{(]?\s*\d")
_FACTORIAL = re.compile(r"(\d+)\s*!")
_POWER_FACTORIAL = re.compile(r"[\^*]{1,2}[^=,]*[)}]\s*!|(?:\d\s*!\s*\)*\s*){2}!|!\s*\)\s*!")
_DIGITS = re.compile(r"\d+")
_DOTS = re.compile(r"\\(?:l|c|d)?dots|…|\.\.\.|\\cdots")
_RATIO = re.compile(r"[^:]+(?::[^:]+)+")
_COMMAND = re.compile(r"\\[A-Za-z]+")
_WORDS = re.compile(r"[^\W\d_]{4,}")  # shorter ones may be products of variables
_BASED = re.compile(r"([0-9A-Fa-f]+)_\{?(\d{1,2})\}?")


class Ruling(NamedTuple):
    """A decision without algebra: value and method as in Outcome, and why."""

    value: str
    method: str
    message: str = ""


def too_large(expression: str, *, prose: bool = False) -> str:
    """Why an expression (or the prose that holds it) is not handed to SymPy; "" when it may be."""
    longest = max((len(digits) for digits in _DIGITS.findall(expression)), default=0)
    checks = [
        (len(expression) > MAX_CHARS and not prose, f"longer than {MAX_CHARS} characters"),
        (longest > MAX_DIGITS, f"a number of {longest} digits"),
        (_TOWER.search(expression), "a power in an exponent"),
        (_any_above(_EXPONENT, expression, MAX_EXPONENT), f"an exponent above {MAX_EXPONENT}"),
        (_any_above(_FACTORIAL, expression, MAX_FACTORIAL), f"the factorial of a number above {MAX_FACTORIAL}"),
        (_POWER_FACTORIAL.search(expression), "the factorial of a power or of a factorial"),
    ]
    return next((why for found, why in checks if found), "")


def words(gold: str, answer: str) -> Ruling | None:
    """Words where an expression stands on the other side, or other words: algebra would read them as products of letters."""
    wanted = _WORDS.findall(_COMMAND.sub(" ", gold))
    if not wanted and _WORDS.search(answer) and not re.search(r"[\d\\$]", answer):
        return Ruling("undecidable", "words", "the answer is in words")
    if not wanted or re.search(r"\d", gold):
        return None
    said = {word.casefold() for word in _WORDS.findall(_COMMAND.sub(" ", answer))}
    if len(wanted) >= 3 or said.issuperset(word.casefold() for word in wanted):
        return Ruling("undecidable", "words", "the gold answer is in words and the answer in other ones")
    return Ruling("wrong", "words", "the words differ")


def before(gold: str, answer: str) -> Ruling | None:
    """A ruling on forms that symbolic algebra misreads; None where it may be asked. Both texts are bare expressions."""
    g, a = text.normal(gold), text.normal(answer)
    return _dots(g, a) or _ratio(g, a) or _base(g, a) or _brackets(g, a)


def after(*, relative: float | None, false_equation: bool) -> Ruling | None:
    """A ruling against an "equal" of Math-Verify; None where nothing speaks against it."""
    if false_equation:
        return Ruling("undecidable", "false_equation", "the answer is an equation between numbers that does not hold")
    if relative is not None and relative > float(RELATIVE):
        return Ruling("wrong", "numeric", f"relative difference {relative:.3g}")
    return None


def _any_above(pattern: re.Pattern[str], expression: str, limit: int) -> bool:
    return any(len(digits) > 9 or int(digits) > limit for digits in pattern.findall(expression))


def _dots(gold: str, answer: str) -> Ruling | None:
    if _DOTS.search(gold) or _DOTS.search(answer):
        return Ruling("undecidable", "dots", "a list with dots is compared as text only")
    return None


def _ratio(gold: str, answer: str) -> Ruling | None:
    parts = [_parts(side) for side in (gold, answer)]
    if parts[0] is None and parts[1] is None:
        return None
    if (
        parts[0] is None
        or parts[1] is None
        or any(number is None or not number for side in parts for number in side or [])
    ):
        is_plain = all(p is None or len(p) == 2 for p in parts)  # a:b is a quotient too, which algebra knows
        return None if is_plain else Ruling("undecidable", "ratio", "a ratio is compared with numbers only")
    scaled = [[number / side[0] for number in side if number] for side in parts if side and side[0]]
    if scaled[0] == scaled[1]:
        return Ruling("correct", "ratio")
    return Ruling("wrong", "ratio", "the ratios differ")


def _parts(side: str) -> list[Fraction | None] | None:
    if not _RATIO.fullmatch(side):
        return None
    found = [quantities.read(part) for part in side.split(":")]
    return [quantity.value if quantity else None for quantity in found]


def _base(gold: str, answer: str) -> Ruling | None:
    g, a = _BASED.fullmatch(gold), _BASED.fullmatch(answer)
    if g and a:  # the same text was found equal before
        same = int(a[2]) == int(g[2]) and a[1].lstrip("0").lower() == g[1].lstrip("0").lower()
        return Ruling("correct", "base") if same else Ruling("wrong", "base", "the digits or the base differ")
    if g or a:
        return Ruling("undecidable", "base", "one of the two names a base and the other does not")
    return None


def _brackets(gold: str, answer: str) -> Ruling | None:
    kinds = {_kind(gold), _kind(answer)}
    if kinds == {"set", "tuple"}:
        return Ruling("undecidable", "brackets", "one of the two is a set and the other is not")
    return None


def _kind(side: str) -> str:
    if side.startswith("\\{") and side.endswith("\\}"):
        return "set"
    if side.startswith("(") and side.endswith(")") and side.count("(") == 1 and "," in side:
        return "tuple"
    return ""
