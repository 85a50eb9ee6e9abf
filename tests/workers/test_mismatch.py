"""Routing against routing: sets not orders, rates by layer, the tokens that differ most."""

import numpy as np
import pytest

from workers.mismatch import WORST_KEPT, mismatch


def test_the_order_of_experts_means_nothing():
    ids = np.array([[[1, 2], [3, 4]], [[5, 6], [7, 0]]], np.uint8)
    same = mismatch(ids, ids[..., ::-1], [1, 4])
    assert same.layers == [{"layer": 1, "differ": 0, "experts": 0}, {"layer": 4, "differ": 0, "experts": 0}]
    assert (same.tokens, same.worst) == (2, [])


def test_differences_are_counted_by_layer_and_by_token():
    first = np.array([[[1, 2], [3, 4]], [[5, 6], [7, 0]], [[1, 2], [3, 4]]], np.uint8)
    second = np.array([[[1, 2], [3, 9]], [[8, 9], [0, 9]], [[2, 1], [4, 3]]], np.uint8)
    found = mismatch(first, second, [1, 4])
    assert found.layers == [{"layer": 1, "differ": 1, "experts": 2}, {"layer": 4, "differ": 2, "experts": 2}]
    assert found.worst == [[1, 2, 1], [0, 1, 4]]


def test_only_the_worst_are_told():
    first = np.zeros((100, 1, 1), np.uint16)
    found = mismatch(first, first + 300, [3])
    assert len(found.worst) == WORST_KEPT
    assert found.layers[0]["differ"] == 100


def test_routings_that_are_not_alike_are_refused():
    ids = np.zeros((4, 2, 2), np.uint8)
    for other, layers in ((ids[:3], [1, 2]), (ids[:, :, :1], [1, 2]), (ids, [1])):
        with pytest.raises(ValueError, match="not alike"):
            mismatch(ids, other, layers)
