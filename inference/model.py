"""The decoder: embedding, layers, head. Whole prompts (`prefill`) and one token a sequence against a cache (`decode`).

Weights are read once from a checkpoint and only read after; there is no autograd and no global state. Shapes as in attention.py.
"""

from typing import NamedTuple

import torch

from inference.attention import MLA, Layout
from inference.config import DeepseekConfig
from inference.linear import Norm, Weights
from inference.moe import Dense, MoE
from inference.rope import turns


class Routed(NamedTuple):
    """Routing of one pass, a tensor a router layer."""

    ids: list[torch.Tensor]  # int64 [T, K]
    weights: list[torch.Tensor]  # float32 [T, K]


class Layer:
    """Attention and feed-forward, each on the normed residual stream."""

    def __init__(self, config: DeepseekConfig, weights: Weights, index: int) -> None:
        self.attention_norm = Norm(weights("input_layernorm.weight"), config.rms_norm_eps)
        self.attention = MLA(config, lambda name: weights(f"self_attn.{name}"))
        self.mlp_norm = Norm(weights("post_attention_layernorm.weight"), config.rms_norm_eps)
        below: Weights = lambda name: weights(f"mlp.{name}")  # noqa: E731
        self.mlp: Dense | MoE = MoE(config, below) if index in config.router_layers else Dense(below)

    def feed_forward(self, x_TD: torch.Tensor, routed: Routed) -> torch.Tensor:
        """Residual included; appends the routing when this layer has a router."""
        normed = self.mlp_norm(x_TD)
        if isinstance(self.mlp, Dense):
            return x_TD + self.mlp.forward(normed)
        out, ids, weights = self.mlp.forward(normed)
        routed.ids.append(ids)
        routed.weights.append(weights)
        return x_TD + out


class DeepseekModel:
    """The whole model. `weights` gives a checkpoint's tensors by their full names."""

    def __init__(self, config: DeepseekConfig, weights: Weights) -> None:
        self.config = config
        self.embedding = weights("model.embed_tokens.weight")
        self.layers = [
            Layer(config, lambda name, i=i: weights(f"model.layers.{i}.{name}"), i)  # type: ignore[misc]  # a default binds i
            for i in range(config.num_hidden_layers)
        ]
        self.norm = Norm(weights("model.norm.weight"), config.rms_norm_eps)
        self.head = (self.embedding if config.tie_word_embeddings else weights("lm_head.weight")).t()
        self._turns = turns(config, 512)

    def prefill(self, ids: list[list[int]]) -> tuple[torch.Tensor, list[torch.Tensor], Routed]:
        """Run whole prompts. Returns hidden states [T, D] before the final norm, each layer's cache [T, C + R], the routing; T counts the
        tokens of all prompts in order.
        """
        longest = max(map(len, ids))
        ragged = any(len(row) < longest for row in ids)
        positions = [torch.arange(len(row)) for row in ids]
        place = torch.cat([p + i * longest for i, p in enumerate(positions)]) if ragged else None
        layout = Layout(len(ids), longest, place)
        turn = self._turn(torch.cat(positions), longest)
        x_TD = self.embedding[torch.tensor([token for row in ids for token in row])]
        routed, cached = Routed([], []), []
        for layer in self.layers:
            p = layer.attention.project(layer.attention_norm(x_TD), turn)
            cached.append(p.cached)
            x_TD = layer.feed_forward(x_TD + layer.attention.prefill(p, layout), routed)
        return x_TD, cached, routed

    def decode(
        self,
        token_B: torch.Tensor,
        position_B: torch.Tensor,
        caches: list[torch.Tensor],
        length: int,
        mask_B1S: torch.Tensor | None,
    ) -> tuple[torch.Tensor, Routed]:
        """Run one token a sequence, writing its latents into column `length - 1` of `caches` ([B, capacity, C + R] a layer); `length`
        counts the columns in use, `position_B` the tokens before this one. Returns hidden states [B, D] before the final norm, and the routing.
        """
        turn = self._turn(position_B, length)
        x_BD = self.embedding[token_B]
        routed = Routed([], [])
        for layer, cache in zip(self.layers, caches, strict=True):
            p = layer.attention.project(layer.attention_norm(x_BD), turn)
            cache[:, length - 1] = p.cached
            x_BD = layer.feed_forward(x_BD + layer.attention.decode(p, cache[:, :length], mask_B1S), routed)
        return x_BD, routed

    def logits(self, x_TD: torch.Tensor) -> torch.Tensor:
        """Final norm and head: float32 [T, V]."""
        return torch.mm(self.norm(x_TD), self.head).float()

    def _turn(self, position_T: torch.Tensor, length: int) -> torch.Tensor:
        """Rotations of positions below `length`: complex [T, R / 2]."""
        if length > len(self._turns):
            self._turns = turns(self.config, max(length, 2 * len(self._turns)))
        return self._turns[position_T]
