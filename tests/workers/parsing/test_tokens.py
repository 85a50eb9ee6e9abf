"""Token ranges of segments."""

import itertools

import pytest

from workers.parsing import parse, with_tokens

PROMPT, COMPLETION = "Q?", "<think>ab</think>\n4"


def ranges(spans, prompt=PROMPT, completion=COMPLETION):
    segments = with_tokens(parse(prompt, None, completion, "stop").segments, prompt, completion, spans)
    return [(s["kind"], s["token_start"], s["token_end"]) for s in segments]


def test_with_tokens_one_a_segment_and_a_silent_end_token():
    spans = [(0, 2), (2, 9), (9, 10), (10, 11), (11, 19), (19, 20), (20, 21), (21, 21)]

    assert ranges(spans) == [("prompt", 0, 1), ("other", 1, 2), ("think", 2, 4), ("other", 4, 5), ("answer", 5, 8)]


def test_with_tokens_counts_a_straddling_token_where_it_begins():
    spans = [(0, 2), (2, 9), (9, 12), (12, 21)]  # "ab<" and "/think>\n4"

    assert ranges(spans) == [("prompt", 0, 1), ("other", 1, 2), ("think", 2, 3), ("other", 3, 4), ("answer", 4, 4)]


def test_with_tokens_gives_each_token_to_one_segment():
    spans = [(i, i + 1) for i in range(len(PROMPT + COMPLETION))]
    found = ranges(spans)

    assert found[0][1] == 0
    assert found[-1][2] == len(spans)
    assert all(earlier[2] == later[1] for earlier, later in itertools.pairwise(found))


def test_with_tokens_leaves_a_separate_field_alone():
    segments = with_tokens(parse("Q", "r", "A", "stop").segments, "Q", "A", [(0, 1), (1, 2)])

    assert [(s["field"], s["token_start"], s["token_end"]) for s in segments] == [
        ("prompt", 0, 1), ("reasoning", None, None), ("completion", 1, 2),
    ]  # fmt: skip


def test_with_tokens_refuses_spans_out_of_order():
    with pytest.raises(ValueError, match="order"):
        ranges([(2, 3), (0, 2)])


def test_with_tokens_covers_a_separate_field_that_has_tokens():
    segments = parse("Q?", "ab", "4", "stop").segments
    spans = [(0, 2), (2, 2), (2, 3), (3, 4), (4, 4), (4, 5), (5, 5)]  # the tags around the think have no characters
    filled = with_tokens(segments, "Q?", "4", spans, reasoning="ab")

    assert [(s["field"], s["token_start"], s["token_end"]) for s in filled] == [
        ("prompt", 0, 1), ("reasoning", 1, 4), ("completion", 4, 7),
    ]  # fmt: skip
