"""Statistics of routing, each against a case that is computed by hand."""

import math

import numpy as np
import pytest

from webapp.traces import routing


def counts(*numbers):
    return np.array(numbers, np.int64)


def test_load_counts_tokens_by_layer_and_expert():
    ids = np.array([[[0, 1], [3, 2]], [[0, 2], [3, 1]], [[0, 1], [3, 0]]], np.uint8)  # [3 tokens, 2 layers, 2 of 4]
    assert routing.load(ids, 4).tolist() == [[3, 2, 1, 0], [1, 1, 1, 3]]
    assert routing.load(ids[:0], 4).tolist() == [[0] * 4] * 2


def test_load_refuses_an_expert_that_is_not():
    with pytest.raises(ValueError, match="expert 4 of 4"):
        routing.load(np.array([[[0, 4]]], np.uint8), 4)


@pytest.mark.parametrize(
    ("load", "expected"), [((5, 5, 5, 5), 0.0), ((20, 0, 0, 0), 3.0), ((6, 2, 2, 2), 1.0), ((0, 0), None), ((), None)]
)
def test_max_violation(load, expected):
    assert routing.max_violation(counts(*load)) == expected


def test_divergence_by_hand():
    # p = (1/2, 1/2), q = (1, 0), m = (3/4, 1/4)
    by_hand = (0.5 * math.log2(2 / 3) + 0.5 * math.log2(2) + math.log2(4 / 3)) / 2
    assert routing.divergence(counts(3, 3), counts(8, 0)) == pytest.approx(by_hand)
    assert routing.divergence(counts(8, 0), counts(3, 3)) == pytest.approx(by_hand)
    assert routing.divergence(counts(1, 2, 3), counts(10, 20, 30)) == pytest.approx(0, abs=1e-12)
    assert routing.divergence(counts(4, 0), counts(0, 9)) == pytest.approx(1)
    assert routing.divergence(counts(0, 0), counts(0, 9)) is None


def test_by_chance_is_what_equal_samples_show():
    draw = np.random.default_rng(5)
    shares = draw.dirichlet(np.full(16, 4.0))
    pairs = [(draw.multinomial(800, shares), draw.multinomial(500, shares)) for _ in range(400)]
    shown = np.mean([routing.divergence(a, b) for a, b in pairs])
    told = np.mean([routing.by_chance(a, b) for a, b in pairs])
    assert told == pytest.approx(shown, rel=0.1)
    assert routing.by_chance(counts(1, 0), counts(0, 0)) is None


def test_particular_by_hand():
    found = routing.particular(counts(8, 2), 10, counts(1, 9), 10)
    assert [p.expert for p in found] == [0]
    assert found[0].odds == pytest.approx(math.log2(8.5 * 9.5 / (2.5 * 1.5)))
    error = math.sqrt(1 / 8.5 + 1 / 2.5 + 1 / 1.5 + 1 / 9.5)
    assert found[0].score == pytest.approx(math.log(8.5 * 9.5 / (2.5 * 1.5)) / error)
    assert (found[0].share_here, found[0].share_there) == (0.8, 0.1)


def test_an_expert_seen_twice_does_not_lead():
    here, there = counts(300, 2), counts(150, 0)
    found = routing.particular(here, 400, there, 400)
    assert [p.expert for p in found] == [0, 1]
    assert found[1].odds > found[0].odds  # the rare one has the larger ratio, and less to say for it
    assert routing.particular(here, 0, there, 400) == []


def test_together_and_lift_by_hand():
    ids = np.array([[0, 1]] * 6 + [[0, 2]] * 2 + [[2, 3]] * 4, np.uint8)
    both = routing.together(ids, 4)
    assert both.tolist() == [[8, 6, 2, 0], [6, 6, 0, 0], [2, 0, 6, 4], [0, 0, 4, 4]]
    found = routing.pairs(both, 12)
    assert [(p.first, p.second, p.tokens) for p in found] == [(0, 1, 6)]  # fewer than five share the others
    assert found[0].lift == pytest.approx((6 / 12) / ((8 / 12) * (6 / 12)))
    assert routing.pairs(both, 0) == []
