"""Random small checkpoints made by transformers, so that ours reads what the reference wrote. The reference's answers to a text."""

import json
from pathlib import Path
from typing import Any

import torch
from transformers import AutoConfig, AutoModelForCausalLM, PreTrainedModel
from transformers.utils import logging

from tests.parity.shapes import BASES

logging.set_verbosity_error()
logging.disable_progress_bar()


def make(
    folder: Path,
    changes: dict[str, Any],
    seed: int,
    *,
    family: str = "deepseek_v3",
    bias: float = 0.5,
    shift: float = 0.0,
) -> PreTrainedModel:
    """Save a random checkpoint and return the reference model. Norms have gains of their own; biases, those of q, k and v and the correction bias of the
    router, are N(shift, bias), negative values included.
    """
    torch.manual_seed(seed)
    config = AutoConfig.for_model(family, **{**BASES[family], **changes})
    config._attn_implementation = "eager"
    model = AutoModelForCausalLM.from_config(config).eval()
    with torch.no_grad():
        for name, value in (*model.named_parameters(), *model.named_buffers()):
            if "norm" in name:
                value.copy_(1 + 0.2 * torch.randn_like(value))
            elif name.endswith((".bias", "e_score_correction_bias")):
                value.copy_(shift + bias * torch.randn_like(value))
    save(model, folder)
    return model


def save(model: PreTrainedModel, folder: Path) -> None:
    """Write the reference model as a checkpoint."""
    model.save_pretrained(folder)
    (folder / "generation_config.json").write_text(json.dumps({"eos_token_id": 1}))


@torch.no_grad()
def reference(model: PreTrainedModel, ids: list[int]) -> tuple[torch.Tensor, list[torch.Tensor]]:
    """The reference's logits [S, V] and, a router layer, the dense weights [S, E] with which it mixed experts (0: not chosen)."""
    mixes = []

    def hook(_module, arguments, keywords, _output):
        index, weights = [a for a in (*arguments, *keywords.values()) if torch.is_tensor(a)][1:3]
        mixes.append(torch.zeros(len(index), model.config.n_routed_experts).scatter(1, index, weights.float()))

    handles = [
        layer.mlp.experts.register_forward_hook(hook, with_kwargs=True)
        for layer in model.model.layers
        if hasattr(layer.mlp, "experts")
    ]
    logits = model(torch.tensor([ids])).logits[0].float()
    for handle in handles:
        handle.remove()
    return logits, mixes
