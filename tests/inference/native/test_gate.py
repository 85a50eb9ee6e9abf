"""The native router against inference/gate.py, on every generation's rules."""

import pytest
import torch

from inference import native
from inference.gate import route
from tests.inference.test_gate import CASES, draw, maps

pytestmark = pytest.mark.usefixtures("kernels")


def arguments(config):
    scoring = {"softmax": 0, "sigmoid": 1}[config.scoring_func]
    kind = {"greedy": 0, "group_limited_greedy": 1, "noaux_tc": 2}[config.topk_method]
    shape = config.n_group, config.topk_group, config.num_experts_per_tok
    return scoring, kind, *shape, config.norm_topk_prob, config.routed_scaling_factor


@pytest.mark.parametrize("name", CASES)
def test_it_is_the_plain_gate(both_thread_counts, name):
    logits, bias, config = draw(name)
    ids, weights = native.gate(logits, bias, *arguments(config))
    expected = route(logits, bias, config)
    for mine, theirs in zip(maps(expected._replace(ids=ids, weights=weights)), maps(expected), strict=True):
        assert mine == pytest.approx(theirs, rel=1e-5, abs=1e-7)
    both_thread_counts(lambda: native.gate(logits, bias, *arguments(config))[1])


@pytest.mark.parametrize("name", CASES)
def test_detail_agrees_and_changes_nothing(name):
    logits, bias, config = draw(name)
    ids, weights, open_groups, swapped, entropy, margin = native.gate(logits, bias, *arguments(config), detail=True)
    plain_ids, plain_weights = native.gate(logits, bias, *arguments(config))
    assert torch.equal(ids, plain_ids)
    assert torch.equal(weights, plain_weights)
    expected = route(logits, bias, config, detail=True).detail
    assert torch.equal(open_groups, expected.open_groups)
    assert torch.equal(swapped, expected.swapped)
    torch.testing.assert_close(entropy, expected.entropy, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(margin, expected.margin, atol=1e-6, rtol=1e-4)


def test_of_equal_scores_the_lower_id_wins():
    logits = torch.zeros(1, 8)
    assert native.gate(logits, None, 1, 2, 4, 2, 3, norm=True, scale=1.0)[0].tolist() == [[0, 1, 2]]
    logits[0, [5, 7]] = 1
    assert native.gate(logits, None, 1, 2, 4, 2, 3, norm=True, scale=1.0)[0].tolist() == [[5, 7, 4]]
    assert native.gate(logits, None, 0, 0, 1, 1, 4, norm=False, scale=1.0)[0].tolist() == [[5, 7, 0, 1]]


def test_extreme_logits_give_finite_weights():
    logits = torch.tensor([[1000.0, -1000.0, 0.0, 80.0], [-1000.0] * 4])
    for scoring in (0, 1):
        ids, weights = native.gate(logits, None, scoring, 0, 1, 1, 2, norm=True, scale=2.5)
        assert torch.isfinite(weights).all()
        assert (ids >= 0).all()
        assert ids[0, 0] == 0


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"top_k": 5}, r"top_k must lie in 1\.\.4, got 5"),
        ({"n_group": 3}, "groups: 2 of 3 for 8 experts"),
        ({"scoring": 2}, "scoring must be 0"),
    ],
)
def test_an_impossible_rule_is_refused(change, message):
    rule = {
        "scoring": 1,
        "group_kind": 2,
        "n_group": 4,
        "topk_group": 2,
        "top_k": 2,
        "norm": True,
        "scale": 1.0,
    } | change
    with pytest.raises(RuntimeError, match=message):
        native.gate(torch.zeros(1, 8), None, **rule)
