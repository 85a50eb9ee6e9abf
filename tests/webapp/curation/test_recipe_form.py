"""The recipe as a form says just what the recipe as a document says."""

import json

import pytest

from webapp.curation import recipe_form, recipes
from webapp.curation.recipe_form import RecipeForm

EVERYTHING = {
    "version": 1, "only_correct": False, "well_formed": False, "findings_refused": ["repeated_think", "tag_variant"],
    "languages": ["en", "zh"], "language_share": 0.875, "think_chars": {"min": 10, "max": None},
    "answer_chars": {"min": None, "max": 900}, "completion_tokens": {"min": 1, "max": 2048},
    "labels": {"require": ["keep"], "refuse": ["reject", "unsure"]}, "no_repetition": {"words": 5, "max_share": 0.125},
    "distinct": False, "k_per_problem": 3, "prefer": "logprob", "max_total": 1000, "seed": 7,
}  # fmt: skip


def posted(recipe):
    """What a browser sends for the form that shows `recipe`: no unticked box, no None."""
    return {name: value for name, value in recipe_form.initial(recipe).items() if value not in (None, False)}


@pytest.mark.parametrize(
    "recipe",
    [recipes.Recipe(), recipes.parse(EVERYTHING), *recipe_form.presets().values()],
    ids=["default", "everything", *recipe_form.presets()],
)
def test_document_to_form_and_back(recipe):
    form = RecipeForm(posted(recipe))
    assert form.is_valid(), form.errors
    assert recipes.parse(form.document()) == recipe


def test_every_field_of_a_recipe_has_its_place_in_the_form():
    plain = {"version": 1, "labels": {"require": [], "refuse": []}}
    for name, value in EVERYTHING.items():
        changed = recipes.parse({**plain, name: value} if name != "labels" else {**plain, "labels": value})
        form = RecipeForm(posted(changed))
        assert form.is_valid(), form.errors
        assert getattr(recipes.parse(form.document()), name) == getattr(changed, name)


@pytest.mark.parametrize(
    ("fields", "place"),
    [
        ({"languages": "en klingon"}, "languages"),
        ({"think_chars_min": "10", "think_chars_max": "5"}, "think_chars_max"),
        ({"labels_require": ["keep"], "labels_refuse": ["keep"]}, "labels_refuse"),
        ({"k_per_problem": "0"}, "k_per_problem"),
        ({"seed": "-1"}, "seed"),
        ({"prefer": "prettiest"}, "prefer"),
        ({"language_share": "101"}, "language_share"),
        ({"language_share": "nan"}, "language_share"),
        ({"no_repetition": "on", "repetition_words": "1"}, "repetition_words"),
        ({"max_total": "9" * 400}, "max_total"),
        ({"findings_refused": ["<b>"]}, "findings_refused"),
    ],
)
def test_an_error_stands_beside_its_field(fields, place):
    form = RecipeForm({**posted(recipes.Recipe()), **fields})
    assert list(form.errors) == [place]
    assert form.checked_document() is None


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{", "This is not JSON"),
        ("[" * 100_000, "This is not JSON"),
        ("[]", "must be an object"),
        ('{"version": 2}', "version"),
        ('{"version": 1, "only_corect": true}', "only_corect"),
        ('{"version": 1, "k_per_problem": NaN}', "k_per_problem"),
        ('{"version": 1, "seed": ' + "9" * 6000 + "}", "This is not JSON"),
    ],
)
def test_text_that_is_no_recipe_is_refused_in_words(text, words):
    with pytest.raises(ValueError, match=words):
        recipe_form.read_json(text)


def test_what_is_shown_as_json_is_read_back():
    recipe = recipes.parse(EVERYTHING)
    assert recipe_form.read_json(recipe_form.as_json(recipe)) == recipe
    assert json.loads(recipe_form.as_json(recipe))["version"] == 1
