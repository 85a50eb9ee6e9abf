"""The decoder: embedding, layers, head. Whole prompts (`prefill`) and one token a sequence against a cache (`decode`).

Weights are read once from a checkpoint and only read after; there is no autograd and no global state. Shapes as in attention.py.
"""

from typing import NamedTuple

import torch
from torch.nn import functional

from inference.attention import MLA, Weights, rms_norm
from inference.config import DeepseekConfig
from inference.moe import Dense, MoE
from inference.rope import tables


class Routed(NamedTuple):
    """Routing of one pass, a tensor a router layer."""

    ids: list[torch.Tensor]  # int64 [T, K]
    weights: list[torch.Tensor]  # float32 [T, K]


class Layer:
    """Attention and feed-forward, each on the normed residual stream."""

    def __init__(self, config: DeepseekConfig, weights: Weights, index: int) -> None:
        self.eps = config.rms_norm_eps
        self.attention_norm = weights("input_layernorm.weight")
        self.attention = MLA(config, lambda name: weights(f"self_attn.{name}"))
        self.mlp_norm = weights("post_attention_layernorm.weight")
        below: Weights = lambda name: weights(f"mlp.{name}")  # noqa: E731
        self.mlp: Dense | MoE = MoE(config, below) if index in config.router_layers else Dense(below)

    def feed_forward(self, x_TD: torch.Tensor, routed: Routed) -> torch.Tensor:
        """Residual included; appends the routing when this layer has a router."""
        normed = rms_norm(x_TD, self.mlp_norm, self.eps)
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
        self.norm = weights("model.norm.weight")
        self.head = self.embedding if config.tie_word_embeddings else weights("lm_head.weight")
        self._cos, self._sin = tables(config, 512)

    def prefill(self, ids: list[list[int]]) -> tuple[torch.Tensor, list[torch.Tensor], Routed]:
        """Run whole prompts. Returns hidden states [T, D] before the final norm, each layer's cache [T, C + R], the routing; T counts the
        tokens of all prompts in order."""
        lengths = torch.tensor([len(row) for row in ids])
        valid_BS = torch.arange(int(lengths.max())) < lengths[:, None]
        positions_T = torch.cat([torch.arange(len(row)) for row in ids])
        cos, sin = self._rotary(positions_T, int(lengths.max()))
        x_TD = self.embedding[torch.tensor([token for row in ids for token in row])]
        routed, cached = Routed([], []), []
        for layer in self.layers:
            p = layer.attention.project(rms_norm(x_TD, layer.attention_norm, layer.eps), cos, sin)
            cached.append(p.cached_TC)
            x_TD = layer.feed_forward(x_TD + layer.attention.prefill(p, valid_BS), routed)
        return x_TD, cached, routed

    def decode(
        self,
        token_B: torch.Tensor,
        position_B: torch.Tensor,
        caches: list[torch.Tensor],
        length: int,
        hidden_B1S: torch.Tensor | None,
    ) -> tuple[torch.Tensor, Routed]:
        """Run one token a sequence, writing its latents into `caches` ([B, capacity, C + R] a layer). `length` is the longest sequence
        with its new token. Returns hidden states [B, D] before the final norm, and the routing."""
        cos, sin = self._rotary(position_B, length)
        rows = torch.arange(len(token_B))
        x_BD = self.embedding[token_B]
        routed = Routed([], [])
        for layer, cache in zip(self.layers, caches, strict=True):
            p = layer.attention.project(rms_norm(x_BD, layer.attention_norm, layer.eps), cos, sin)
            cache[rows, position_B] = p.cached_TC
            x_BD = layer.feed_forward(x_BD + layer.attention.decode(p, cache[:, :length], hidden_B1S), routed)
        return x_BD, routed

    def logits(self, x_TD: torch.Tensor) -> torch.Tensor:
        """Final norm and head: float32 [T, V]."""
        return functional.linear(rms_norm(x_TD, self.norm, self.config.rms_norm_eps), self.head).float()

    def _rotary(self, position_T: torch.Tensor, length: int) -> tuple[torch.Tensor, torch.Tensor]:
        if length > len(self._cos):
            self._cos, self._sin = tables(self.config, max(length, 2 * len(self._cos)))
        return self._cos[position_T], self._sin[position_T]
