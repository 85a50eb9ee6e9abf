"""What each generation's config.json means, what it may leave out, and what is refused because nobody would agree on it."""

import contextlib
import json

import pytest

from inference.config import DeepseekConfig, Llama3, Yarn
from tests.inference.configs import LLAMA3, SMALL, YARN, small

MLA = ("deepseek_v2", "deepseek_v3")
PLAIN = ("llama", "qwen2", "deepseek")


@pytest.mark.parametrize("model_type", SMALL)
def test_each_generation_is_read_as_its_authors_run_it(model_type):
    c = small(model_type)
    assert c.is_mla == (model_type in MLA)
    assert c.rope_interleave == (model_type in MLA)
    assert c.attention_bias == (model_type == "qwen2")
    assert c.scoring_func == ("sigmoid" if model_type == "deepseek_v3" else "softmax")
    assert c.has_correction_bias == (model_type == "deepseek_v3")
    assert c.norm_topk_prob == (model_type == "deepseek_v3")
    assert c.router_layers == ((1, 2) if "deepseek" in model_type else ())
    assert c.latent_norm_eps == 1e-6
    assert c.fp8_block is None


@pytest.mark.parametrize("model_type", PLAIN)
def test_plain_attention_caches_keys_and_values(model_type):
    c = small(model_type, num_key_value_heads=2)
    assert (c.num_key_value_heads, c.head_dim, c.rope_dim, c.cache_width) == (2, 12, 12, 48)
    assert c.softmax_scale == pytest.approx(12**-0.5)
    assert small(model_type, num_key_value_heads=...).num_key_value_heads == 4
    assert small(model_type, num_key_value_heads=2, head_dim=16).cache_width == 64


@pytest.mark.parametrize("model_type", MLA)
def test_latent_attention_ignores_the_key_value_heads_and_head_dim_that_files_carry(model_type):
    c = small(model_type, num_key_value_heads=3, head_dim=64)
    assert (c.head_dim, c.rope_dim, c.cache_width) == (0, 8, 32)
    assert c.yarn is not None
    assert c.softmax_scale == pytest.approx(20**-0.5 * c.yarn.softmax_mscale())


def test_latent_norms_keep_their_eps_whatever_the_config_says():
    assert small("deepseek_v3", rms_norm_eps=1e-5).latent_norm_eps == 1e-6


def test_rope_scalings():
    assert small("llama", rope_scaling=LLAMA3).rope_scaling == Llama3(8.0, 64, 1.0, 4.0)
    assert small("qwen2", rope_scaling=YARN).rope_scaling == Yarn(8.0, 32)
    assert small("deepseek").rope_scaling is None
    new = small("llama", rope_parameters={**LLAMA3, "rope_theta": 5e5})  # as transformers 5 writes it
    assert (new.rope_theta, new.rope_scaling) == (5e5, Llama3(8.0, 64, 1.0, 4.0))
    assert small("llama").rope_theta == 10_000


def test_every_other_layer_may_have_experts():
    c = small("deepseek", moe_layer_freq=2, num_hidden_layers=6, first_k_dense_replace=1)
    assert c.router_layers == (2, 4)
    assert c.has_router(6)
    assert not c.has_router(7)


@pytest.mark.parametrize("model_type", ["deepseek", "deepseek_v2", "deepseek_v3"])
def test_a_model_without_experts_is_dense(model_type):
    c = small(model_type, n_routed_experts=None, num_experts_per_tok=None, moe_intermediate_size=...)
    assert (c.n_routed_experts, c.router_layers, c.has_correction_bias) == (0, (), False)


def test_fp8_blocks_are_read():
    quantization = {
        "activation_scheme": "dynamic",
        "fmt": "e4m3",
        "quant_method": "fp8",
        "weight_block_size": [128, 128],
    }
    assert small("deepseek_v3", quantization_config=quantization).fp8_block == (128, 128)


