"""A trace's text in panes: whole, in reading order, with places that tokens can be matched to."""

import pytest

from tests.webapp.traces.factories import seed_rows
from webapp.traces.panes import PART_CHARS, panes_of
from workers.parsing import parse


def _panes(prompt, reasoning, completion, **kwargs):
    segments = parse(prompt, reasoning, completion, "stop").segments
    return panes_of(segments, {"prompt": prompt, "reasoning": reasoning, "completion": completion}, **kwargs)


def test_every_character_of_real_traces_is_on_the_page(shared_data):
    for row in seed_rows(shared_data):
        texts = {"prompt": row["problem"] or "", "reasoning": row.get("reasoning"), "completion": row["raw"]}
        panes = _panes(*texts.values())
        for name, text in texts.items():
            mine = [pane for pane in panes if pane.field == name]
            assert "".join(pane.text for pane in mine) == (text or ""), row["id"]
        joined = "".join(text or "" for text in texts.values())
        for pane in panes:
            assert joined[pane.base : pane.base + pane.chars] == pane.text
        assert [pane.index for pane in panes] == list(range(len(panes)))


def test_think_and_answer_are_panes_of_their_own():
    panes = _panes("12 + 30?", None, "<think>add tens</think>42")
    assert [(pane.kind, pane.text) for pane in panes] == [
        ("prompt", "12 + 30?"), ("other", "<think>"), ("think", "add tens"), ("other", "</think>"), ("answer", "42"),
    ]  # fmt: skip
    assert [pane.is_tag for pane in panes] == [False, True, False, True, False]
    assert panes[2].base == len("12 + 30?<think>")


def test_a_reasoning_field_lies_between_prompt_and_completion():
    panes = _panes("q", "the think", "the answer")
    assert [(pane.kind, pane.base) for pane in panes] == [("prompt", 0), ("think", 1), ("answer", 10)]


def test_text_that_nothing_segments_is_still_shown():
    panes = panes_of([], {"prompt": "p", "reasoning": None, "completion": "c"})
    assert [(pane.kind, pane.text) for pane in panes] == [("prompt", "p"), ("other", "c")]
    assert panes_of([], {"prompt": "", "reasoning": None, "completion": ""}) == []


def test_token_counts_come_from_the_segments():
    segments = [{"kind": "answer", "field": "completion", "start": 0, "end": 2, "token_start": 5, "token_end": 9}]
    (pane,) = panes_of(segments, {"prompt": "", "reasoning": None, "completion": "42"})
    assert pane.tokens == 4


@pytest.mark.parametrize(
    ("first", "shown"),
    [(0, (0, PART_CHARS)), (PART_CHARS, (PART_CHARS, 2 * PART_CHARS)), (10**9, None), (-5, (0, PART_CHARS))],
)
def test_a_long_pane_is_shown_in_parts(first, shown):
    length = 3 * PART_CHARS + 10
    (pane,) = panes_of([], {"prompt": "", "reasoning": None, "completion": "x" * length}, open_pane=0, open_from=first)
    assert pane.is_part
    assert (pane.part_from, pane.part_to) == (shown or (length - 1, length))
    assert pane.shown_base == pane.part_from
    assert len(pane.text) <= PART_CHARS
