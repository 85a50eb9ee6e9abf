"""Exact text and numbers."""

import pytest

from workers.verification import check


@pytest.mark.parametrize(
    ("gold", "answer", "args", "expected"),
    [
        ("7 cats", " 7  cats\n", {}, "correct"),
        ("7 cats", "7 Cats", {}, "wrong"),
        ("7 cats", "7 Cats", {"ignore_case": True}, "correct"),
        ("Paris", "<answer>Paris</answer>", {}, "correct"),
        ("Paris", "Well. The answer is Paris.", {}, "correct"),
        ("['1', '2']", "['1', '2']", {}, "correct"),
        ("['1', '2']", "['2', '1']", {}, "wrong"),
        ("x", r"\boxed{x}", {}, "correct"),
        ("Paris", "Not Paris but Rome", {}, "wrong"),
        ("东京", "东京", {}, "correct"),
    ],
)
def test_exact(gold, answer, args, expected):
    outcome = check("exact", args, gold, answer)
    assert outcome.value == expected
    assert outcome.score == (1.0 if expected == "correct" else 0.0)
    assert (outcome.message == "") == (expected == "correct")


@pytest.mark.parametrize(
    ("gold", "answer", "args", "expected"),
    [
        ("18", "18", {}, "correct"),
        ("18", "She makes $18.", {}, "correct"),
        ("18", "18 eggs, then 3 more, so 21", {}, "wrong"),
        ("1,875", "1875", {}, "correct"),
        ("1875", "The answer is 1,875 students", {}, "correct"),
        ("70000", "#### 70,000", {}, "correct"),
        ("0.5", "1/2", {}, "correct"),
        ("20", "20%", {}, "correct"),
        ("0.2", "20 %", {}, "correct"),
        ("20%", "0.2", {}, "correct"),
        ("20%", "20", {}, "correct"),
        ("20%", "30%", {}, "wrong"),
        ("3.14159", "3.141590001", {}, "correct"),
        ("3.14159", "3.1416", {}, "wrong"),
        ("3.14159", "3.1416", {"relative": 1e-4}, "correct"),
        ("10000000", "10000001", {}, "wrong"),
        ("1e-9", "0.000000001", {}, "correct"),
        ("1e-9", "0.000000002", {}, "wrong"),
        ("0", "0.0000001", {}, "wrong"),
        ("-5", "−5", {}, "correct"),
        ("4", "４", {}, "correct"),
        ("5", "five", {}, "undecidable"),
        ("five", "5", {}, "undecidable"),
        ("7", r"\boxed{7} apples of 9", {}, "correct"),
    ],
)
def test_numeric(gold, answer, args, expected):
    assert check("numeric", args, gold, answer).value == expected


def test_numeric_says_what_it_read_and_why_it_could_not():
    outcome = check("numeric", {}, "5", "it is either 4 or 6")
    assert (outcome.extracted, outcome.method, outcome.score) == ("6", "last_number", 0.0)
    undecided = check("numeric", {}, "5", "none")
    assert (undecided.score, undecided.message) == (None, "no number found in the answer")
