"""Random small models of every kind of attention and feed-forward, straight from a config: no file between."""

import torch

from inference.config import DeepseekConfig
from inference.decoder import Decoder
from inference.mtp import MTP
from inference.shapes import expected_shapes, mtp_shapes

COMMON = {
    "vocab_size": 61, "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 3, "num_attention_heads": 4,
    "num_key_value_heads": 4, "rms_norm_eps": 1e-6, "max_position_embeddings": 4096, "hidden_act": "silu", "eos_token_id": 1,
    "tie_word_embeddings": False,
}  # fmt: skip
LATENT = {"kv_lora_rank": 24, "q_lora_rank": None, "qk_nope_head_dim": 8, "qk_rope_head_dim": 8, "v_head_dim": 12}
EXPERTS = {
    "moe_intermediate_size": 16, "n_routed_experts": 12, "n_shared_experts": 2, "num_experts_per_tok": 3,
    "first_k_dense_replace": 1, "moe_layer_freq": 1,
}  # fmt: skip
V3 = {
    **LATENT, **EXPERTS, "model_type": "deepseek_v3", "scoring_func": "sigmoid", "topk_method": "noaux_tc", "n_group": 3,
    "topk_group": 2, "norm_topk_prob": True, "routed_scaling_factor": 2.5,
}  # fmt: skip
KINDS = {
    "v3": V3,
    "v3 with a query latent and mtp": {**V3, "q_lora_rank": 20, "num_nextn_predict_layers": 1},
    "v2": {
        **LATENT, **EXPERTS, "model_type": "deepseek_v2", "scoring_func": "softmax", "topk_method": "group_limited_greedy",
        "n_group": 3, "topk_group": 2, "norm_topk_prob": False, "routed_scaling_factor": 16.0,
    },
    "moe 16b": {**EXPERTS, "model_type": "deepseek", "scoring_func": "softmax", "norm_topk_prob": False},
    "llama": {"model_type": "llama", "num_key_value_heads": 2},
    "qwen2": {"model_type": "qwen2", "num_key_value_heads": 1, "tie_word_embeddings": True},
}  # fmt: skip


def config(kind: str, **changes) -> DeepseekConfig:
    """The config of one of `KINDS`."""
    return DeepseekConfig.from_hf({**COMMON, **KINDS[kind], **changes})


def tensors(c: DeepseekConfig, seed: int = 0) -> dict[str, torch.Tensor]:
    """Random weights of that config, MTP included: gains near 1, all else N(0, 0.3), correction biases too."""
    generator = torch.Generator().manual_seed(seed)
    made = {}
    for name, shape in (expected_shapes(c) | mtp_shapes(c)).items():
        value = torch.randn(shape, generator=generator) * 0.3
        made[name] = value + 1 if "norm" in name else value
    return made


def decoder(c: DeepseekConfig, *, dtype: torch.dtype = torch.float32, kernels: bool = False, seed: int = 0) -> Decoder:
    """A random model."""
    return with_mtp(c, dtype=dtype, kernels=kernels, seed=seed)[0]


def with_mtp(
    c: DeepseekConfig, *, dtype: torch.dtype = torch.float32, kernels: bool = False, seed: int = 0
) -> tuple[Decoder, MTP | None]:
    """A random model and its MTP layer, if the config has one."""
    made = tensors(c, seed)

    def weights(name: str) -> torch.Tensor:
        return made[name] if ".mlp.gate." in name else made[name].to(dtype)

    main = Decoder(c, weights, dtype, kernels=kernels)
    return main, MTP(main, weights, dtype, kernels=kernels) if c.num_nextn_predict_layers else None
