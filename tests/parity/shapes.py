"""The small shapes that engine and references are compared in, and what each is there for."""

from typing import Any

_COMMON = {
    "vocab_size": 97, "hidden_size": 48, "intermediate_size": 80, "num_hidden_layers": 3, "num_attention_heads": 4, "num_key_value_heads": 4,
    "max_position_embeddings": 512, "rms_norm_eps": 1e-6, "bos_token_id": 0, "eos_token_id": 1, "tie_word_embeddings": False,
    "initializer_range": 0.2,
}  # fmt: skip
_LATENT = {"q_lora_rank": 20, "kv_lora_rank": 24, "qk_nope_head_dim": 12, "qk_rope_head_dim": 8, "v_head_dim": 10}
_EXPERTS = {"moe_intermediate_size": 24, "n_routed_experts": 16, "num_experts_per_tok": 3, "first_k_dense_replace": 1}

BASES: dict[str, dict[str, Any]] = {
    "llama": _COMMON,
    "qwen2": _COMMON,
    "deepseek": {**_COMMON, **_EXPERTS, "n_shared_experts": 2, "model_type": "deepseek"},
    "deepseek_v2": {
        **_COMMON, **_LATENT, **_EXPERTS, "n_shared_experts": 2, "topk_method": "group_limited_greedy", "n_group": 4, "topk_group": 2,
        "norm_topk_prob": False, "routed_scaling_factor": 16.0,
    },
    "deepseek_v3": {
        **_COMMON, **_LATENT, **_EXPERTS, "n_shared_experts": 1, "n_group": 4, "topk_group": 2, "norm_topk_prob": True,
        "routed_scaling_factor": 2.5,
    },
}  # fmt: skip


def rope(kind: str = "default", theta: float = 10_000.0, **more: float) -> dict[str, Any]:
    """As transformers 5 writes it; the scalings begin at 32 positions, so a text of 90 is far past them."""
    scalings = {
        "default": {},
        "yarn": {
            "type": "yarn",
            "factor": 8.0,
            "original_max_position_embeddings": 32,
            "beta_fast": 32,
            "beta_slow": 1,
        },
        "llama3": {
            "factor": 8.0,
            "low_freq_factor": 1.0,
            "high_freq_factor": 4.0,
            "original_max_position_embeddings": 32,
        },
    }
    return {"rope_parameters": {"rope_type": kind, "rope_theta": theta, **scalings[kind], **more}}


_EVEN = {"mscale": 1.0, "mscale_all_dim": 1.0}
_V2_SCALE = {"mscale": 0.707, "mscale_all_dim": 0.707}
SHAPES: dict[str, dict[str, dict[str, Any]]] = {
    "llama": {
        "LLM 7B: every head its own keys": {},
        "LLM 67B: shared keys": {"num_key_value_heads": 2},
        "one key for all": {"num_key_value_heads": 1, "head_dim": 16},
        "R1-Distill-Llama": {"num_key_value_heads": 2, "rms_norm_eps": 1e-5, **rope("llama3", 500_000.0)},
        "llama3 scaling, fast waves": {**rope("llama3", 100.0), "tie_word_embeddings": True},
    },
    "qwen2": {
        "R1-Distill-Qwen 1.5B": {"num_key_value_heads": 2},
        "R1-Distill-Qwen 14B": {"num_key_value_heads": 1, "rms_norm_eps": 1e-5, **rope(theta=1_000_000.0)},
        "yarn without mscales": {"num_key_value_heads": 2, **rope("yarn")},
        "tied embeddings": {"tie_word_embeddings": True},
    },
    "deepseek": {
        "MoE-16B": {},
        "shared keys, normalised": {"num_key_value_heads": 2, "norm_topk_prob": True},
        "experts in every other layer": {"moe_layer_freq": 2, "num_hidden_layers": 5, "rms_norm_eps": 1e-5, "num_experts_per_tok": 6},
        "no shared expert, all from the first layer": {"n_shared_experts": None, "first_k_dense_replace": 0},
    },
    "deepseek_v2": {
        "V2: groups, times 16": rope("yarn", **_V2_SCALE),
        "V2.5": rope("yarn", **_EVEN),
        "V2-Lite: greedy, no query latent": {
            "topk_method": "greedy", "n_group": 1, "topk_group": 1, "routed_scaling_factor": 1.0, "q_lora_rank": None,
            **rope("yarn", **_V2_SCALE),
        },
        "groups of five": {"n_routed_experts": 15, "n_group": 3, "num_experts_per_tok": 7},
        "groups of one": {"n_routed_experts": 7, "n_group": 7, "topk_group": 5, "num_experts_per_tok": 4, "rms_norm_eps": 1e-5},
        "unequal mscales": rope("yarn", mscale=1.0, mscale_all_dim=0.5),
    },
    "deepseek_v3": {
        "groups": {},
        "no query latent": {"q_lora_rank": None, "n_group": 1, "topk_group": 1},
        "two experts a group": {"n_group": 8, "topk_group": 3, "num_experts_per_tok": 6},
        "groups of five": {"n_routed_experts": 15, "n_group": 3, "num_experts_per_tok": 7},
        "weights not normalised": {"norm_topk_prob": False, "n_shared_experts": 2},
        "half-split rope": {"rope_interleave": False},
        "yarn past its original context": rope("yarn", **_EVEN),
        "yarn with V2's mscale": rope("yarn", **_V2_SCALE),
        "tied embeddings": {"tie_word_embeddings": True, "first_k_dense_replace": 0},
        "Moonlight": {
            "rms_norm_eps": 1e-5, "routed_scaling_factor": 2.446, "q_lora_rank": None, "n_group": 1, "topk_group": 1, "n_shared_experts": 2,
            "num_experts_per_tok": 6, **rope(theta=50_000.0),
        },
    },
}  # fmt: skip
