"""A job's result in words. Each stage stores what it found under plain keys; here they become facts that a person reads.

Left out: nested details. An import's report and a selection's funnel have pages of their own.
"""

from collections.abc import Mapping

from django.utils.translation import gettext_lazy as _

LABELS = {
    "traces": _("Traces"),
    "read": _("Records read"),
    "imported": _("Imported"),
    "duplicates": _("Had already"),
    "rejected": _("Rejected"),
    "lost": _("Fields without a place"),
    "tokens": _("Tokens"),
    "seconds": _("Seconds"),
    "judged": _("Judged"),
    "correct": _("Correct"),
    "wrong": _("Wrong"),
    "undecidable": _("Undecidable"),
    "skipped": _("Without gold answer or verifier"),
    "replayed": _("Replayed"),
    "compared": _("Routing compared"),
    "failures": _("Could not be replayed"),
    "kept": _("Kept"),
    "rows": _("Rows"),
    "bytes": _("Bytes"),
    "format": _("Format"),
    "files": _("Files"),
}


def result_facts(result: Mapping[str, object]) -> list[tuple[str, object]]:
    """The parts of a result that have a name of their own, as (label, value); a list or mapping counts its entries."""
    flat: dict[str, object] = {}
    for source in (result.get("report"), result):
        if isinstance(source, Mapping):
            flat |= source
    facts: list[tuple[str, object]] = []
    for key, label in LABELS.items():
        value = flat.get(key)
        if isinstance(value, list | Mapping):
            value = len(value)
        if isinstance(value, float):
            value = round(value, 2)
        if value is not None and value != "":
            facts.append((str(label), value))
    return facts
