"""What the page lists of an outline: bounded, in order, with all places that keys lead to."""

import json

from webapp.traces.outline_list import MOST_LINES, MOST_PLACES, SHORT, outlines_of, places_of
from webapp.traces.panes import panes_of
from workers.parsing import parse


def listed(prompt, reasoning, completion):
    texts = {"prompt": prompt, "reasoning": reasoning, "completion": completion}
    panes = panes_of(parse(prompt, reasoning, completion, "stop").segments, texts)
    return outlines_of(panes, texts)


def test_think_and_answer_are_listed_and_the_prompt_is_named():
    prompt, think, answer = listed("1. Wait for it", None, "<think>Add.\n\nWait, 1. no. Hmm.</think>\nThe answer is 4.")
    assert (prompt.pane.kind, prompt.rows, prompt.outline.paragraphs) == ("prompt", [], [])
    assert [(row.number, row.lead and row.lead.kind, [m.kind for m in row.marks]) for row in think.rows] == [
        (1, None, []),
        (2, "turn", ["turn"]),
    ]
    assert think.is_open
    assert answer.rows[0].lead.label == "answer is 4."


def test_places_count_from_the_beginning_of_their_pane():
    completion = "<think>Add.\n\nWait, no.</think>Fine. However, 4."
    text = {2: "Add.\n\nWait, no.", 4: "Fine. However, 4."}
    places = places_of(listed("q", None, completion))
    assert [(pane, kind, text[pane][start:end]) for pane, kind, start, end in places] == [
        (2, "paragraph", "Add."),
        (2, "paragraph", "Wait, no."),
        (2, "turn", "Wait"),
        (4, "paragraph", "Fine. However, 4."),
        (4, "turn", "However"),
    ]


def test_a_field_of_its_own_has_its_outline():
    _, think, answer = listed("q", "One.\n\nHmm, two.", "4")
    assert [row.lead and row.lead.kind for row in think.rows] == [None, "turn"]
    assert answer.rows == []  # one paragraph without marks says nothing


def test_a_long_think_lists_what_has_marks():
    think = "\n\n".join("Hmm, look." if n % 10 == 5 else "A sum." for n in range(SHORT + 60))
    (_, item) = listed("q", think, "")
    assert len(item.rows) == (SHORT + 60) // 10 + 2  # the first and the last paragraph too
    assert item.left_out == SHORT + 60 - len(item.rows)


def test_the_page_stays_small_and_says_what_it_left_out():
    think = "Wait. Hmm. Actually, 4.\n\n" * 5000
    items = listed("q", think, "Wait.\n\nHmm.")
    assert sum(1 + len(row.marks) for item in items for row in item.rows) <= MOST_LINES
    assert items[1].left_out == 5000 - len(items[1].rows)
    assert not items[1].is_open
    places = places_of(items)
    assert len(places) <= MOST_PLACES * 1.5
    assert places == sorted(places, key=lambda p: (p[0], p[2], p[1] != "paragraph"))
    assert len(json.dumps(places, separators=(",", ":"))) < 150_000
