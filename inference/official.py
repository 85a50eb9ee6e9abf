"""The published models by name: what their config.json says, as far as inference reads it, and the context that their authors state.

V2 and V2.5 differ in YaRN's mscale alone; V3, R1 and R1-Zero not at all. `max_position_embeddings` of V2-Lite says 163,840, its authors say 32K.
"""

from typing import Any

from inference.config import DeepseekConfig

K = 1024
_OLD = {"vocab_size": 102_400, "rms_norm_eps": 1e-6, "rope_theta": 10_000.0, "eos_token_id": 100_001}
_LATENT = {"kv_lora_rank": 512, "qk_nope_head_dim": 128, "qk_rope_head_dim": 64, "v_head_dim": 128}
_EXPERTS_64 = {
    "n_routed_experts": 64,
    "n_shared_experts": 2,
    "num_experts_per_tok": 6,
    "moe_intermediate_size": 1408,
    "first_k_dense_replace": 1,
}
_LLAMA3 = {
    "rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0, "original_max_position_embeddings": 8192,
}  # fmt: skip


def _yarn(mscale: float) -> dict[str, Any]:
    return {
        "type": "yarn", "factor": 40, "original_max_position_embeddings": 4096, "beta_fast": 32, "beta_slow": 1,
        "mscale": mscale, "mscale_all_dim": mscale,
    }  # fmt: skip


def _shape(layers: int, hidden: int, heads: int, kv_heads: int, width: int) -> dict[str, Any]:
    return {
        "num_hidden_layers": layers, "hidden_size": hidden, "num_attention_heads": heads, "num_key_value_heads": kv_heads,
        "intermediate_size": width,
    }  # fmt: skip


_LLM = {"model_type": "llama", **_OLD, "max_position_embeddings": 4096}
_V2_ANY = {"model_type": "deepseek_v2", **_OLD, **_LATENT, "max_position_embeddings": 163_840}
_V2 = {
    **_V2_ANY, **_shape(60, 5120, 128, 128, 12_288), "q_lora_rank": 1536, "n_routed_experts": 160, "n_shared_experts": 2,
    "num_experts_per_tok": 6, "moe_intermediate_size": 1536, "first_k_dense_replace": 1, "topk_method": "group_limited_greedy",
    "n_group": 8, "topk_group": 3, "routed_scaling_factor": 16.0,
}  # fmt: skip
_V3 = {
    "model_type": "deepseek_v3", **_OLD, **_LATENT, **_shape(61, 7168, 128, 128, 18_432), "max_position_embeddings": 163_840,
    "vocab_size": 129_280, "eos_token_id": 1, "q_lora_rank": 1536, "n_routed_experts": 256, "n_shared_experts": 1, "num_experts_per_tok": 8,
    "moe_intermediate_size": 2048, "first_k_dense_replace": 3, "n_group": 8, "topk_group": 4, "routed_scaling_factor": 2.5,
    "rope_scaling": _yarn(1.0), "num_nextn_predict_layers": 1,
    "quantization_config": {"quant_method": "fp8", "fmt": "e4m3", "weight_block_size": [128, 128]},
}  # fmt: skip
_LONG = {"max_position_embeddings": 131_072, "rms_norm_eps": 1e-5}
_QWEN_MATH = {"model_type": "qwen2", **_LONG, "rms_norm_eps": 1e-6, "rope_theta": 10_000.0, "eos_token_id": 151_643}
_QWEN = {"model_type": "qwen2", **_LONG, "rope_theta": 1_000_000.0, "vocab_size": 152_064, "eos_token_id": 151_643}
_LLAMA = {
    "model_type": "llama",
    **_LONG,
    "rope_theta": 500_000.0,
    "rope_scaling": _LLAMA3,
    "vocab_size": 128_256,
    "eos_token_id": 128_001,
}

# name: (config.json's values, stated context)
OFFICIAL: dict[str, tuple[dict[str, Any], int]] = {
    "LLM-7B": ({**_LLM, **_shape(30, 4096, 32, 32, 11_008)}, 4 * K),
    "LLM-67B": ({**_LLM, **_shape(95, 8192, 64, 8, 22_016)}, 4 * K),
    "MoE-16B": ({**_LLM, "model_type": "deepseek", **_shape(28, 2048, 16, 16, 10_944), **_EXPERTS_64}, 4 * K),
    "V2-Lite": (
        {
            **_V2_ANY, **_shape(27, 2048, 16, 16, 10_944), **_EXPERTS_64, "q_lora_rank": None, "topk_method": "greedy", "n_group": 1,
            "topk_group": 1, "routed_scaling_factor": 1.0, "rope_scaling": _yarn(0.707),
        },
        32 * K,
    ),
    "V2": ({**_V2, "rope_scaling": _yarn(0.707)}, 128 * K),
    "V2.5": ({**_V2, "rope_scaling": _yarn(1.0)}, 128 * K),
    "V3": (_V3, 128 * K),
    "R1": (_V3, 128 * K),
    "R1-Zero": (_V3, 128 * K),
    "Moonlight": (
        {
            "model_type": "deepseek_v3", **_LATENT, **_shape(27, 2048, 16, 16, 11_264), **_EXPERTS_64, "max_position_embeddings": 8192,
            "vocab_size": 163_840, "eos_token_id": 163_586, "rms_norm_eps": 1e-5, "rope_theta": 50_000.0, "q_lora_rank": None,
            "n_group": 1, "topk_group": 1, "routed_scaling_factor": 2.446,
        },
        8 * K,
    ),
    "R1-Distill-Qwen-1.5B": ({**_QWEN_MATH, **_shape(28, 1536, 12, 2, 8960), "vocab_size": 151_936}, 128 * K),
    "R1-Distill-Qwen-7B": ({**_QWEN_MATH, **_shape(28, 3584, 28, 4, 18_944), "vocab_size": 152_064}, 128 * K),
    "R1-Distill-Qwen-14B": ({**_QWEN, **_shape(48, 5120, 40, 8, 13_824)}, 128 * K),
    "R1-Distill-Qwen-32B": ({**_QWEN, **_shape(64, 5120, 40, 8, 27_648)}, 128 * K),
    "R1-Distill-Llama-8B": ({**_LLAMA, **_shape(32, 4096, 32, 8, 14_336)}, 128 * K),
    "R1-Distill-Llama-70B": ({**_LLAMA, **_shape(80, 8192, 64, 8, 28_672)}, 128 * K),
}  # fmt: skip


def official(name: str) -> tuple[str, DeepseekConfig, int]:
    """A published model's name as its authors write it, config, and stated context in tokens. Case does not matter, nor does a leading
    "DeepSeek-". Raises ValueError listing the names.
    """
    wanted = name.lower().replace("_", "-").removeprefix("deepseek-")
    for known, (values, context) in OFFICIAL.items():
        if wanted == known.lower():
            return known, DeepseekConfig.from_hf(values), context
    raise ValueError(f"{name!r} is no published model that is known here: {', '.join(OFFICIAL)}")
