"""The navigation: which sections there are, in the order of the flow. What is not built is not listed."""

from typing import NamedTuple

from django.http import HttpRequest
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _


class Section(NamedTuple):
    label: Promise
    url_name: str
    prefix: str  # addresses below it belong to the section


SECTIONS = [
    Section(_("Home"), "home", "/"),
    Section(_("Problems"), "problems:list", "/problems/"),
    Section(_("Runs"), "traces:runs", "/runs/"),
    Section(_("Traces"), "traces:list", "/traces/"),
    Section(_("Selections"), "curation:selections", "/selections/"),
    Section(_("Datasets"), "curation:datasets", "/datasets/"),
    Section(_("Engines"), "engines:list", "/engines/"),
    Section(_("Jobs"), "jobs:list", "/jobs/"),
]


def navigation(request: HttpRequest) -> dict[str, object]:
    """Context processor: `sections` and the one that the address lies in (`section`, None on account pages)."""
    inner = [section for section in SECTIONS if section.prefix != "/" and request.path.startswith(section.prefix)]
    current = inner[0] if inner else (SECTIONS[0] if request.path == "/" else None)
    return {"sections": SECTIONS, "section": current}
