"""A random DeepSeek-V3 checkpoint that loads in a moment: bytes as tokens, DeepSeek's special tokens and chat template."""

import json

CONFIG = {
    "model_type": "deepseek_v3", "architectures": ["DeepseekV3ForCausalLM"], "vocab_size": 262, "hidden_size": 32, "intermediate_size": 48,
    "moe_intermediate_size": 16, "num_hidden_layers": 3, "num_attention_heads": 2, "num_key_value_heads": 2, "n_routed_experts": 8,
    "n_shared_experts": 1, "num_experts_per_tok": 2, "n_group": 2, "topk_group": 1, "first_k_dense_replace": 1, "q_lora_rank": None,
    "kv_lora_rank": 16, "qk_nope_head_dim": 8, "qk_rope_head_dim": 8, "v_head_dim": 8, "max_position_embeddings": 256, "rms_norm_eps": 1e-6,
    "rope_theta": 10000.0, "eos_token_id": 1, "bos_token_id": 0, "scoring_func": "sigmoid", "topk_method": "noaux_tc",
    "routed_scaling_factor": 1.0, "norm_topk_prob": True,
}  # fmt: skip
CARD = """---
license: apache-2.0
---
# A random model

It says nothing that anyone could use.

## What it cannot do

Anything.

| a | table |
"""
EXAMPLES = [{"family": "sums", "prompt": "What is 1 + 2?", "note": "a sum"}]


def make(folder, *, seed=0, eos_bias=0.0):
    """Write the checkpoint. Raise `eos_bias` and samples end sooner."""
    import torch
    from safetensors.torch import save_file
    from tokenizers import Tokenizer, decoders, pre_tokenizers
    from tokenizers.models import BPE

    from inference.config import DeepseekConfig
    from inference.shapes import expected_shapes
    from workers.trainers.text import SPECIAL, save_tokenizer

    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps(CONFIG))
    draw = torch.Generator().manual_seed(seed)
    weights = {}
    for name, shape in expected_shapes(DeepseekConfig.from_hf(CONFIG)).items():
        weights[name] = torch.ones(shape) if "norm" in name else torch.randn(shape, generator=draw) * 0.3
    weights["lm_head.weight"][1] += eos_bias
    save_file(weights, folder / "model.safetensors")
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokenizer = Tokenizer(BPE(vocab={c: i + len(SPECIAL) for i, c in enumerate(alphabet)}, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    state = json.loads(tokenizer.to_str())
    state["model"]["vocab"] |= {token: i for i, token in enumerate(SPECIAL)}
    state["added_tokens"] = [
        {
            "id": i,
            "content": token,
            "single_word": False,
            "lstrip": False,
            "rstrip": False,
            "normalized": False,
            "special": i < 2,
        }
        for i, token in enumerate(SPECIAL)
    ]
    save_tokenizer(Tokenizer.from_str(json.dumps(state)), folder, CONFIG["max_position_embeddings"])
    (folder / "README.md").write_text(CARD)
    (folder / "examples.json").write_text(json.dumps(EXAMPLES))
    return folder
