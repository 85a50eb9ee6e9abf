"""The one gate against a slow reference of the papers' equations, every generation, and that each trap would be noticed."""

import math

import numpy as np
import pytest
import torch

from inference.gate import route
from tests.inference import reference_gate
from tests.inference.configs import small

V2 = {"topk_method": "group_limited_greedy"}
# name: (generation, what its config says, mean and spread of the correction bias)
CASES = {
    "V1": ("deepseek", {"n_routed_experts": 64, "num_experts_per_tok": 6}, None),
    "V1 normalised": ("deepseek", {"norm_topk_prob": True}, None),
    "V2-Lite": ("deepseek_v2", {"topk_method": "greedy", "n_group": 1, "topk_group": 1, "routed_scaling_factor": 1.0}, None),
    "V2": ("deepseek_v2", {**V2, "n_routed_experts": 160, "n_group": 8, "topk_group": 3, "num_experts_per_tok": 6}, None),
    "V3": ("deepseek_v3", {"n_routed_experts": 256, "n_group": 8, "topk_group": 4, "num_experts_per_tok": 8}, (0.0, 0.1)),
    "V3, every biased score negative": ("deepseek_v3", {}, (-3.0, 0.5)),
    "V3, no weight normalised": ("deepseek_v3", {"norm_topk_prob": False}, (0.0, 0.5)),
    "Moonlight": ("deepseek_v3", {"n_group": 1, "topk_group": 1, "routed_scaling_factor": 2.446, "num_experts_per_tok": 6}, (0.1, 0.3)),
    "groups of two, each of which is taken whole": ("deepseek_v3", {"n_group": 8, "topk_group": 3, "num_experts_per_tok": 6}, (0.0, 0.5)),
    "groups of five": ("deepseek_v3", {"n_routed_experts": 15, "n_group": 3, "topk_group": 2, "num_experts_per_tok": 7}, (-1.0, 0.5)),
    "groups of one": ("deepseek_v2", {**V2, "n_routed_experts": 7, "n_group": 7, "topk_group": 5, "num_experts_per_tok": 4}, None),
    "all experts": ("deepseek_v3", {"n_routed_experts": 4, "n_group": 1, "topk_group": 1, "num_experts_per_tok": 4}, (0.0, 1.0)),
}  # fmt: skip
TOKENS = 200


def draw(name):
    """Logits, bias and config of a case."""
    model_type, changes, spread = CASES[name]
    config = small(model_type, **changes)
    random = torch.Generator().manual_seed(7)
    logits = torch.randn(TOKENS, config.n_routed_experts, generator=random) * 2
    if spread is None:
        return logits, None, config
    return logits, torch.randn(config.n_routed_experts, generator=random) * spread[1] + spread[0], config


def maps(routed):
    """{expert: weight} a token: the order among the chosen means nothing."""
    return [dict(zip(i.tolist(), w.tolist(), strict=True)) for i, w in zip(routed.ids, routed.weights, strict=True)]


def agree(ours, reference) -> bool:
    """Same experts for every token, weights alike."""
    return all(
        mine.keys() == row["weights"].keys()
        and all(mine[e] == pytest.approx(row["weights"][e], rel=1e-5, abs=1e-7) for e in mine)
        for mine, row in zip(ours, reference, strict=True)
    )


@pytest.mark.parametrize("name", CASES)
def test_experts_and_weights_are_those_of_the_equations(name):
    logits, bias, config = draw(name)
    routed = route(logits, bias, config)
    assert routed.ids.dtype == torch.int64
    assert routed.weights.dtype == torch.float32
    assert routed.ids.shape == routed.weights.shape == (TOKENS, config.num_experts_per_tok)
    assert routed.detail is None
    assert agree(maps(routed), reference_gate.route(logits, bias, config))


