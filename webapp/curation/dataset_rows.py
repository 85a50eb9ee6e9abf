"""What is in a dataset version, for reading: the manifest as facts, the first rows with think and answer apart.

Left out: the rows as a trainer gets them, which is what an export is.
"""

from dataclasses import dataclass
from typing import Any

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from webapp.curation import storefiles
from webapp.curation.dataset_queries import ExportFile
from webapp.curation.models import DatasetVersion
from webapp.traces.visible import Piece, pieces

# what a manifest says, in the order in which it is read
FACT_NAMES = {
    "recipe_in_words": _("Recipe"),
    "parents": _("From"),
    "verifiers": _("Verdicts"),
    "models": _("Rows by model"),
    "sources": _("Rows by source"),
    "licences": _("Rows by licence"),
    "problems": _("Problems"),
    "completion_tokens": _("Tokens in completions"),
    "think_chars": _("Characters in thinks"),
    "answer_chars": _("Characters in answers"),
    "columns": _("Columns"),
    "hash_rule": _("How the hash is made"),
    "sluice_version": _("By Sluice"),
}
SAID_ELSEWHERE = {
    *("recipe", "funnel", "dataset", "version", "selection", "rows", "created", "content_hash"),
    *("manifest_version", "rows_version"),
}
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


FACTS = ("trace_id", "run", "model", "verdict", "label")  # of a row, beside its text
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
    """The first rows of a version, each with its parts and FACTS."""
    try:
        rows = storefiles.first_rows(version.rows_path, PREVIEW_ROWS, [*FACTS, *TITLES])
    except ValueError as error:
        return Preview([], str(error))
    return Preview([{**{name: row.get(name) for name in FACTS}, "parts": _parts(row)} for row in rows])


def _parts(row: dict[str, Any]) -> list[Part]:
    return [part(kind, str(row[kind]).strip("\r\n")) for kind in TITLES if row.get(kind)]


def card(files: list[ExportFile]) -> Part | None:
    """The dataset card among an export's files, to be read as text; None where there is none, or it is gone."""
    found = next((file for file in files if file.name == CARD), None)
    if found is None:
        return None
    try:
        return part("card", storefiles.beginning(found.path, CARD_BYTES), limit=CARD_BYTES)
    except ValueError:
        return None


def facts(manifest: dict[str, Any]) -> list[tuple[str | Promise, list[str]]]:
    """The manifest as (name, lines), in the order of FACT_NAMES, then what else it says. The recipe is said in words."""
    said = [(name, manifest[name]) for name in FACT_NAMES if name in manifest]
    said += [(name, value) for name, value in manifest.items() if name not in FACT_NAMES and name not in SAID_ELSEWHERE]
    return [(FACT_NAMES.get(name, name.replace("_", " ")), _lines(value)) for name, value in said]


def _lines(value: Any) -> list[str]:
    if isinstance(value, dict) and value:
        return [f"{name or '–'}: {_line(inner)}" for name, inner in value.items()]  # names of things, left as they are
    if isinstance(value, list) and value and (isinstance(value[0], dict) or " " in str(value[0])):
        return [_line(item) for item in value]
    return [_line(value)]


def _line(value: Any) -> str:
    if value is None or value in ({}, [], ""):
        return "–"
    if isinstance(value, bool):
        return str(_("yes") if value else _("no"))
    if isinstance(value, dict):
        said = {str(name).replace("_", " "): inner for name, inner in value.items() if inner not in (None, {}, [], "")}
        return "; ".join(f"{name}: {_line(inner)}" for name, inner in said.items())
    if isinstance(value, list):
        return ", ".join(_line(item) for item in value)
    return f"{value:,}" if isinstance(value, int) else str(value)
