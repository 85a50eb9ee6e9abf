"""Reading an answer, judging the form, and summing up outcomes."""

import pytest

from workers.trainers import evaluate
from workers.trainers.evaluate import EvaluationPlan, heldout_problems, read_answer, well_formed
from workers.trainers.families import FAMILIES, generate
from workers.trainers.text import EOS, completion_text

GOOD = "<think>\n1+1=2\n</think>\n\nThe answer is \\boxed{2}."


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        (GOOD, "2"),
        ("<think>\n\\boxed{3}\n</think>\n\nThe answer is \\boxed{-4}.", "-4"),
        ("<think>\n\\boxed{3}\n</think>\n\nno box", None),
        ("\\boxed{1} or \\boxed{2}", "2"),
        ("The answer is \\boxed{['3', '10']}.", "['3', '10']"),
        ("", None),
    ],
)
def test_the_answer_is_read_after_the_think(text, answer):
    assert read_answer(text) == answer


@pytest.mark.parametrize(
    ("text", "finish", "good"),
    [
        (GOOD, "stop", True),
        (GOOD, "length", False),
        (GOOD.replace("</think>\n\n", ""), "stop", False),
        (GOOD.replace("<think>\n", ""), "stop", False),
        ("<think>\n<think>\n" + GOOD, "stop", False),
        (GOOD + " And more.", "stop", False),
    ],
)
def test_form(text, finish, good):
    assert well_formed(text, finish) is good


def test_every_worked_trace_is_well_formed_and_reads_back_right():
    for name, family in FAMILIES.items():
        for item in generate(name, 100, seed=12):
            text = completion_text(item).removesuffix(EOS)
            assert well_formed(text, "stop"), text
            assert family.score(item, read_answer(text)) == 1.0, text


def test_the_evaluation_set_is_heldout_and_balanced():
    plan = EvaluationPlan(problems_per_family=5)
    items = heldout_problems(plan)
    assert {item.split for item in items} == {"heldout"}
    assert len(items) == 5 * len(FAMILIES)
    assert items == heldout_problems(plan)


def test_outcomes_are_summed_with_the_unbiased_estimator():
    item = generate("gcd", 1, seed=1)[0]
    tallies = [evaluate._Tally(item, correct, formed=8, greedy=correct > 4, tokens=80) for correct in (0, 2, 8)]
    summary = evaluate._summary(tallies, samples=8)
    assert summary["pass@1"] == pytest.approx((0 + 0.25 + 1) / 3, abs=1e-4)
    assert summary["pass@8"] == pytest.approx(2 / 3, abs=1e-4)
    assert summary["greedy"] == pytest.approx(1 / 3, abs=1e-4)
    assert summary["mean_tokens"] == 10.0
