"""Recipe: what a selection keeps, as a declared, versioned document. Reading and checking it, and saying it in words.

A plain library (no rows, no workers), so that a page can refuse a wrong recipe before a job is made and the job reads the
same rules. Left out: how each rule is decided, which is workers/rejection.py.
"""

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, fields
from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from webapp.traces.models import FindingKind, LabelValue

RECIPE_VERSION = 1
PREFERENCES = {
    "shortest": gettext_lazy("the shortest"),
    "longest": gettext_lazy("the longest"),
    "logprob": gettext_lazy("those with the highest mean log-probability"),
    "random": gettext_lazy("drawn at random"),
}
# ISO 639-1 codes that the language detector knows; a test compares the two.
_CODES = (
    "af ar az be bg bn bs ca cs cy da de el en eo es et eu fa fi fr ga gu he hi hr hu hy id is it ja ka kk ko la lg lt lv mi "
    "mk mn mr ms nb nl nn pa pl pt ro ru sk sl sn so sq sr st sv sw ta te th tl tn tr ts uk ur vi xh yo zh zu"
)
LANGUAGES = frozenset(_CODES.split())
RULES = {  # in the order in which they are applied: the first that a trace fails decides
    "labels": gettext_lazy("labels"),
    "only_correct": gettext_lazy("only correct"),
    "well_formed": gettext_lazy("well-formed"),
    "findings_refused": gettext_lazy("findings refused"),
    "completion_tokens": gettext_lazy("length of the completion"),
    "think_chars": gettext_lazy("length of the think"),
    "answer_chars": gettext_lazy("length of the answer"),
    "no_repetition": gettext_lazy("no repetition"),
    "languages": gettext_lazy("language of the think"),
    "distinct": gettext_lazy("distinct"),
    "k_per_problem": gettext_lazy("at most k a problem"),
    "max_total": gettext_lazy("at most in total"),
}


class RecipeError(ValueError):
    """A recipe that cannot be followed; `field` names where."""

    def __init__(self, field: str, words: str) -> None:
        super().__init__(f"recipe, {field}: {words}" if field else f"recipe: {words}")
        self.field = field


@dataclass(frozen=True, slots=True)
class Bounds:
    """Both ends are allowed values; None is open."""

    min: int | None = None
    max: int | None = None


@dataclass(frozen=True, slots=True)
class Labels:
    """`require`: only traces whose newest label is one of these ([]: any, unlabelled too). `refuse`: none of these."""

    require: tuple[str, ...] = ()
    refuse: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Repetition:
    """At most `max_share` (0..1) of the think's runs of `words` words may have occurred before in it."""

    words: int = 8
    max_share: float = 0.3


@dataclass(frozen=True, slots=True)
class Recipe:
    """A checked recipe. None switches a rule off. `language_share`: of the think's letters, code and mathematics left out."""

    version: int = RECIPE_VERSION
    only_correct: bool = True
    well_formed: bool = True
    findings_refused: tuple[str, ...] = ()
    languages: tuple[str, ...] | None = None
    language_share: float = 0.9
    think_chars: Bounds | None = None
    answer_chars: Bounds | None = None
    completion_tokens: Bounds | None = None
    labels: Labels = Labels(refuse=("reject",))
    no_repetition: Repetition | None = None
    distinct: bool = True
    k_per_problem: int | None = None
    prefer: str = "shortest"
    max_total: int | None = None
    seed: int = 0

    def as_document(self) -> dict[str, Any]:
        """The recipe as plain JSON values, every field said; `parse` reads it back."""
        return dict(json.loads(json.dumps(asdict(self))))


def parse(document: object) -> Recipe:
    """Check a recipe document (decoded JSON). Raises RecipeError naming the field; a field that is not known is refused."""
    given = _mapping("", document, [f.name for f in fields(Recipe)])
    if given.get("version") != RECIPE_VERSION:
        raise RecipeError("version", f"must be {RECIPE_VERSION}, not {given.get('version')!r}")
    return Recipe(**{name: _CHECKS[name](name, value) for name, value in given.items()})


def in_words(recipe: Recipe) -> list[str]:
    """The rules that are on, one sentence each, in the order in which they are applied."""
    labels, repetition = recipe.labels, recipe.no_repetition or Repetition()
    says = [
        (labels.require, _("Only traces labelled %(labels)s.") % {"labels": ", ".join(labels.require)}),
        (labels.refuse, _("No trace labelled %(labels)s.") % {"labels": ", ".join(labels.refuse)}),
        (recipe.only_correct, _("Only traces whose newest verdict is correct.")),
        (recipe.well_formed, _("Only well-formed traces: one think, closed, then an answer, not cut off.")),
        (
            recipe.findings_refused,
            _("No trace with these findings: %(kinds)s.") % {"kinds": ", ".join(recipe.findings_refused)},
        ),
        *(
            (bounds, _bounds_in_words(bounds or Bounds(), unit))
            for bounds, unit in (
                (recipe.completion_tokens, _("tokens in the completion")),
                (recipe.think_chars, _("characters in the think")),
                (recipe.answer_chars, _("characters in the answer")),
            )
        ),
        (
            recipe.no_repetition,
            _("At most %(share)s of the think's runs of %(words)s words said before.")
            % {"share": f"{repetition.max_share:.0%}", "words": repetition.words},
        ),
        (
            recipe.languages,
            _("At least %(share)s of the think in %(languages)s, code and mathematics left out.")
            % {"share": f"{recipe.language_share:.0%}", "languages": ", ".join(recipe.languages or ())},
        ),
        (recipe.distinct, _("Each text of a problem once.")),
        (
            recipe.k_per_problem,
            _("At most %(k)s a problem, %(which)s (seed %(seed)s).")
            % {"k": recipe.k_per_problem, "which": PREFERENCES[recipe.prefer], "seed": recipe.seed},
        ),
        (
            recipe.max_total,
            _("At most %(n)s in total, every problem's first before any problem's second.") % {"n": recipe.max_total},
        ),
    ]
    return [sentence for is_on, sentence in says if is_on]


