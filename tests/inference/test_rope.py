"""Rotary frequencies against transformers' and against hand-worked numbers, and the two orders of pairs."""

import math

import pytest
import torch
from transformers import AutoConfig
from transformers.modeling_rope_utils import ROPE_INIT_FUNCTIONS

from inference.rope import interleaved_heads, inverse_frequencies, rotate, turns
from tests.inference.configs import LLAMA3, SMALL, YARN, small

REAL_LLAMA3 = {**LLAMA3, "original_max_position_embeddings": 8192}
CASES = {
    "YaRN of V3": ("deepseek_v3", {"qk_rope_head_dim": 64, "rope_scaling": {**YARN, "factor": 40, "original_max_position_embeddings": 4096, "mscale": 1.0, "mscale_all_dim": 1.0}}),
    "YaRN of V2": ("deepseek_v2", {"qk_rope_head_dim": 64, "rope_scaling": {**YARN, "factor": 40, "original_max_position_embeddings": 4096, "mscale": 0.707, "mscale_all_dim": 0.707}}),
    "YaRN without mscales": ("qwen2", {"head_dim": 64, "rope_scaling": {**YARN, "factor": 4.0, "original_max_position_embeddings": 32768}, "rope_theta": 1e6}),
    "YaRN, unequal mscales": ("deepseek_v3", {"rope_scaling": {**YARN, "mscale": 1.0, "mscale_all_dim": 0.5}}),
    "Llama 3.1": ("llama", {"head_dim": 128, "rope_theta": 5e5, "rope_scaling": REAL_LLAMA3, "max_position_embeddings": 131072}),
    "Llama 3.1, small": ("llama", {"rope_scaling": LLAMA3}),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_frequencies_are_those_of_transformers(name):
    model_type, changes = CASES[name]
    config = small(model_type, **changes)
    given = {key: value for key, value in {**SMALL[model_type], **changes}.items() if key != "model_type"}
    theirs = AutoConfig.for_model(model_type, **given)
    kind = theirs.rope_parameters["rope_type"]
    frequencies, factor = ROPE_INIT_FUNCTIONS[kind](theirs, torch.device("cpu"))
    assert torch.allclose(inverse_frequencies(config), frequencies, rtol=1e-6, atol=0)
    assert turns(config, 1).abs().numpy() == pytest.approx(factor, rel=1e-6)


def test_the_yarn_of_v3_keeps_the_first_ten_pairs_and_divides_those_from_the_23rd():
    config = small("deepseek_v3", **CASES["YaRN of V3"][1])
    plain = 1e4 ** (-torch.arange(0, 64, 2).double() / 64)
    ratio = inverse_frequencies(config).double() / plain
    assert ratio[:11].numpy() == pytest.approx(1, rel=1e-6)
    assert ratio[23:].numpy() == pytest.approx(1 / 40, rel=1e-6)
    assert (ratio[11:23].diff() < 0).all()


def test_llama3_keeps_short_waves_and_stretches_long_ones():
    config = small("llama", **CASES["Llama 3.1"][1])
    plain = 5e5 ** (-torch.arange(0, 128, 2).double() / 128)
    wave = 2 * math.pi / plain
    ratio = inverse_frequencies(config).double() / plain
    assert ratio[wave < 8192 / 4].numpy() == pytest.approx(1, rel=1e-6)
    assert ratio[wave > 8192].numpy() == pytest.approx(1 / 8, rel=1e-6)
    between = (wave > 8192 / 4) & (wave < 8192)
    assert between.any()
    assert ((ratio[between] > 1 / 8) & (ratio[between] < 1)).all()


@pytest.mark.parametrize("model_type", SMALL)
def test_turns_are_unit_steps_of_the_rotating_width(model_type):
    config = small(model_type)
    turn = turns(config, 600)
    assert turn.shape == (600, config.rope_dim // 2)
    assert turn.dtype == torch.complex64
    assert torch.allclose(turn[0], torch.ones_like(turn[0]))
    assert turn.abs().numpy() == pytest.approx(1, abs=1e-6)
    assert torch.angle(turn[1, 0]).item() == pytest.approx(1.0, rel=1e-5)  # the fastest pair turns one radian a token


def test_scores_depend_on_distance_alone():
    config = small("deepseek_v3")
    turn = turns(config, 100)
    q, k = torch.randn(2, config.rope_dim, generator=torch.Generator().manual_seed(0))
    scores = [torch.dot(rotate(q, turn[a + 5]), rotate(k, turn[a])).item() for a in (0, 30, 90)]
    assert scores == pytest.approx([scores[0]] * 3, abs=1e-4)


def half_split(x, position, frequencies):
    """Llama's own rotation: pair (i, i + d / 2)."""
    angle = torch.cat((position * frequencies,) * 2)
    left, right = x.chunk(2, -1)
    return x * angle.cos() + torch.cat((-right, left), -1) * angle.sin()


def test_half_split_heads_give_the_same_scores_once_their_rows_are_in_order():
    config = small("llama")
    random = torch.Generator().manual_seed(1)
    w_q, w_k = torch.randn(2, 4 * 12, 48, generator=random)
    b_q = torch.randn(48, generator=random)
    x, y = torch.randn(2, 48, generator=random)
    frequencies, turn = inverse_frequencies(config), turns(config, 40)
    expected = [
        torch.dot(half_split(q, 31, frequencies), half_split(k, 7, frequencies))
        for q, k in zip((w_q @ x + b_q).view(4, 12), (w_k @ y).view(4, 12), strict=True)
    ]
    bias = interleaved_heads(b_q[:, None], config)[:, 0]
    q = (interleaved_heads(w_q, config) @ x + bias).view(4, 12)
    k = (interleaved_heads(w_k, config) @ y).view(4, 12)
    ours = (rotate(q, turn[31]) * rotate(k, turn[7])).sum(-1)
    assert ours.numpy() == pytest.approx(torch.stack(expected).numpy(), rel=1e-4, abs=1e-3)


def test_rows_that_do_not_rotate_stay_where_they_are():
    config = small("deepseek_v3", rope_interleave=False)
    rows = torch.arange(2 * 20.0)[:, None]
    ordered = interleaved_heads(rows, config, before=12).view(2, 20)
    assert ordered[:, :12].flatten().tolist() == [*range(12), *range(20, 32)]
    assert ordered[0, 12:].tolist() == [12, 16, 13, 17, 14, 18, 15, 19]


def test_interleaved_checkpoints_are_left_alone():
    rows = torch.arange(40.0)[:, None]
    assert torch.equal(interleaved_heads(rows, small("deepseek_v3"), before=12), rows)
