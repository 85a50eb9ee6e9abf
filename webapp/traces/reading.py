"""What the trace page needs for reading beside the panes: the outline, which panes are folded, the raw view without scripts."""

import dataclasses
from collections import Counter
from collections.abc import Sequence

from django.http import QueryDict
from django.utils.translation import gettext as _

from webapp.traces.outline_list import outlines_of, places_of
from webapp.traces.panes import Pane
from webapp.traces.visible import raw_pieces


def aids(panes: Sequence[Pane], texts: dict[str, str | None], params: QueryDict) -> dict[str, object]:
    """Context of the page: panes (raw ones where the address asks for them), outlines, places, folds and which are closed."""
    outlines = outlines_of(panes, texts)
    shown = [dataclasses.replace(pane, pieces=raw_pieces(pane.text)) for pane in panes]
    names = fold_names(panes)
    toggled = set(params.get("fold", "").split("."))
    return {
        "panes": shown if params.get("view") == "raw" else panes,
        "outlines": outlines,
        "places": {"places": places_of(outlines), "words": _words()},
        "closed": [p.index for p in panes if (p.kind == "prompt") != (names[p.index] in toggled)],
        "folds": {"names": names},
    }


def fold_names(panes: Sequence[Pane]) -> dict[int, str]:
    """What the address calls each pane when it is folded: its kind, with a number from the second of a kind on. So a neighbour
    sample of another form takes "think folded" over.
    """
    seen: Counter[str] = Counter()
    names = {}
    for pane in panes:
        if not pane.is_tag:
            seen[pane.kind] += 1
            names[pane.index] = pane.kind if seen[pane.kind] == 1 else f"{pane.kind}{seen[pane.kind]}"
    return {pane.index: names.get(pane.index, "") for pane in panes}


def _words() -> dict[str, str]:
    return {
        "turn": _("turning word {n} of {count}"),
        "step": _("step {n} of {count}"),
        "answer": _("answer proposed {n} of {count}"),
        "paragraph": _("paragraph {n} of {count}"),
        "noMore": _("no more of them that way"),
        "nothing": _("there is none in this trace"),
    }
