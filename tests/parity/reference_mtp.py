"""Multi-token prediction, plainly: transformers' V3 for the main model, one more of its decoder layers, and the paper's equations 21 to 25 around it.

transformers drops the extra layer on loading, so it is made here: a model of one layer more is saved, its config then says one layer less. The released weights
lay `eh_proj` out with the embedding first, the reverse of the paper's equation; the hidden state is the one after the final norm.
"""

import json
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import nn

from tests.parity.checkpoints import make, reference
from tests.parity.shapes import BASES


class Reference:
    """A random checkpoint with one MTP layer, saved in `folder`."""

    def __init__(self, folder: Path, changes: dict[str, Any], seed: int) -> None:
        self.layers = changes.get("num_hidden_layers", BASES["deepseek_v3"]["num_hidden_layers"])
        self.model = make(folder, {**changes, "num_hidden_layers": self.layers + 1}, seed)
        size = self.model.config.hidden_size
        self.own = {name: 1 + 0.2 * torch.randn(size) for name in ("enorm", "hnorm", "shared_head.norm")}
        self.own["eh_proj"] = torch.randn(size, 2 * size) * 0.2
        self.layer = self.model.model.layers[self.layers]
        self.model.model.layers = nn.ModuleList(self.model.model.layers[: self.layers])
        file = folder / "model.safetensors"
        extra = {f"model.layers.{self.layers}.{name}.weight": value for name, value in self.own.items()}
        save_file({**load_file(file), **extra}, file, metadata={"format": "pt"})
        config = json.loads((folder / "config.json").read_text())
        config |= {"num_hidden_layers": self.layers, "num_nextn_predict_layers": 1}
        (folder / "config.json").write_text(json.dumps(config))

    def main(self, ids: list[int]) -> tuple[torch.Tensor, list[torch.Tensor]]:
        """Logits [S, V] and mixes of the main model."""
        return reference(self.model, ids)

    @torch.no_grad()
    def drafts(self, ids: list[int], wrong: str = "") -> torch.Tensor:
        """Logits [S - 1, V]: row i guesses token i + 2 from the state at i and token i + 1. `wrong` names a mistake to make."""
        inner = self.model.model
        tokens = torch.tensor([ids])
        hidden = inner(tokens).last_hidden_state[:, :-1]
        if wrong == "state before the final norm":
            hidden = self._before_norm(tokens)[:, :-1]
        following = inner.embed_tokens(tokens[:, :-1] if wrong == "token too early" else tokens[:, 1:])
        parts = [self._norm(following, "enorm"), self._norm(hidden, "hnorm")]
        x = torch.cat(parts[::-1] if wrong == "hidden first" else parts, -1) @ self.own["eh_proj"].T
        count = x.shape[1]
        places = torch.arange(count)[None]
        mask = torch.full((count, count), -torch.inf).triu(1)[None, None]
        turns = inner.rotary_emb(x, position_ids=places)
        x = self.layer(x, attention_mask=mask, position_ids=places, position_embeddings=turns)
        x = x[0] if isinstance(x, tuple) else x
        return self.model.lm_head(self._norm(x, "shared_head.norm"))[0]

    def _norm(self, x: torch.Tensor, name: str) -> torch.Tensor:
        eps = self.model.config.rms_norm_eps
        return x / (x.pow(2).mean(-1, keepdim=True) + eps).sqrt() * self.own[name]

    def _before_norm(self, tokens: torch.Tensor) -> torch.Tensor:
        seen = []
        handle = self.model.model.norm.register_forward_pre_hook(lambda _module, args: seen.append(args[0]))
        self.model.model(tokens)
        handle.remove()
        return seen[0]
