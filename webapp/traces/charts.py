"""A chart that is also a table: rows of labelled values, each with the bars that are drawn beside them.

Templates draw the bars as SVG rectangles from the numbers here, CSV and SVG files are written from the same rows. Left out: what is counted.
"""

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass, field

WIDTH = 100.0  # of the field that bars are drawn in
# of a saved picture, which has no style sheet: the light theme's colours
COLOURS = {"accent": "#0b5f73", "good": "#1b6e3c", "bad": "#a3262a", "warn": "#b07d1a", "quiet": "#8b897f"}


@dataclass(frozen=True, slots=True)
class Bar:
    """A piece of a row's bar from `x`, `width` wide, in the field of WIDTH; `tone` names its colour, `title` says what it is."""

    x: str
    width: str
    tone: str = "accent"
    title: str = ""

    @property
    def colour(self) -> str:
        return COLOURS[self.tone]


@dataclass(frozen=True, slots=True)
class Row:
    """One line: `values` as they are written to a file, `shown` as a person reads them."""

    label: str
    values: list[object]
    shown: list[str]
    bars: list[Bar] = field(default_factory=list)
    link: str = ""


@dataclass(frozen=True, slots=True)
class Chart:
    """`name` is its word in addresses; `head` names the label's column and those of the values; `legend` tones and their words."""

    name: str
    title: str
    note: str
    head: list[str]
    rows: list[Row]
    legend: list[tuple[str, str]] = field(default_factory=list)
    points: list[tuple[str, str]] = field(default_factory=list)  # of a curve, in a field 300 wide and 80 high

    @property
    def line(self) -> str:
        """The curve's corners as SVG writes them."""
        return " ".join(f"{x},{y}" for x, y in self.points)

    @property
    def label_head(self) -> str:
        return self.head[0]

    @property
    def value_heads(self) -> list[str]:
        return self.head[1:]

    @property
    def key(self) -> list[tuple[str, str]]:
        """The legend as colours and words, for a saved picture."""
        return [(COLOURS[tone], words) for tone, words in self.legend]

    def lines(self) -> list[tuple[Row, int, int]]:
        """Each row with the height of its bar and of its text in a saved picture."""
        return [(row, 64 + 22 * place, 76 + 22 * place) for place, row in enumerate(self.rows)]

    @property
    def height(self) -> int:
        """Of a saved picture."""
        return 84 + 22 * len(self.rows)


def share(value: float, whole: float) -> str:
    """`value` of `whole` as a width in the field of bars."""
    return f"{WIDTH * value / whole:.2f}" if whole > 0 else "0"


def bar(value: float, largest: float, *, tone: str = "accent", title: str = "") -> list[Bar]:
    """One bar, as long as `value` is of `largest`."""
    return [Bar("0", share(value, largest), tone, title)] if value > 0 else []


def stack(parts: Sequence[tuple[float, str, str]], largest: float) -> list[Bar]:
    """Parts (value, tone, title) one after another, `largest` filling the field."""
    bars, at = [], 0.0
    for value, tone, title in parts:
        if value > 0:
            bars.append(Bar(share(at, largest), share(value, largest), tone, title))
        at += value
    return bars


def as_csv(chart: Chart) -> str:
    """The chart's table as CSV (RFC 4180): a heading and a line a row. A text that a spreadsheet would run as a formula is quoted."""
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(chart.head)
    for row in chart.rows:
        writer.writerow([_plain(row.label), *("" if value is None else value for value in row.values)])
    return out.getvalue()


def _plain(text: str) -> str:
    return f"'{text}" if text[:1] in {"=", "+", "-", "@", "\t", "\r"} else text
