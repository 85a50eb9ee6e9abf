"""Families: right golds, right arithmetic in every trace, the same for the same seed, and a split that nothing crosses."""

import re
import subprocess
import sys
from itertools import pairwise
from math import gcd

import pytest

from workers.trainers.families import FAMILIES, HELDOUT_SHARE, generate, split_of
from workers.trainers.families.arithmetic import step_lines
from workers.trainers.families.equations import read_equation
from workers.trainers.families.lists import compare_digits

EACH = pytest.mark.parametrize("name", list(FAMILIES))
EQUALITY = re.compile(r"(?<![\d*/+=-])(-?\d+(?:[-+*/]\d+)+)=(-?\d+)")


@pytest.fixture(scope="module")
def items():
    return {name: generate(name, 300, seed=5) for name in FAMILIES}


@EACH
def test_the_scorer_gives_the_gold_full_marks(name, items):
    family = FAMILIES[name]
    assert [item.prompt for item in items[name] if family.score(item, item.answer) != 1.0] == []


@EACH
def test_the_scorer_refuses_another_problems_gold(name, items):
    family, pool = FAMILIES[name], items[name]
    pairs = [(a, b) for a, b in pairwise(pool) if a.answer != b.answer]
    refused = sum(family.score(a, b.answer) < 1.0 for a, b in pairs)
    assert refused >= 0.98 * len(pairs)  # sorting tolerates a number off by one


@EACH
def test_every_equality_in_a_trace_holds(name, items):
    wrong = []
    for item in items[name]:
        for left, right in EQUALITY.findall(item.think):
            value = _value(left)
            if value != int(right):
                wrong.append((left, right, item.think))
    assert wrong == []


def _value(expression):
    """An independent reading: products and quotients first, then left to right."""
    terms = re.findall(r"[-+]?[\d*/]+", expression)
    total = 0
    for term in terms:
        first, *rest = re.findall(r"[-+]?\d+|[*/]\d+", term)
        value = int(first)
        for factor in rest:
            value = value * int(factor[1:]) if factor[0] == "*" else value // int(factor[1:])
        total += value
    return total


@EACH
def test_a_trace_ends_in_its_answer(name, items):
    final = {
        "chain_sum": lambda think: re.findall(r"=(-?\d+)$", think)[-1],
        "gcd": lambda think: re.findall(r"gcd is (\d+)$", think)[-1],
        "number_sorting": lambda think: str(re.findall(r"est (\d+)$", think, re.MULTILINE)),
        "number_filtering": lambda think: str(re.findall(r"\d+", think.rpartition("stay: ")[2])),
        "letter_counting": lambda think: re.findall(r"total (\d+)$", think)[-1],
        "simple_equations": lambda think: re.findall(r"^[a-z]=(?:.*=)?(\d+)$", think, re.MULTILINE)[-1],
    }[name]
    plain = [item for item in items[name] if not (name == "simple_equations" and item.think.count("\n") == 1)]
    assert [(item.think, item.answer) for item in plain if final(item.think) != item.answer] == []
    assert len(plain) > 290


def test_golds_agree_with_a_second_computation(items):
    for item in items["gcd"]:
        assert int(item.answer) == gcd(*item.verifier_args["metadata"]["numbers"])
    for item in items["letter_counting"]:
        meta = item.verifier_args["metadata"]
        assert int(item.answer) == " ".join(meta["span"]).lower().count(meta["target_letter"])
    for item in items["chain_sum"]:
        parts = item.verifier_args["metadata"]["expression"].split()
        signs = [1, *(1 if sign == "+" else -1 for sign in parts[1::2])]
        assert int(item.answer) == sum(s * int(n) for s, n in zip(signs, parts[::2], strict=True))


@pytest.mark.parametrize(
    ("total", "op", "term"),
    [(0, "+", 0), (999, "+", 1), (100, "-", 1), (3, "-", 20), (-5, "-", 7), (-5, "+", 7), (-17, "+", 7), (5, "-", 5)],
)
def test_a_step_of_a_chain_holds_on_every_side_of_zero(total, op, term):
    lines, result = step_lines(total, op, term)
    assert result == (total + term if op == "+" else total - term)
    assert lines[-1].endswith(f"={result}")


@pytest.mark.parametrize(
    ("equation", "read"),
    [
        ("7*x + 5 = 26", (7, 5, 26)),
        ("5 - 3*x = -7", (-3, 5, -7)),
        ("x - 9 = 2", (1, -9, 2)),
        ("-x = -4", (-1, 0, -4)),
        ("12 - x = 3", (-1, 12, 3)),
        ("40*x = 80", (40, 0, 80)),
    ],
)
def test_equations_are_read(equation, read):
    assert read_equation(equation, "x") == read


def test_comparison_goes_digit_by_digit():
    assert compare_digits("417", "482") == ("4=4, 1<8", "smaller")
    assert compare_digits("90", "151") == ("2<3 digits", "smaller")
    assert compare_digits("151", "151") == ("1=1, 5=5, 1=1", "equal")


@EACH
def test_the_same_seed_gives_the_same_problems_and_another_seed_others(name):
    assert generate(name, 20, seed=3) == generate(name, 20, seed=3)
    assert generate(name, 20, seed=3) != generate(name, 20, seed=4)


@EACH
def test_an_item_can_be_made_again_from_its_index(name):
    for item in generate(name, 10, seed=8):
        assert FAMILIES[name].item(item.index, seed=8) == item


@EACH
def test_no_problem_is_on_both_sides_of_the_split(name):
    train, heldout = (generate(name, size, 1, split=side) for size, side in ((300, "train"), (60, "heldout")))
    assert not {item.prompt for item in train} & {item.prompt for item in heldout}
    assert not {item.key for item in train} & {item.key for item in heldout}
    assert {item.split for item in train} == {"train"}
    assert {item.split for item in heldout} == {"heldout"}


def test_no_phrasing_moves_a_problem_across_the_split():
    """All phrasings of one problem lie on one side, the swapped pair of a gcd included."""
    sides = {}
    items = [FAMILIES["gcd"].item(index) for index in range(3000)]
    assert len({item.prompt for item in items}) > 1.5 * len({item.key for item in items})
    for item in items:
        sides.setdefault(frozenset(item.verifier_args["metadata"]["numbers"]), set()).add(item.split)
    assert {len(side) for side in sides.values()} == {1}


@EACH
def test_difficulty_spreads(name, items):
    assert {item.difficulty for item in items[name]} == {1, 2, 3}


def test_the_heldout_share_is_as_stated(items):
    everything = [item for pool in items.values() for item in pool]
    share = sum(split_of(item.family, item.key) == "heldout" for item in everything) / len(everything)
    assert abs(share - HELDOUT_SHARE) < 0.03


def test_prompts_of_one_call_differ(items):
    for pool in items.values():
        assert len({item.prompt for item in pool}) == len(pool)


@pytest.mark.parametrize(
    ("family", "size", "why"),
    [("poetry", 3, "unknown family"), ("gcd", 0, "at least 1"), ("gcd", 9_000, "different problems")],
)
def test_what_cannot_be_generated_is_refused_in_words(family, size, why):
    with pytest.raises(ValueError, match=why):
        generate(family, size, seed=0)


def test_generating_needs_no_torch():
    code = "import sys; from workers.trainers.families import generate; generate('gcd', 2, 1); sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
