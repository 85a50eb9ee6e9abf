"""What is read of config.json, and what is refused."""

import json
import math

import pytest

from inference.config import DeepseekConfig

V3 = {
    "model_type": "deepseek_v3", "vocab_size": 129280, "hidden_size": 7168, "intermediate_size": 18432, "moe_intermediate_size": 2048,
    "num_hidden_layers": 61, "num_attention_heads": 128, "n_routed_experts": 256, "n_shared_experts": 1, "num_experts_per_tok": 8,
    "n_group": 8, "topk_group": 4, "first_k_dense_replace": 3, "q_lora_rank": 1536, "kv_lora_rank": 512, "qk_nope_head_dim": 128,
    "qk_rope_head_dim": 64, "v_head_dim": 128, "rms_norm_eps": 1e-6, "max_position_embeddings": 163840, "routed_scaling_factor": 2.5,
    "rope_theta": 10000, "eos_token_id": 1,
    "rope_scaling": {
        "type": "yarn", "factor": 40, "original_max_position_embeddings": 4096, "beta_fast": 32, "beta_slow": 1, "mscale": 1.0, "mscale_all_dim": 1.0,
    },
}  # fmt: skip


def test_softmax_scale_of_v3_has_yarns_mscale_squared():
    assert DeepseekConfig.from_hf(V3).softmax_scale == pytest.approx(1.8739 / math.sqrt(192), rel=1e-4)


def test_softmax_scale_of_v2_follows_its_own_mscale():
    scaling = {**V3["rope_scaling"], "mscale": 0.707, "mscale_all_dim": 0.707}
    config = DeepseekConfig.from_hf({**V3, "rope_scaling": scaling})
    assert config.softmax_scale == pytest.approx(1.5896 / math.sqrt(192), rel=1e-4)
    assert config.yarn.rotary_mscale() == 1


def test_router_layers_begin_after_the_dense_ones():
    assert DeepseekConfig.from_hf(V3).router_layers == tuple(range(3, 61))


@pytest.mark.parametrize(("eos", "ids"), [(1, (1,)), ([1, 7], (1, 7)), (None, ())])
def test_eos_is_one_or_many_or_none(eos, ids):
    assert DeepseekConfig.from_hf({**V3, "eos_token_id": eos}).eos_token_ids == ids


def test_eos_of_the_generation_config_comes_first(tmp_path):
    (tmp_path / "config.json").write_text(json.dumps(V3))
    (tmp_path / "generation_config.json").write_text(json.dumps({"eos_token_id": [1, 9], "vocab_size": 3}))
    config = DeepseekConfig.from_path(tmp_path)
    assert config.eos_token_ids == (1, 9)
    assert config.vocab_size == 129280


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"hidden_size": 0}, "hidden_size must be a whole number of at least 1, got 0"),
        ({"hidden_size": "7168"}, "hidden_size"),
        ({"hidden_size": 2**31}, "hidden_size must be at most"),
        ({"num_hidden_layers": 10**12}, "num_hidden_layers must be at most 1000"),
        ({"n_routed_experts": 2**20}, "n_routed_experts must be at most 4096"),
        ({"kv_lora_rank": 51.2}, "kv_lora_rank"),
        ({"num_hidden_layers": True}, "num_hidden_layers"),
        ({"q_lora_rank": -1}, "q_lora_rank"),
        ({"qk_rope_head_dim": 63}, "must be even"),
        ({"topk_group": 9}, "topk_group must lie in 1..8"),
        ({"n_group": 256, "topk_group": 256}, "at least two"),
        ({"rope_theta": -1}, "rope_theta must be a positive number"),
        ({"rms_norm_eps": "small"}, "rms_norm_eps"),
        ({"eos_token_id": ["end"]}, "eos_token_id"),
        ({"rope_scaling": "yarn"}, "must be an object or null"),
        ({"rope_scaling": {"type": "yarn", "factor": 40}}, "lacks original_max_position_embeddings"),
        ({"rope_scaling": {"type": "yarn", "factor": "x", "original_max_position_embeddings": 1}}, "factor"),
    ],
)
def test_nonsense_is_refused_by_name(changes, words):
    with pytest.raises(ValueError, match=words):
        DeepseekConfig.from_hf({**V3, **changes})


def test_missing_fields_are_named_together():
    values = {k: v for k, v in V3.items() if k not in ("kv_lora_rank", "vocab_size")}
    with pytest.raises(ValueError, match="lacks vocab_size, kv_lora_rank"):
        DeepseekConfig.from_hf(values)


@pytest.mark.parametrize("text", ["{", "[1]", "\xff"])
def test_a_broken_file_is_named(tmp_path, text):
    (tmp_path / "config.json").write_bytes(text.encode("latin-1"))
    with pytest.raises(ValueError, match=r"config\.json"):
        DeepseekConfig.from_path(tmp_path)
