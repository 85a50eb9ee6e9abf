"""Names and shapes of every generation, against what its reference writes and what its authors count."""

import math

import pytest
from safetensors import safe_open

from inference.config import DeepseekConfig
from inference.shapes import expected_shapes, mtp_copies, mtp_shapes
from tests.inference.configs import SMALL, small

# as their config.json has them (deepseek-ai on Hugging Face)
SEVEN_B = {
    "model_type": "llama", "vocab_size": 102400, "hidden_size": 4096, "intermediate_size": 11008, "num_hidden_layers": 30,
    "num_attention_heads": 32, "num_key_value_heads": 32, "rms_norm_eps": 1e-6, "max_position_embeddings": 4096,
}  # fmt: skip
DISTILL_QWEN_7B = {
    "model_type": "qwen2", "vocab_size": 152064, "hidden_size": 3584, "intermediate_size": 18944, "num_hidden_layers": 28,
    "num_attention_heads": 28, "num_key_value_heads": 4, "rms_norm_eps": 1e-6, "max_position_embeddings": 131072,
}  # fmt: skip
V3 = {
    "model_type": "deepseek_v3", "vocab_size": 129280, "hidden_size": 7168, "intermediate_size": 18432, "moe_intermediate_size": 2048,
    "num_hidden_layers": 61, "num_attention_heads": 128, "n_routed_experts": 256, "n_shared_experts": 1, "num_experts_per_tok": 8,
    "n_group": 8, "topk_group": 4, "first_k_dense_replace": 3, "q_lora_rank": 1536, "kv_lora_rank": 512, "qk_nope_head_dim": 128,
    "qk_rope_head_dim": 64, "v_head_dim": 128, "rms_norm_eps": 1e-6, "max_position_embeddings": 163840, "routed_scaling_factor": 2.5,
    "num_nextn_predict_layers": 1,
}  # fmt: skip


def billions(shapes):
    return round(sum(math.prod(shape) for name, shape in shapes.items() if "correction_bias" not in name) / 1e9, 3)


@pytest.mark.parametrize(("values", "count"), [(SEVEN_B, 6.910), (DISTILL_QWEN_7B, 7.616), (V3, 671.026)])
def test_parameters_are_as_many_as_published(values, count):
    assert billions(expected_shapes(DeepseekConfig.from_hf(values))) == count


def test_the_mtp_layer_of_v3_is_a_whole_decoder_layer_and_a_projection():
    config = DeepseekConfig.from_hf(V3)
    shapes = mtp_shapes(config)
    assert billions(shapes) == 11.610
    assert shapes["model.layers.61.eh_proj.weight"] == (7168, 14336)
    assert "model.layers.61.mlp.experts.255.down_proj.weight" in shapes
    assert not shapes.keys() & (expected_shapes(config).keys() | mtp_copies(config).keys())


def test_kv_a_proj_of_v3_has_the_ragged_shape():
    shapes = expected_shapes(DeepseekConfig.from_hf(V3))
    assert shapes["model.layers.0.self_attn.kv_a_proj_with_mqa.weight"] == (576, 7168)


@pytest.mark.parametrize("model_type", ["llama", "qwen2", "deepseek_v2", "deepseek_v3"])
@pytest.mark.parametrize("tied", [True, False])
def test_the_reference_writes_exactly_these(model_type, tied, tmp_path):
    from transformers import AutoConfig, AutoModelForCausalLM

    values = {
        **SMALL[model_type],
        "tie_word_embeddings": tied,
        "num_nextn_predict_layers": 0,
    }  # it drops the MTP layers
    theirs = AutoConfig.for_model(**{name: value for name, value in values.items() if name != "rope_scaling"})
    AutoModelForCausalLM.from_config(theirs).save_pretrained(tmp_path)
    with safe_open(tmp_path / "model.safetensors", framework="np") as file:
        written = {name: tuple(file.get_slice(name).get_shape()) for name in file.keys()}  # noqa: SIM118  # no mapping
    assert written == expected_shapes(DeepseekConfig.from_hf(values))


@pytest.mark.parametrize(
    ("changes", "there", "absent"),
    [
        ({"q_lora_rank": None}, "0.self_attn.q_proj.weight", "0.self_attn.q_a_proj.weight"),
        ({}, "0.self_attn.q_b_proj.weight", "0.self_attn.q_proj.weight"),
        ({"n_shared_experts": 0}, "1.mlp.gate.weight", "1.mlp.shared_experts.up_proj.weight"),
        ({"moe_layer_freq": 2}, "1.mlp.up_proj.weight", "1.mlp.gate.weight"),
        ({"moe_layer_freq": 2}, "2.mlp.gate.weight", "2.mlp.up_proj.weight"),
        ({"first_k_dense_replace": 0}, "0.mlp.gate.e_score_correction_bias", "0.mlp.up_proj.weight"),
    ],
)
def test_config_fields_decide_which_tensors_there_are(changes, there, absent):
    shapes = expected_shapes(small("deepseek_v3", **changes))
    assert f"model.layers.{there}" in shapes
    assert f"model.layers.{absent}" not in shapes


def test_only_a_gate_that_is_balanced_without_loss_has_a_correction_bias():
    assert not any("correction_bias" in name for name in expected_shapes(small("deepseek_v2")))
    assert not any("correction_bias" in name for name in expected_shapes(small("deepseek")))


def test_moe_16b_has_keys_and_values_of_its_own_and_shared_experts_as_one():
    shapes = expected_shapes(small("deepseek"))
    assert shapes["model.layers.1.self_attn.k_proj.weight"] == (48, 48)
    assert shapes["model.layers.1.mlp.shared_experts.down_proj.weight"] == (48, 2 * 24)
    assert not any("self_attn" in name and "bias" in name for name in shapes)


def test_a_model_without_mtp_has_none():
    assert mtp_shapes(small("llama")) == mtp_copies(small("llama")) == {}