LLAMA_ROPE = {key: value for key, value in LLAMA3.items() if key != "high_freq_factor"}
REFUSED = [
    (None, {"model_type": "gpt2"}, "model_type 'gpt2' is not supported; this engine runs deepseek, deepseek_v2"),
    (None, {"hidden_act": "gelu"}, "hidden_act = 'gelu' is not supported"),
    (None, {"rope_scaling": {"type": "longrope"}}, "rope scaling 'longrope' is not supported"),
    (None, {"rope_scaling": {"rope_type": "yarn", "type": "linear"}}, "'yarn' by rope_type and 'linear' by type"),
    (None, {"rope_scaling": {"rope_type": "default", "mrope_section": [1, 2]}}, "mrope_section is not understood"),
    (None, {"rope_theta": 1e4, "rope_parameters": {"rope_theta": 5e5}}, "rope_theta is 10000.0, but 500000.0 inside"),
    (None, {"quantization_config": {"quant_method": "awq"}}, "quantised checkpoints are only supported as fp8"),
    (None, {"quantization_config": {"quant_method": "fp8"}}, "weight_block_size"),
    (None, {"tie_word_embeddings": "yes"}, "tie_word_embeddings must be true or false"),
    ("llama", {"attention_bias": True}, "attention_bias = True is not supported for llama"),
    ("llama", {"mlp_bias": True}, "mlp_bias"),
    ("llama", {"rope_scaling": YARN}, "rope scaling 'yarn' is not supported for this model_type, only llama3"),
    ("llama", {"rope_scaling": LLAMA_ROPE}, "lacks high_freq_factor"),
    ("llama", {"rope_scaling": {**LLAMA3, "high_freq_factor": 1.0}}, "high_freq_factor 1.0 must be above"),
    ("llama", {"num_key_value_heads": 3}, "num_attention_heads 4 is not divisible by num_key_value_heads 3"),
    ("llama", {"num_key_value_heads": 0}, "num_key_value_heads"),
    ("llama", {"num_attention_heads": 5}, "hidden_size 48 is not divisible by num_attention_heads 5"),
    ("llama", {"head_dim": 11}, "head_dim must be even"),
    ("llama", {"kv_lora_rank": 512}, "kv_lora_rank = 512 contradicts model_type 'llama'"),
    ("llama", {"n_routed_experts": 8}, "n_routed_experts = 8 contradicts model_type 'llama'"),
    ("llama", {"rope_interleave": True}, "half-split"),
    ("llama", {"rope_parameters": {"rope_type": "default", "partial_rotary_factor": 0.5}}, "partial_rotary_factor = 0.5"),
    ("qwen2", {"attention_bias": False}, "attention_bias = False is not supported for qwen2"),
    ("qwen2", {"use_sliding_window": True, "sliding_window": 64, "max_window_layers": 1}, "sliding window"),
    ("qwen2", {"layer_types": ["full_attention", "sliding_attention", "full_attention"]}, "sliding window"),
    ("qwen2", {"use_mrope": True}, "use_mrope"),
    ("qwen2", {"rope_scaling": {"type": "mrope", "mrope_section": [1]}}, "rope scaling 'mrope'"),
    ("deepseek", {"topk_method": "noaux_tc"}, "topk_method = 'noaux_tc' is not supported for deepseek, only 'greedy'"),
    ("deepseek", {"routed_scaling_factor": 16.0}, "routed_scaling_factor = 16.0"),
    ("deepseek", {"n_group": 8}, "n_group = 8"),
    ("deepseek", {"scoring_func": "sigmoid"}, "scoring_func"),
    ("deepseek", {"num_nextn_predict_layers": 1}, "contradicts model_type 'deepseek'"),
    ("deepseek", {"num_experts_per_tok": ...}, "lacks num_experts_per_tok"),
    ("deepseek_v2", {"norm_topk_prob": True}, "norm_topk_prob = True is not supported for deepseek_v2"),
    ("deepseek_v2", {"topk_method": "gready"}, "topk_method"),
    ("deepseek_v2", {"topk_method": "greedy"}, "topk_group 2 of n_group 4 contradicts topk_method 'greedy'"),
    ("deepseek_v2", {"n_group": ...}, "'group_limited_greedy' needs n_group and topk_group"),
    ("deepseek_v2", {"rope_interleave": False}, "rope_interleave"),
    ("deepseek_v2", {"rope_scaling": {**YARN, "mscale": 0.707}}, "mscale and mscale_all_dim both or neither"),
    ("deepseek_v2", {"rope_scaling": {**YARN, "truncate": False}}, "truncate = False"),
    ("deepseek_v2", {"rope_scaling": {**YARN, "attention_factor": 1.0}}, "attention_factor = 1.0"),
    ("deepseek_v3", {"attention_bias": True}, "attention_bias"),
    ("deepseek_v3", {"n_group": ...}, "lacks n_group"),
    ("deepseek_v3", {"routed_scaling_factor": ...}, "lacks routed_scaling_factor"),
    ("deepseek_v3", {"norm_topk_prob": 1}, "norm_topk_prob must be true or false"),
    ("deepseek_v3", {"moe_layer_freq": 0}, "moe_layer_freq"),
]  # fmt: skip


