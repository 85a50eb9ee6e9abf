"""A selection's recipe as a form: one field a rule, each with its help, to and from the document of recipes.py.

Left out: judging a recipe. recipes.parse does; its words are put beside the field that they are about.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from django import forms
from django.conf import settings
from django.core.exceptions import NON_FIELD_ERRORS
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from webapp.curation import recipes
from webapp.traces.models import FindingKind, LabelValue

BOUNDS = ("completion_tokens", "think_chars", "answer_chars")
PRESET_NAMES = {"cold-start": gettext_lazy("Cold start"), "sft": gettext_lazy("SFT")}
DEFAULT_PRESET = "cold-start"
PLAIN = ("only_correct", "well_formed", "distinct", "k_per_problem", "prefer", "max_total")


def _number(label: Any, *, least: int = 0, **kwargs: Any) -> forms.IntegerField:
    return forms.IntegerField(label=label, required=False, min_value=least, max_value=2**53 - 1, **kwargs)


def _percent(label: Any, **kwargs: Any) -> forms.FloatField:
    return forms.FloatField(label=label, required=False, min_value=0, max_value=100, **kwargs)


def _several(label: Any, choices: list[tuple[str, Any]], **kwargs: Any) -> forms.MultipleChoiceField:
    return forms.MultipleChoiceField(
        label=label, choices=choices, required=False, widget=forms.CheckboxSelectMultiple, **kwargs
    )


class RecipeForm(forms.Form):
    """The rules of a selection. `document()` of a valid form is a recipe that `recipes.parse` has accepted."""

    only_correct = forms.BooleanField(
        label=gettext_lazy("Only correct"),
        required=False,
        help_text=gettext_lazy("The newest verdict says correct. A trace that was never verified does not pass."),
    )
    well_formed = forms.BooleanField(
        label=gettext_lazy("Only well-formed"),
        required=False,
        help_text=gettext_lazy("One think, closed, then an answer, ended by the model itself."),
    )
    findings_refused = _several(
        gettext_lazy("Refuse traces with these findings"),
        list(FindingKind.choices),
        help_text=gettext_lazy("Beyond what “only well-formed” refuses already."),
    )
    labels_require = _several(
        gettext_lazy("Only with the label"),
        list(LabelValue.choices),
        help_text=gettext_lazy("None ticked: labelled or not."),
    )
    labels_refuse = _several(gettext_lazy("Never with the label"), list(LabelValue.choices))
    languages = forms.CharField(
        label=gettext_lazy("Languages of the think"),
        required=False,
        max_length=300,
        help_text=gettext_lazy("Codes with spaces between them, such as “en zh”. Empty: any language."),
    )
    language_share = _percent(
        gettext_lazy("At least, % of its letters"),
        help_text=gettext_lazy("Code and mathematics are not counted."),
    )
    completion_tokens_min = _number(gettext_lazy("Completion, tokens from"))
    completion_tokens_max = _number(gettext_lazy("to"))
    think_chars_min = _number(gettext_lazy("Think, characters from"))
    think_chars_max = _number(gettext_lazy("to"))
    answer_chars_min = _number(gettext_lazy("Answer, characters from"))
    answer_chars_max = _number(gettext_lazy("to"))
    no_repetition = forms.BooleanField(
        label=gettext_lazy("Limit repetition"),
        required=False,
        help_text=gettext_lazy("Refuses a think that goes round in circles."),
    )
    repetition_words = _number(gettext_lazy("Runs of this many words"), least=2)
    repetition_share = _percent(gettext_lazy("at most, % of them said before"))
    distinct = forms.BooleanField(
        label=gettext_lazy("Each text once"),
        required=False,
        help_text=gettext_lazy("Of equal completions of a problem, one passes."),
    )
    k_per_problem = _number(
        gettext_lazy("At most, a problem"), least=1, help_text=gettext_lazy("Empty: all that pass.")
    )
    prefer = forms.ChoiceField(
        label=gettext_lazy("Prefer"),
        choices=list(recipes.PREFERENCES.items()),
        help_text=gettext_lazy("Which are kept where more pass than are wanted."),
    )
    max_total = _number(
        gettext_lazy("At most, in total"), least=1, help_text=gettext_lazy("Every problem's first before any second.")
    )
    seed = _number(
        gettext_lazy("Seed"), help_text=gettext_lazy("The same seed over the same traces draws the same rows.")
    )

    def clean(self) -> dict[str, Any]:
        """Let recipes.parse judge, once the fields make sense one by one."""
        data = self.cleaned_data
        if not self.errors:
            try:
                recipes.parse(self.document())
            except recipes.RecipeError as error:
                name = {"labels": "labels_refuse"}.get(error.field, error.field.replace(".", "_"))
                place = next((n for n in (name, f"{name}_max") if n in self.fields), None)
                self.add_error(place or "only_correct", str(error))
        return data

    def checked_document(self) -> dict[str, Any] | None:
        """The recipe where all fields make sense together, else None. Errors that are no field's are not the recipe's."""
        wrong = set(self.errors) - {NON_FIELD_ERRORS}
        return None if wrong else self.document()

    def document(self) -> dict[str, Any]:
        """The recipe that the fields say, as JSON values."""
        data = self.cleaned_data
        document: dict[str, Any] = {"version": recipes.RECIPE_VERSION, **{name: data[name] for name in PLAIN}}
        document["findings_refused"] = data["findings_refused"]
        document["labels"] = {"require": data["labels_require"], "refuse": data["labels_refuse"]}
        document["languages"] = data["languages"].replace(",", " ").lower().split() or None
        document["seed"] = data["seed"] or 0
        if data["language_share"] is not None:
            document["language_share"] = round(data["language_share"] / 100, 6)
        for name in BOUNDS:
            ends = {"min": data[f"{name}_min"], "max": data[f"{name}_max"]}
            document[name] = ends if any(end is not None for end in ends.values()) else None
        document["no_repetition"] = self._repetition() if data["no_repetition"] else None
        return document

    def _repetition(self) -> dict[str, Any]:
        given = {}
        if self.cleaned_data["repetition_words"] is not None:
            given["words"] = self.cleaned_data["repetition_words"]
        if self.cleaned_data["repetition_share"] is not None:
            given["max_share"] = round(self.cleaned_data["repetition_share"] / 100, 6)
        return given


def initial(recipe: recipes.Recipe) -> dict[str, Any]:
    """The fields of RecipeForm that say `recipe`."""
    values: dict[str, Any] = {name: getattr(recipe, name) for name in (*PLAIN, "seed")}
    repetition = recipe.no_repetition or recipes.Repetition()
    values |= {
        "findings_refused": list(recipe.findings_refused),
        "labels_require": list(recipe.labels.require),
        "labels_refuse": list(recipe.labels.refuse),
        "languages": " ".join(recipe.languages or ()),
        "language_share": _as_percent(recipe.language_share),
        "no_repetition": recipe.no_repetition is not None,
        "repetition_words": repetition.words,
        "repetition_share": _as_percent(repetition.max_share),
    }
    for name in BOUNDS:
        bounds = getattr(recipe, name) or recipes.Bounds()
        values |= {f"{name}_min": bounds.min, f"{name}_max": bounds.max}
    return values


def _as_percent(share: float) -> float | int:
    percent = round(share * 100, 4)
    return int(percent) if percent.is_integer() else percent


def as_json(recipe: recipes.Recipe) -> str:
    """The recipe as text that a person reads and edits."""
    return json.dumps(recipe.as_document(), indent=2, ensure_ascii=False)


def read_json(text: str) -> recipes.Recipe:
    """The recipe in `text`. Raises ValueError in words for what is no JSON or no recipe."""
    try:
        document = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ValueError(_("This is not JSON: %(why)s") % {"why": error}) from error
    return recipes.parse(document)


def presets() -> dict[str, recipes.Recipe]:
    """The recipes that come with Sluice, by the name of their file."""
    return {path.stem: recipes.parse(json.loads(path.read_text(encoding="utf-8"))) for path in _preset_files()}


def _preset_files() -> Iterator[Path]:
    yield from sorted((settings.STARTER_DIR / "recipes").glob("*.json"))
