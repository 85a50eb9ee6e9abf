"""Checkpoints to measure on: a random toy with DeepSeek-V3's real latent widths, and copies of a checkpoint whose context is longer.

The toy is made by transformers, so that both sides read what the reference wrote. Its weights are random: speed does not need sense, and
the greedy text of a batch still sends its tokens to many experts. Speculation needs sense; only the bundled checkpoint is measured there. As in V3,
keys and values of all heads (8 x 128 numbers) are more than the latents that stand for them (576), if not 71 times more.
"""

import json
from pathlib import Path

import torch
from transformers import DeepseekV3Config, DeepseekV3ForCausalLM
from transformers.utils import logging

V3_LATENTS = {
    "vocab_size": 512, "hidden_size": 192, "intermediate_size": 256, "moe_intermediate_size": 96, "num_hidden_layers": 4,
    "num_attention_heads": 8, "num_key_value_heads": 8, "n_routed_experts": 8, "n_shared_experts": 1, "num_experts_per_tok": 2,
    "n_group": 4, "topk_group": 2, "first_k_dense_replace": 1, "norm_topk_prob": True, "routed_scaling_factor": 2.5,
    "q_lora_rank": 64, "kv_lora_rank": 512, "qk_nope_head_dim": 32, "qk_rope_head_dim": 64, "v_head_dim": 32,
    "max_position_embeddings": 65_536, "rms_norm_eps": 1e-6, "bos_token_id": 0, "eos_token_id": 1, "tie_word_embeddings": False,
    "initializer_range": 0.05, "num_nextn_predict_layers": 0,
}  # fmt: skip
SMALL = {  # changes for the benchmark's own test: every part, in seconds
    "vocab_size": 64, "hidden_size": 32, "intermediate_size": 64, "moe_intermediate_size": 32, "num_hidden_layers": 2,
    "q_lora_rank": 16, "kv_lora_rank": 32, "qk_nope_head_dim": 16, "qk_rope_head_dim": 16, "v_head_dim": 16,
}  # fmt: skip


def make(folder: Path, changes: dict | None = None, seed: int = 0) -> Path:
    """Save the toy (3.8 million parameters, float32) in `folder`, with some correction bias; `changes` are config fields. Returns `folder`."""
    logging.disable_progress_bar()
    torch.manual_seed(seed)
    model = DeepseekV3ForCausalLM(DeepseekV3Config(**{**V3_LATENTS, **(changes or {})})).eval()
    for name, buffer in model.named_buffers():
        if name.endswith("e_score_correction_bias"):
            buffer.copy_(torch.randn_like(buffer) * 0.1)
    model.save_pretrained(folder)
    # transformers leaves out what it has only one way to do; official configs say it, and other engines read it
    said = {"topk_method": "noaux_tc", "scoring_func": "sigmoid", "moe_layer_freq": 1}
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, **said}))
    return folder


def with_context(checkpoint: Path, folder: Path, context: int) -> Path:
    """`checkpoint` itself if its context reaches `context`, else a copy in `folder` (weights linked) whose config allows it.

    Without RoPE scaling the field is a promise, not a part of the mathematics: nothing else changes.
    """
    config = json.loads((checkpoint / "config.json").read_text())
    if config["max_position_embeddings"] >= context:
        return checkpoint
    if config.get("rope_scaling"):
        raise ValueError(f"{checkpoint} scales its RoPE; a longer context would change what it computes")
    folder.mkdir(parents=True, exist_ok=True)
    for file in checkpoint.iterdir():
        if file.name != "config.json":
            (folder / file.name).symlink_to(file.resolve())
    (folder / "config.json").write_text(json.dumps({**config, "max_position_embeddings": context}))
    return folder
