"""The outline as the trace page lists it: of each pane, what is worth a line, bounded, and every place that a key leads to.

Left out: the analysis of the text (outline.py) and what the page says about it (templates/traces/_outline.html).
"""

from collections.abc import Sequence
from dataclasses import dataclass

from webapp.traces.outline import Mark, Outline, Paragraph, outline_of
from webapp.traces.panes import Pane

SHORT = 60  # paragraphs; of a longer text only those with marks are listed
MOST_LINES = 400  # on the page
OPEN_LINES = 80  # up to so many lines all marks are shown unfolded
MOST_CHARS = 1_000_000  # of a pane; what comes after is not outlined
MOST_PLACES = 3000  # marks, and half as many paragraphs, that keys lead to


@dataclass(frozen=True, slots=True)
class Row:
    """A paragraph of the list. `lead`: the mark that it begins with, if it does; `marks`: the others."""

    number: int
    paragraph: Paragraph
    lead: Mark | None
    marks: list[Mark]


@dataclass(frozen=True, slots=True)
class PaneOutline:
    """A pane with its outline. `left_out`: paragraphs that are not among `rows`; `rows` is empty where a list says nothing."""

    pane: Pane
    outline: Outline
    rows: list[Row]
    left_out: int
    is_open: bool
    is_cut: bool


def outlines_of(panes: Sequence[Pane], texts: dict[str, str | None]) -> list[PaneOutline]:
    """The panes that are more than tags, each with its outline; a prompt has none."""
    lines, out = MOST_LINES, []
    for pane in panes:
        if pane.is_tag:
            continue
        end = min(pane.end, pane.start + MOST_CHARS)
        text = "" if pane.kind == "prompt" else (texts.get(pane.field) or "")[pane.start : end]
        listed = _listed(pane, outline_of(text), lines, is_cut=pane.kind != "prompt" and end < pane.end)
        lines -= sum(1 + len(row.marks) for row in listed.rows)
        out.append(listed)
    return out


def _listed(pane: Pane, outline: Outline, lines: int, *, is_cut: bool) -> PaneOutline:
    paragraphs = outline.paragraphs
    rows: list[Row] = []
    if len(paragraphs) > 1 or outline.counts:
        for number, paragraph in enumerate(paragraphs, start=1):
            if len(paragraphs) > SHORT and not paragraph.marks and 1 < number < len(paragraphs):
                continue
            row = _row(number, paragraph)
            lines -= 1 + len(row.marks)
            if lines < 0:
                break
            rows.append(row)
    shown = sum(1 + len(row.marks) for row in rows)
    return PaneOutline(pane, outline, rows, len(paragraphs) - len(rows), is_open=shown <= OPEN_LINES, is_cut=is_cut)


def _row(number: int, paragraph: Paragraph) -> Row:
    marks = paragraph.marks
    leads = bool(marks) and marks[0].start <= paragraph.start + 4  # "**Wait"
    return Row(number, paragraph, marks[0] if leads else None, marks[1:] if leads else marks)


def places_of(outlines: Sequence[PaneOutline]) -> list[tuple[int, str, int, int]]:
    """(pane, kind, start, end) of all that keys lead to, in reading order; characters of the pane; kind "paragraph" too."""
    paragraphs: list[tuple[int, str, int, int]] = []
    marks: list[tuple[int, str, int, int]] = []
    for item in outlines:
        for paragraph in item.outline.paragraphs:
            paragraphs.append((item.pane.index, "paragraph", paragraph.start, paragraph.end))
            marks += [(item.pane.index, mark.kind, mark.start, mark.end) for mark in paragraph.marks]
    kept = marks[:MOST_PLACES] + paragraphs[: MOST_PLACES // 2]
    return sorted(kept, key=lambda place: (place[0], place[2], place[1] != "paragraph"))
