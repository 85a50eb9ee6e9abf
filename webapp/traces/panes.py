"""The text of a trace cut into panes along its segments, a long pane into parts: what the page shows and where it lies.

Left out: any change of the text. Joined, the panes of a field give the field back.
"""

import dataclasses
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from webapp.traces.visible import Piece, pieces

PART_CHARS = 200_000  # shown of one pane at a time; more is a page away
_SILENT = 200  # tags and the white space around them, shown as a line of their own


@dataclass(frozen=True, slots=True)
class Pane:
    """One segment. `start` and `end` count characters of `field`; `base` is where `start` lies in prompt, reasoning (where
    it is a field of its own) and completion joined. Of it `shown_start` to `shown_end` is on the page.
    """

    index: int
    kind: str
    field: str
    start: int
    end: int
    base: int
    shown_start: int
    shown_end: int
    text: str  # what is shown
    pieces: list[Piece] = dataclasses.field(repr=False)
    tokens: int | None = None

    @property
    def chars(self) -> int:
        return self.end - self.start

    @property
    def is_part(self) -> bool:
        return (self.shown_start, self.shown_end) != (self.start, self.end)

    @property
    def is_tag(self) -> bool:
        return self.kind == "other" and self.chars <= _SILENT

    @property
    def shown_base(self) -> int:
        return self.base + self.shown_start - self.start

    @property
    def part_from(self) -> int:
        return self.shown_start - self.start

    @property
    def part_to(self) -> int:
        return self.shown_end - self.start

    @property
    def previous_from(self) -> int:
        return max(0, self.part_from - PART_CHARS)


def bases_of(prompt: str | None, reasoning: str | None) -> dict[str, int]:
    """Where each field begins in prompt, reasoning (where it is a field of its own) and completion joined, in reading order."""
    before = len(prompt or "")
    return {"prompt": 0, "reasoning": before, "completion": before + len(reasoning or "")}


def panes_of(
    segments: Iterable[dict[str, Any]], texts: dict[str, str | None], *, open_pane: int = -1, open_from: int = 0
) -> list[Pane]:
    """Panes in reading order: prompt, reasoning, completion. `texts`: field to text; pane `open_pane` begins at character
    `open_from` of its segment. A text that no segment covers becomes a pane of kind "prompt" or "other".
    """
    bases = bases_of(texts.get("prompt"), texts.get("reasoning"))
    out: list[Pane] = []
    for name, base in bases.items():
        text = texts.get(name) or ""
        parts = sorted(
            (s for s in segments if s["field"] == name and s["end"] > s["start"]), key=lambda s: int(s["start"])
        )
        for part in parts or (
            [{"kind": "prompt" if name == "prompt" else "other", "start": 0, "end": len(text)}] if text else []
        ):
            pane = _pane(len(out), name, text, part, base)
            out.append(_part(pane, text, open_from if pane.index == open_pane else 0))
    return out


def _pane(index: int, name: str, text: str, part: dict[str, Any], base: int) -> Pane:
    start, end = int(part["start"]), min(int(part["end"]), len(text))
    token_start, token_end = part.get("token_start"), part.get("token_end")
    return Pane(
        index=index, kind=part["kind"], field=name, start=start, end=end, base=base + start,
        shown_start=start, shown_end=end, text="", pieces=[],
        tokens=None if token_start is None or token_end is None else int(token_end) - int(token_start),
    )  # fmt: skip


def _part(pane: Pane, text: str, first: int) -> Pane:
    """`pane` with the part of its text that begins at its character `first`."""
    start = pane.start + min(max(first, 0), max(pane.chars - 1, 0))
    end = min(start + PART_CHARS, pane.end)
    shown = text[start:end]
    return dataclasses.replace(pane, shown_start=start, shown_end=end, text=shown, pieces=pieces(shown))
