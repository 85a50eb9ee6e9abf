"""pass@k against values computed by hand."""

import pytest

from workers.trainers.estimator import pass_at_k


@pytest.mark.parametrize(
    ("samples", "correct", "k", "expected"),
    [
        (8, 0, 1, 0.0),
        (8, 8, 1, 1.0),
        (8, 3, 1, 3 / 8),
        (8, 1, 8, 1.0),
        (8, 0, 8, 0.0),
        (4, 1, 2, 1 / 2),  # of the 6 pairs of 4 samples 3 hold the right one
        (5, 2, 2, 7 / 10),  # 10 pairs, 3 of them without a right one
        (8, 2, 4, 1 - 15 / 70),
    ],
)
def test_by_hand(samples, correct, k, expected):
    assert pass_at_k(samples, correct, k) == pytest.approx(expected)


@pytest.mark.parametrize(("samples", "correct", "k"), [(8, 1, 0), (8, 1, 9), (8, 9, 1), (8, -1, 1)])
def test_impossible_counts_are_refused(samples, correct, k):
    with pytest.raises(ValueError, match="must lie in"):
        pass_at_k(samples, correct, k)
