"""The recipe document: every field checked, errors that name it, and the rules in words."""

import json

import pytest
from django.conf import settings

from webapp.curation import recipes
from webapp.curation.recipes import RecipeError, in_words, parse


def test_the_shortest_recipe_has_the_defaults():
    recipe = parse({"version": 1})
    assert recipe.only_correct
    assert recipe.well_formed
    assert recipe.labels.refuse == ("reject",)
    assert (recipe.languages, recipe.k_per_problem, recipe.prefer) == (None, None, "shortest")


def test_a_document_reads_back_as_itself():
    recipe = parse(
        {
            "version": 1, "only_correct": False, "well_formed": False, "findings_refused": ["truncated"], "languages": ["en", "zh"],
            "language_share": 1, "think_chars": {"min": 1}, "answer_chars": {"max": 9}, "completion_tokens": {"min": 1, "max": 5},
            "labels": {"require": ["keep"], "refuse": []}, "no_repetition": {"words": 4}, "distinct": False, "k_per_problem": 2,
            "prefer": "random", "max_total": 7, "seed": 3,
        }
    )  # fmt: skip
    document = json.loads(json.dumps(recipe.as_document()))
    assert parse(document) == recipe
    assert recipe.no_repetition == recipes.Repetition(words=4, max_share=0.3)


@pytest.mark.parametrize(
    ("document", "field", "words"),
    [
        ([], "", "must be an object"),
        ({}, "version", "must be 1, not None"),
        ({"version": 2}, "version", "must be 1, not 2"),
        ({"version": 1, "colour": 1}, "colour", "not a field of a recipe; known: version"),
        ({"version": 1, "only_correct": "yes"}, "only_correct", "must be true or false"),
        ({"version": 1, "k_per_problem": 0}, "k_per_problem", "1 or more"),
        ({"version": 1, "k_per_problem": True}, "k_per_problem", "must be a whole number"),
        ({"version": 1, "k_per_problem": 1.5}, "k_per_problem", "must be a whole number"),
        ({"version": 1, "max_total": 2**60}, "max_total", "must be a whole number"),
        ({"version": 1, "seed": -1}, "seed", "0 or more"),
        ({"version": 1, "prefer": "best"}, "prefer", "must be one of shortest, longest"),
        ({"version": 1, "prefer": ["shortest"]}, "prefer", "must be one of"),
        ({"version": 1, "languages": "en"}, "languages", "must be a list"),
        ({"version": 1, "languages": []}, "languages", "name at least one language, or null"),
        ({"version": 1, "languages": ["xx"]}, "languages", "does not know 'xx'"),
        ({"version": 1, "languages": [{}]}, "languages", "does not know {}"),
        ({"version": 1, "language_share": 2}, "language_share", "share from 0 to 1"),
        ({"version": 1, "think_chars": 5}, "think_chars", "must be an object"),
        ({"version": 1, "think_chars": {"least": 5}}, "think_chars.least", "known: min, max"),
        ({"version": 1, "think_chars": {"min": "5"}}, "think_chars.min", "must be a whole number"),
        ({"version": 1, "think_chars": {"min": 9, "max": 5}}, "think_chars", "min 9 is above max 5"),
        ({"version": 1, "findings_refused": ["ugly"]}, "findings_refused", "does not know 'ugly'"),
        ({"version": 1, "labels": {"require": ["keep"], "refuse": ["keep"]}}, "labels", "both required and refused"),
        ({"version": 1, "labels": {"require": ["maybe"]}}, "labels.require", "does not know 'maybe'"),
        ({"version": 1, "no_repetition": {"words": 1}}, "no_repetition.words", "2 or more"),
        ({"version": 1, "no_repetition": {"max_share": "x"}}, "no_repetition.max_share", "share from 0 to 1"),
    ],
)
def test_what_is_wrong_is_said_with_its_field(document, field, words):
    with pytest.raises(RecipeError, match="recipe") as refused:
        parse(document)
    assert refused.value.field == field
    assert words in str(refused.value)


def test_words_name_the_rules_that_are_on_and_no_other():
    assert (
        in_words(parse({"version": 1, "only_correct": False, "well_formed": False, "distinct": False, "labels": {}}))
        == []
    )
    words = in_words(
        parse({"version": 1, "k_per_problem": 2, "prefer": "logprob", "think_chars": {"min": 3}, "max_total": 9})
    )
    assert "At least 3 characters in the think." in words
    assert "At most 2 a problem, those with the highest mean log-probability (seed 0)." in words
    assert words[-1].startswith("At most 9 in total")


@pytest.mark.parametrize("path", sorted((settings.STARTER_DIR / "recipes").glob("*.json")), ids=lambda path: path.stem)
def test_the_bundled_recipes_are_recipes(path):
    assert in_words(parse(json.loads(path.read_text())))
