"""Small configs of every generation, as their config.json would say it; what a test changes, it names."""

from typing import Any

from inference.config import DeepseekConfig

COMMON = {
    "vocab_size": 97, "hidden_size": 48, "intermediate_size": 80, "num_hidden_layers": 3, "num_attention_heads": 4, "rms_norm_eps": 1e-6,
    "max_position_embeddings": 512, "eos_token_id": 1,
}  # fmt: skip
LATENT = {"kv_lora_rank": 24, "q_lora_rank": 20, "qk_nope_head_dim": 12, "qk_rope_head_dim": 8, "v_head_dim": 10}
EXPERTS = {
    "n_routed_experts": 16,
    "n_shared_experts": 1,
    "num_experts_per_tok": 3,
    "moe_intermediate_size": 24,
    "first_k_dense_replace": 1,
}
YARN = {"type": "yarn", "factor": 8.0, "original_max_position_embeddings": 32, "beta_fast": 32, "beta_slow": 1}
LLAMA3 = {
    "rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0, "original_max_position_embeddings": 64,
}  # fmt: skip
SMALL: dict[str, dict[str, Any]] = {
    "llama": {"model_type": "llama", **COMMON, "num_key_value_heads": 2},
    "qwen2": {"model_type": "qwen2", **COMMON, "num_key_value_heads": 2},
    "deepseek": {"model_type": "deepseek", **COMMON, **EXPERTS, "n_shared_experts": 2},
    "deepseek_v2": {
        "model_type": "deepseek_v2", **COMMON, **LATENT, **EXPERTS, "topk_method": "group_limited_greedy", "n_group": 4, "topk_group": 2,
        "routed_scaling_factor": 16.0, "rope_scaling": {**YARN, "mscale": 0.707, "mscale_all_dim": 0.707},
    },
    "deepseek_v3": {
        "model_type": "deepseek_v3", **COMMON, **LATENT, **EXPERTS, "n_group": 4, "topk_group": 2, "routed_scaling_factor": 2.5,
        "rope_scaling": {**YARN, "mscale": 1.0, "mscale_all_dim": 1.0}, "num_nextn_predict_layers": 1,
    },
}  # fmt: skip


def small(model_type: str, /, **changes: Any) -> DeepseekConfig:
    """The small config of a generation; a change to `...` (Ellipsis) leaves the field out."""
    values = {**SMALL[model_type], **changes}
    return DeepseekConfig.from_hf({name: value for name, value in values.items() if value is not ...})
