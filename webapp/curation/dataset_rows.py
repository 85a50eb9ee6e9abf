"""What is in a dataset version, for reading: the manifest as facts, the first rows with think and answer apart.

Left out: the rows as a trainer gets them, which is what an export is.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from webapp.curation import storefiles
from webapp.curation.dataset_queries import ExportFile
from webapp.curation.models import DatasetVersion
from webapp.traces.visible import Piece, pieces

PREVIEW_ROWS = 20
CARD = "README.md"  # where the Hugging Face hub looks for a card
CARD_BYTES = 40_000
PREVIEW_CHARS = 4000  # of each part of a row; the trace's page has all of it


@dataclass(frozen=True, slots=True)
class Part:
    """A part of a row: its kind (prompt, think, answer), its beginning with hidden characters marked, its whole length."""

    kind: str
    title: str | Promise
    pieces: list[Piece]
    chars: int
    is_cut: bool


TITLES = {"prompt": _("Prompt"), "think": _("Think"), "answer": _("Answer")}


def part(kind: str, text: str, *, limit: int = PREVIEW_CHARS) -> Part:
    """The first `limit` characters of `text` as a part that can be shown."""
    return Part(kind, TITLES.get(kind, kind), pieces(text[:limit]), len(text), len(text) > limit)


@dataclass(frozen=True, slots=True)
class Preview:
    """The first rows of a version; `error` says why there are none to see."""

    rows: list[dict[str, Any]]
    error: str = ""


def preview(version: DatasetVersion) -> Preview:
    """The first rows of a version, each with its parts and the id of its trace."""
    try:
        rows = storefiles.first_rows(version.rows_path, PREVIEW_ROWS)
    except ValueError as error:
        return Preview([], str(error))
    return Preview([{"trace_id": row.get("trace_id"), "parts": _parts(row)} for row in rows])


def _parts(row: dict[str, Any]) -> list[Part]:
    return [part(kind, str(row[kind])) for kind in TITLES if row.get(kind)]


def card(files: list[ExportFile]) -> Part | None:
    """The dataset card among an export's files, to be read as text; None where there is none, or it is gone."""
    found = next((file for file in files if file.name == CARD), None)
    if found is None:
        return None
    try:
        return part("card", storefiles.beginning(found.path, CARD_BYTES), limit=CARD_BYTES)
    except ValueError:
        return None


def facts(manifest: dict[str, Any]) -> list[tuple[str, str]]:
    """What the manifest says in lines of (name, value): nested names are joined, lists are counted or written out."""
    return list(_flat("", manifest))


def _flat(prefix: str, value: Any) -> Iterator[tuple[str, str]]:
    if isinstance(value, dict) and value:
        for name, inner in value.items():
            yield from _flat(f"{prefix} · {name}" if prefix else str(name), inner)
    elif isinstance(value, list) and any(isinstance(item, dict | list) for item in value):
        for number, inner in enumerate(value, start=1):
            yield from _flat(f"{prefix} {number}", inner)
    else:
        yield prefix, _words(value)


def _words(value: Any) -> str:
    if value is None or value in ({}, []):
        return "–"
    if isinstance(value, bool):
        return str(_("yes") if value else _("no"))
    if isinstance(value, list):
        return ", ".join(str(item) for item in value[:40]) + ("…" if len(value) > 40 else "")
    return str(value)
