"""The writers alone: R1 form, lines, the card's escapes, the forms against the formats that a person may choose."""

import json

import pytest

from webapp.curation.models import ExportFormat
from workers.formats import write_card, write_files, write_sft


def row(**changes):
    plain = {name: None for name, _ in write_sft._ORIGIN}
    return {
        **plain,
        "trace_id": 7,
        "messages": [{"role": "user", "content": "q"}],
        "think": "\nhm \n",
        "answer": "\n\n4\n",
        **changes,
    }


def test_forms_are_the_formats_on_offer():
    assert set(write_sft.FORMS) == set(ExportFormat.values)


def test_r1_form_lays_out_the_edges_and_nothing_else():
    assert write_sft.r1_form("\n a  b \n\nc ", " 4\n") == "<think>\na  b \n\nc\n</think>\n\n4"
    assert write_sft.r1_form(" \n", "4") == "4"


def test_rows_have_the_columns_of_their_schema():
    for form in write_sft.FORMS.values():
        assert list(form.make(row())) == form.schema.names


def test_a_system_prompt_stays_in_front():
    asked = [{"role": "system", "content": "s"}, {"role": "user", "content": "q"}]
    assert [m["role"] for m in write_sft.messages_row(row(messages=asked))["messages"]] == [
        "system",
        "user",
        "assistant",
    ]


@pytest.mark.parametrize(("think", "expected"), [("a </think> b", True), ("<think>", True), ("a < think > b", False)])
def test_tags_inside_the_text_are_noticed(think, expected):
    assert write_sft.has_inner_tag(row(think=think)) is expected


@pytest.mark.parametrize("text", ["\u2028", "\u2029", "\x85", "\x1e", "\x0b", "\n", "\r", "\x00", "\ufeff", "😀"])
def test_a_json_line_is_one_line_and_the_same_text(text):
    line = write_files.json_line({"a": f"x{text}y"})
    assert len(line.splitlines()) == 1
    assert json.loads(line) == {"a": f"x{text}y"}


def test_not_a_number_is_refused():
    with pytest.raises(ValueError, match="Out of range"):
        write_files.json_line({"a": float("nan")})


@pytest.mark.parametrize("name", ["`x`", "a\nb", "", "| <b>", "*" * 9])
def test_names_in_the_card_stay_inline_code(name):
    shown = write_card._code(name)
    assert shown[0] == shown[-1] == "`"
    assert "`" not in shown[1:-1]
    assert "\n" not in shown


def test_two_licences_are_other_and_both_listed():
    manifest = {
        "dataset": "d", "version": 2, "rows": 3, "problems": 2, "think_chars": 1, "answer_chars": 1, "completion_tokens": None, "content_hash": "00",
        "sluice_version": "0", "created": "now", "recipe": {"languages": ["en"]}, "recipe_in_words": ["Rule."], "funnel": [], "hash_rule": "…",
        "licences": {"MIT": 1, "": 2}, "models": {"m": 3}, "sources": {"s": 3}, "verifiers": [], "parents": [],
    }  # fmt: skip
    text = write_card.card(manifest, write_sft.FORMS["cold-start-jsonl"], data_file="train.jsonl", inner_tags=1)
    assert "license: other\nlicense_name: see-below\n" in text
    assert "`MIT` (1 rows), not stated (2 rows)" in text
    assert "1 rows hold a think tag as text" in text
