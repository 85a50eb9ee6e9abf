"""Numbers as people and models write them, read exactly: no floating point, so that 0.1 is a tenth.

Left out: roots, pi and everything else that needs algebra (child.py).
"""

import re
from dataclasses import dataclass
from fractions import Fraction

MAX_DIGITS = 4000  # below the interpreter's own limit for turning text into an integer
MAX_EXPONENT = 1000

_PLAIN = r"(?:\d{1,3}(?:,\d{3})+|\d{1,3}(?: \d{3})+|\d+)(?:\.\d*)?|\.\d+"
_NUMBER = re.compile(rf"(?P<sign>[+-]?)(?P<digits>{_PLAIN})(?:[eE](?P<exp>[+-]?\d{{1,4}})|\*?(?:\\times|\\cdot|×|\*)\s*10\^\{{?(?P<ten>[+-]?\d{{1,4}})\}}?)?")  # fmt: skip
_FRACTION = re.compile(
    r"(?P<sign>[+-]?)(?:(?P<whole>\d+)\s*)?\\frac\s*(?:\{\s*(?P<n>-?\d+)\s*\}\s*\{\s*(?P<d>\d+)\s*\}|(?P<n1>\d)\s*(?P<d1>\d))"
)
_SLASH = re.compile(r"(?P<sign>[+-]?)(?:(?P<whole>\d+)\s+)?(?P<n>\d+)\s*/\s*(?P<d>\d+)")
_REPEATING = re.compile(r"(?P<sign>[+-]?)(?P<whole>\d*)\.(?P<fixed>\d*)\\overline\s*\{(?P<cycle>\d+)\}")
_ANY_NUMBER = re.compile(rf"(?<![\w.])[+-]?(?:{_PLAIN})(?:[eE][+-]?\d{{1,4}})?(?:\s*/\s*\d+)?(?:\s*\\?%)?")
_PERCENT = re.compile(r"\s*(?:\\?%|percent|pct)$")


@dataclass(frozen=True, slots=True)
class Quantity:
    """An exact value. is_decimal: written with a decimal point or exponent; is_percent: followed by a percent sign, not applied."""

    value: Fraction
    is_decimal: bool = False
    is_percent: bool = False


def read(text: str) -> Quantity | None:
    r"""The quantity that `text` as a whole writes, or None.

    Integers and decimals (thousands in commas or spaces), exponents, a/b, \frac{a}{b}, mixed numbers, \overline, percent.
    """
    text = re.sub(
        r"\\[dt]frac",
        r"\\frac",
        text.replace("\\!", "").replace("\\$", "").replace("{,}", ",").replace("−", "-").strip().strip("$").strip(),
    )
    if len(text) > MAX_DIGITS:
        return None
    percent = _PERCENT.search(text)
    if percent:
        text = text[: percent.start()].strip().strip("$").strip()
    if (sign_only := re.match(r"[+-]\s+", text)) is not None:
        text = text[0] + text[sign_only.end() :]
    found = _decimal(text) or _fraction(text) or _repeating(text)
    return None if found is None else Quantity(found[0], found[1], is_percent=percent is not None)


def last_in(text: str) -> str | None:
    """The last number written in `text`, percent sign included."""
    found = list(_ANY_NUMBER.finditer(text.replace("{,}", ",").replace("−", "-")))
    return found[-1].group().strip().rstrip(".") if found else None


def close(a: Fraction, b: Fraction, relative: Fraction) -> bool:
    """Whether a and b differ by at most `relative` of the larger of the two (so nothing but zero is close to zero)."""
    return abs(a - b) <= relative * max(abs(a), abs(b))


def _decimal(text: str) -> tuple[Fraction, bool] | None:
    match = _NUMBER.fullmatch(text)
    if match is None:
        return None
    digits = match["digits"].replace(",", "").replace(" ", "").rstrip(".")
    exponent = int(match["exp"] or match["ten"] or 0)
    if abs(exponent) > MAX_EXPONENT:
        return None
    value = Fraction(digits) * Fraction(10) ** exponent
    return (-value if match["sign"] == "-" else value), "." in match["digits"] or match["exp"] is not None


def _fraction(text: str) -> tuple[Fraction, bool] | None:
    match = _FRACTION.fullmatch(text) or _SLASH.fullmatch(text)
    if match is None:
        return None
    groups = match.groupdict()
    numerator, denominator = int(groups["n"] or groups["n1"]), int(groups["d"] or groups["d1"])
    if denominator == 0 or (groups["whole"] and numerator < 0):
        return None
    value = int(groups["whole"] or 0) + Fraction(numerator, denominator)
    return (-value if groups["sign"] == "-" else value), False


def _repeating(text: str) -> tuple[Fraction, bool] | None:
    match = _REPEATING.fullmatch(text)
    if match is None:
        return None
    fixed, cycle = match["fixed"], match["cycle"]
    value = Fraction(int((match["whole"] or "0") + fixed), 10 ** len(fixed))
    value += Fraction(int(cycle), (10 ** len(cycle) - 1) * 10 ** len(fixed))
    return (-value if match["sign"] == "-" else value), False