def _bounds_in_words(bounds: Bounds, unit: str) -> str:
    if bounds.max is None:
        return _("At least %(min)s %(unit)s.") % {"min": bounds.min or 0, "unit": unit}
    return _("From %(min)s to %(max)s %(unit)s.") % {"min": bounds.min or 0, "max": bounds.max, "unit": unit}


def _mapping(name: str, value: object, known: list[str]) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise RecipeError(name, f"must be an object, not {_shown(value)}")
    for key in value:
        if key not in known:
            raise RecipeError(
                f"{name}.{key}" if name else str(key), f"not a field of a recipe; known: {', '.join(known)}"
            )
    return value


def _shown(value: object) -> str:
    return repr(value)[:60]


def _flag(name: str, value: object) -> bool:
    if not isinstance(value, bool):
        raise RecipeError(name, f"must be true or false, not {_shown(value)}")
    return value


def _count(name: str, value: object, *, least: int = 1) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not least <= value < 2**53:
        raise RecipeError(name, f"must be a whole number, {least} or more, not {_shown(value)}")
    return value


def _share(name: str, value: object) -> float:
    if not isinstance(value, int | float) or isinstance(value, bool) or not 0 <= value <= 1:
        raise RecipeError(name, f"must be a share from 0 to 1, not {_shown(value)}")
    return float(value)


def _words(name: str, value: object, known: frozenset[str]) -> tuple[str, ...]:
    if not isinstance(value, list):
        raise RecipeError(name, f"must be a list, not {_shown(value)}")
    for item in value:
        if item not in known if isinstance(item, str) else True:
            raise RecipeError(name, f"does not know {_shown(item)}; known: {', '.join(sorted(known))}")
    return tuple(dict.fromkeys(value))


def _bounds(name: str, value: object) -> Bounds:
    given = _mapping(name, value, ["min", "max"])
    ends = {key: _count(f"{name}.{key}", end, least=0) for key, end in given.items() if end is not None}
    bounds = Bounds(**ends)
    if bounds.min is not None and bounds.max is not None and bounds.min > bounds.max:
        raise RecipeError(name, f"min {bounds.min} is above max {bounds.max}")
    return bounds


def _labels(name: str, value: object) -> Labels:
    given = _mapping(name, value, ["require", "refuse"])
    known = frozenset(LabelValue.values)
    labels = Labels(**{key: _words(f"{name}.{key}", item, known) for key, item in given.items()})
    both = set(labels.require) & set(labels.refuse)
    if both:
        raise RecipeError(name, f"{', '.join(sorted(both))} is both required and refused")
    return labels


def _repetition(name: str, value: object) -> Repetition:
    given = _mapping(name, value, ["words", "max_share"])
    defaults = Repetition()
    return Repetition(
        words=_count(f"{name}.words", given.get("words", defaults.words), least=2),
        max_share=_share(f"{name}.max_share", given.get("max_share", defaults.max_share)),
    )


def _languages(name: str, value: object) -> tuple[str, ...]:
    codes = _words(name, value, LANGUAGES)
    if not codes:
        raise RecipeError(name, "is empty; name at least one language, or null for any")
    return codes


def _preference(name: str, value: object) -> str:
    if not isinstance(value, str) or value not in PREFERENCES:
        raise RecipeError(name, f"must be one of {', '.join(PREFERENCES)}, not {_shown(value)}")
    return value


def _or_none(check: Callable[[str, Any], Any]) -> Callable[[str, Any], Any]:
    return lambda name, value: None if value is None else check(name, value)


_CHECKS: dict[str, Callable[[str, Any], Any]] = {
    "version": _count,
    "only_correct": _flag,
    "well_formed": _flag,
    "findings_refused": lambda name, value: _words(name, value, frozenset(FindingKind.values)),
    "languages": _or_none(_languages),
    "language_share": _share,
    "think_chars": _or_none(_bounds),
    "answer_chars": _or_none(_bounds),
    "completion_tokens": _or_none(_bounds),
    "labels": _labels,
    "no_repetition": _or_none(_repetition),
    "distinct": _flag,
    "k_per_problem": _or_none(_count),
    "prefer": _preference,
    "max_total": _or_none(_count),
    "seed": lambda name, value: _count(name, value, least=0),
}