@pytest.mark.parametrize(("model_type", "changes", "words"), REFUSED)
def test_what_no_implementation_agrees_on_is_refused_by_name(model_type, changes, words):
    for one in [model_type] if model_type else SMALL:
        with pytest.raises(ValueError, match=words):
            small(one, **changes)


@pytest.mark.parametrize(
    "leftover", [{"sliding_window": 4096, "use_sliding_window": False}, {"use_sliding_window": True, "sliding_window": 64, "max_window_layers": 3}]
)  # fmt: skip
def test_a_window_that_no_layer_uses_is_no_window(leftover):
    assert small("qwen2", **leftover) == small("qwen2")


def test_an_unread_field_changes_nothing():
    inert = {
        "aux_loss_alpha": 0.001,
        "seq_aux": True,
        "ep_size": 1,
        "pretraining_tp": 2,
        "use_cache": False,
        "torch_dtype": "bfloat16",
    }
    assert small("deepseek_v3", **inert) == small("deepseek_v3")


@pytest.mark.parametrize("model_type", SMALL)
def test_null_is_as_good_as_absent_where_a_generation_has_one_way(model_type):
    assert small(model_type, hidden_act=None, attention_bias=None, scoring_func=None) == small(model_type)


@pytest.mark.parametrize("model_type", SMALL)
def test_an_absent_field_is_named_and_the_whole_list_given(model_type):
    with pytest.raises(ValueError, match="lacks vocab_size, hidden_size"):
        small(model_type, vocab_size=..., hidden_size=...)


@pytest.mark.parametrize("model_type", SMALL)
def test_a_config_that_transformers_saved_is_the_same(model_type, tmp_path):
    """transformers 5 renames and moves fields when it saves; the meaning stays."""
    if model_type == "deepseek":
        values = {**SMALL["deepseek"], "scoring_func": "softmax", "n_group": None, "topk_group": None}
    else:
        from transformers import AutoConfig

        given = {name: value for name, value in SMALL[model_type].items() if name != "model_type"}
        AutoConfig.for_model(model_type, **given).save_pretrained(tmp_path)
        values = json.loads((tmp_path / "config.json").read_text())
    assert DeepseekConfig.from_hf(values) == small(model_type)


ODD = [
    None,
    True,
    -1,
    0,
    1.5,
    10**30,
    float("nan"),
    float("inf"),
    "x",
    "",
    [],
    [1],
    ["x"],
    {},
    {"type": "yarn"},
    {"a": []},
]
FIELDS = sorted({*DeepseekConfig.__slots__, *(name for values in SMALL.values() for name in values)} | {
    "eos_token_id", "quantization_config", "rope_scaling", "rope_parameters", "layer_types", "sliding_window", "max_window_layers",
    "use_sliding_window", "hidden_act", "mlp_bias", "use_mrope",
})  # fmt: skip


def read_or_refused(model_type, /, **changes) -> None:
    """Reading ends well or in words: any other exception fails the test."""
    with contextlib.suppress(ValueError):
        small(model_type, **changes)


@pytest.mark.parametrize("model_type", SMALL)
def test_no_odd_value_of_any_field_ends_in_anything_but_words(model_type):
    for name in FIELDS:
        for value in ODD:
            read_or_refused(model_type, **{name: value})
            read_or_refused(model_type, **{"use_sliding_window": True, "sliding_window": 8, name: value})


INSIDE = {
    "rope_scaling": (YARN, LLAMA3, [*YARN, *LLAMA3, "mscale", "mscale_all_dim", "truncate", "rope_theta"]),
    "quantization_config": ({"quant_method": "fp8", "weight_block_size": [128, 128]}, {}, ["quant_method", "weight_block_size", "fmt"]),
}  # fmt: skip


@pytest.mark.parametrize("model_type", SMALL)
@pytest.mark.parametrize("name", INSIDE)
def test_no_odd_value_inside_a_field_ends_in_anything_but_words(model_type, name):
    *bases, keys = INSIDE[name]
    for base in bases:
        for key in keys:
            for value in ODD:
                read_or_refused(model_type, **{name: {**base, key: value}})
