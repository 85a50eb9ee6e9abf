"""Random small DeepSeek-V3 checkpoints made by transformers, so that ours reads what the reference wrote."""

import json
from pathlib import Path

import torch
from transformers import DeepseekV3Config, DeepseekV3ForCausalLM
from transformers.utils import logging

logging.set_verbosity_error()
logging.disable_progress_bar()

BASE = {
    "vocab_size": 97, "hidden_size": 48, "intermediate_size": 80, "moe_intermediate_size": 24, "num_hidden_layers": 3,
    "num_attention_heads": 4, "num_key_value_heads": 4, "n_routed_experts": 16, "n_shared_experts": 1, "num_experts_per_tok": 3, "n_group": 4,
    "topk_group": 2, "first_k_dense_replace": 1, "norm_topk_prob": True, "routed_scaling_factor": 2.5, "q_lora_rank": 20, "kv_lora_rank": 24,
    "qk_nope_head_dim": 12, "qk_rope_head_dim": 8, "v_head_dim": 10, "max_position_embeddings": 512, "rms_norm_eps": 1e-6, "bos_token_id": 0,
    "eos_token_id": 1, "tie_word_embeddings": False, "initializer_range": 0.2,
}  # fmt: skip
YARN = {
    "rope_type": "yarn",
    "type": "yarn",
    "factor": 8.0,
    "original_max_position_embeddings": 32,
    "beta_fast": 32,
    "beta_slow": 1,
}

# What each shape is there for.
SHAPES = {
    "groups": {},
    "no query latent": {"q_lora_rank": None, "n_group": 1, "topk_group": 1},
    "two experts a group": {"n_group": 8, "topk_group": 3, "num_experts_per_tok": 6},
    "weights not normalised": {"norm_topk_prob": False, "n_shared_experts": 2},
    "half-split rope": {"rope_interleave": False},
    "yarn past its original context": {
        "rope_parameters": {**YARN, "rope_theta": 10000.0, "mscale": 1.0, "mscale_all_dim": 1.0}
    },
    "yarn with V2's mscale": {
        "rope_parameters": {**YARN, "rope_theta": 10000.0, "mscale": 0.707, "mscale_all_dim": 0.707}
    },
    "tied embeddings": {"tie_word_embeddings": True, "first_k_dense_replace": 0},
    "eps of Moonlight": {"rms_norm_eps": 1e-5, "rope_parameters": {"rope_type": "default", "rope_theta": 50000.0}},
}


def make(folder: Path, changes: dict, seed: int, *, bias: float = 0.5) -> DeepseekV3ForCausalLM:
    """Save a random checkpoint whose correction bias is N(0, bias), negative values included; returns the reference model."""
    torch.manual_seed(seed)
    config = DeepseekV3Config(**{**BASE, **changes})
    config._attn_implementation = "eager"
    model = DeepseekV3ForCausalLM(config).eval()
    for name, buffer in model.named_buffers():
        if name.endswith("e_score_correction_bias"):
            buffer.copy_(torch.randn_like(buffer) * bias)
    model.save_pretrained(folder)
    (folder / "generation_config.json").write_text(json.dumps({"eos_token_id": 1}))
    return model


@torch.no_grad()
def reference(model: DeepseekV3ForCausalLM, ids: list[int]) -> tuple[torch.Tensor, list[torch.Tensor]]:
    """The reference's logits [S, V] and, a router layer, the dense weights [S, E] with which it mixed experts (0: not chosen)."""
    mixes = []

    def hook(module, arguments, keywords, output):
        index, weights = [a for a in (*arguments, *keywords.values()) if torch.is_tensor(a)][1:3]
        mixes.append(torch.zeros(len(index), model.config.n_routed_experts).scatter(1, index, weights.float()))

    handles = [
        layer.mlp.experts.register_forward_hook(hook, with_kwargs=True)
        for layer in model.model.layers
        if hasattr(layer.mlp, "experts")
    ]
    logits = model(torch.tensor([ids])).logits[0]
    for handle in handles:
        handle.remove()
    return logits, mixes