@pytest.mark.parametrize("name", CASES)
def test_detail_is_what_it_says(name):
    logits, bias, config = draw(name)
    detail = route(logits, bias, config, detail=True).detail
    expected = reference_gate.route(logits, bias, config)
    assert (detail.open_groups.numpy() == [row["open"] for row in expected]).all()
    assert detail.open_groups.dtype == torch.bool
    assert detail.swapped.dtype == torch.uint8
    assert detail.swapped.tolist() == [row["swapped"] for row in expected]
    assert detail.entropy.numpy() == pytest.approx([row["entropy"] for row in expected], abs=1e-5)
    assert detail.margin.numpy() == pytest.approx([row["margin"] for row in expected], abs=1e-5)
    assert detail.entropy.dtype == detail.margin.dtype == torch.float32


@pytest.mark.parametrize("name", CASES)
def test_asking_for_detail_changes_no_bit(name):
    logits, bias, config = draw(name)
    plain, full = route(logits, bias, config), route(logits, bias, config, detail=True)
    assert torch.equal(plain.ids, full.ids)
    assert torch.equal(plain.weights, full.weights)


# The mistakes that others have made, and a case in which each must show.
TRAPS = [
    ("mask of 0", "V3, every biased score negative"),
    ("bias in the weights", "V3"),
    ("bias in the weights", "Moonlight"),
    ("the other group score", "V3"),
    ("the other group score", "V2"),
    ("scaled before normalised", "V3"),
    ("scale divided", "V3"),
    ("scale divided", "V2"),
    ("normalised", "V1"),
    ("normalised", "V2"),
]


@pytest.mark.parametrize(("wrong", "name"), TRAPS)
def test_a_wrong_variant_would_be_noticed(wrong, name):
    logits, bias, config = draw(name)
    assert not agree(maps(route(logits, bias, config)), reference_gate.route(logits, bias, config, wrong))


def test_a_mask_of_0_would_send_nearly_every_token_to_closed_groups():
    logits, bias, config = draw("V3, every biased score negative")
    ours = route(logits, bias, config, detail=True)
    wrong = reference_gate.route(logits, bias, config, "mask of 0")
    differ = sum(mine.keys() != row["weights"].keys() for mine, row in zip(maps(ours), wrong, strict=True))
    assert differ > TOKENS * 0.9
    group = ours.ids // (config.n_routed_experts // config.n_group)
    assert ours.detail.open_groups.gather(1, group).all()


def test_no_group_is_closed_where_all_are_chosen():
    logits, bias, config = draw("Moonlight")
    detail = route(logits, bias, config, detail=True).detail
    assert detail.open_groups.shape == (TOKENS, 1)
    assert detail.open_groups.all()


def test_margin_is_endless_where_nothing_is_left_to_refuse():
    for name in ("all experts", "groups of two, each of which is taken whole"):
        logits, bias, config = draw(name)
        assert (route(logits, bias, config, detail=True).detail.margin == math.inf).all()


def test_no_bias_swaps_nothing_and_a_strong_one_swaps_all():
    logits, bias, config = draw("Moonlight")
    assert route(logits, torch.zeros_like(bias), config, detail=True).detail.swapped.sum() == 0
    push = torch.where(torch.arange(len(bias)) < 6, 2.0, 0.0)  # beyond any sigmoid
    low = torch.where(torch.arange(len(bias)) < 6, -5.0, 5.0).expand(3, -1)
    assert route(low, push, config, detail=True).detail.swapped.tolist() == [6, 6, 6]


def test_scores_that_underflow_still_give_numbers():
    logits = torch.full((2, 16), -200.0)
    for model_type in ("deepseek_v2", "deepseek_v3"):
        config = small(model_type)
        bias = torch.zeros(16) if config.has_correction_bias else None
        routed = route(logits, bias, config)
        assert torch.isfinite(routed.weights).all()


def test_one_token_and_none():
    logits, bias, config = draw("V3")
    assert torch.equal(route(logits[:1], bias, config).ids, route(logits, bias, config).ids[:1])
    assert route(logits[:0], bias, config, detail=True).ids.shape == (0, 8)


def test_weights_of_v3_add_up_to_the_scale():
    logits, bias, config = draw("V3")
    assert route(logits, bias, config).weights.sum(-1).numpy() == pytest.approx(np.full(TOKENS, 2.5), rel=1e-5)
