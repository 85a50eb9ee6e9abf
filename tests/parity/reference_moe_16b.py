"""DeepSeek MoE-16B, which transformers has no class for, as plainly as it can be written: no cache, no batch, one expert of one token at a time.

From the MoE paper (eq. 9-11) and Llama's attention, in the official tensor names; rotation is half-split, scores are softmax over all experts, the K largest
weigh as they are unless `norm_topk_prob`. Written apart from the engine: it shares no line with it.
"""

import json
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file

from tests.parity.shapes import BASES


class Reference:
    """A random checkpoint."""

    def __init__(self, changes: dict[str, Any], seed: int, spread: float = 0.2) -> None:
        self.values = {**BASES["deepseek"], "moe_layer_freq": 1, "norm_topk_prob": False, **changes}
        self.spread = spread
        self.random = torch.Generator().manual_seed(seed)
        self.tensors: dict[str, torch.Tensor] = {}
        v = self.values
        hidden, self.heads = v["hidden_size"], v["num_attention_heads"]
        self.width, self.kv_heads = hidden // self.heads, v["num_key_value_heads"]
        self._add("model.embed_tokens.weight", v["vocab_size"], hidden)
        self._add("lm_head.weight", v["vocab_size"], hidden)
        self._add("model.norm.weight", hidden)
        for i in range(v["num_hidden_layers"]):
            at = f"model.layers.{i}."
            self._add(f"{at}input_layernorm.weight", hidden)
            self._add(f"{at}post_attention_layernorm.weight", hidden)
            for name, heads in (("q", self.heads), ("k", self.kv_heads), ("v", self.kv_heads)):
                self._add(f"{at}self_attn.{name}_proj.weight", heads * self.width, hidden)
            self._add(f"{at}self_attn.o_proj.weight", hidden, self.heads * self.width)
            if self._routed(i):
                self._add(f"{at}mlp.gate.weight", v["n_routed_experts"], hidden)
                for e in range(v["n_routed_experts"]):
                    self._add_mlp(f"{at}mlp.experts.{e}.", v["moe_intermediate_size"])
                if v["n_shared_experts"]:
                    self._add_mlp(f"{at}mlp.shared_experts.", v["moe_intermediate_size"] * v["n_shared_experts"])
            else:
                self._add_mlp(f"{at}mlp.", v["intermediate_size"])

    def _add(self, name: str, *shape: int) -> None:
        value = torch.randn(shape, generator=self.random) * self.spread
        self.tensors[name] = 1 + value if "norm" in name else value

    def _add_mlp(self, at: str, width: int) -> None:
        for name, shape in (("gate", (width, -1)), ("up", (width, -1)), ("down", (-1, width))):
            self._add(f"{at}{name}_proj.weight", *(self.values["hidden_size"] if size < 0 else size for size in shape))

    def _routed(self, layer: int) -> bool:
        return layer >= self.values["first_k_dense_replace"] and layer % self.values["moe_layer_freq"] == 0

    def save(self, folder: Path) -> None:
        folder.mkdir(exist_ok=True)
        (folder / "config.json").write_text(json.dumps(self.values))
        save_file(self.tensors, folder / "model.safetensors", metadata={"format": "pt"})

    def __call__(self, ids: list[int]) -> tuple[torch.Tensor, list[torch.Tensor]]:
        """Logits [S, V] and, a router layer, dense weights [S, E]."""
        x, mixes = self.tensors["model.embed_tokens.weight"][ids], []
        for i in range(self.values["num_hidden_layers"]):
            at = f"model.layers.{i}."
            x = x + self._attention(self._norm(x, f"{at}input_layernorm"), f"{at}self_attn.")
            normed = self._norm(x, f"{at}post_attention_layernorm")
            if self._routed(i):
                out, mix = self._mixture(normed, f"{at}mlp.")
                mixes.append(mix)
            else:
                out = self._mlp(normed, f"{at}mlp.")
            x = x + out
        return self._norm(x, "model.norm") @ self.tensors["lm_head.weight"].T, mixes

    def _norm(self, x: torch.Tensor, name: str) -> torch.Tensor:
        return (
            x / (x.pow(2).mean(-1, keepdim=True) + self.values["rms_norm_eps"]).sqrt() * self.tensors[f"{name}.weight"]
        )

    def _mlp(self, x: torch.Tensor, at: str) -> torch.Tensor:
        gate, up, down = (self.tensors[f"{at}{name}_proj.weight"] for name in ("gate", "up", "down"))
        hidden = x @ gate.T
        return (hidden * torch.sigmoid(hidden) * (x @ up.T)) @ down.T

    def _mixture(self, x: torch.Tensor, at: str) -> tuple[torch.Tensor, torch.Tensor]:
        out = self._mlp(x, f"{at}shared_experts.") if self.values["n_shared_experts"] else torch.zeros_like(x)
        scores = (x @ self.tensors[f"{at}gate.weight"].T).exp()
        scores = scores / scores.sum(-1, keepdim=True)
        mix = torch.zeros_like(scores)
        for t in range(len(x)):
            chosen = sorted(range(scores.shape[1]), key=lambda e, t=t: -float(scores[t, e]))[
                : self.values["num_experts_per_tok"]
            ]
            total = sum(float(scores[t, e]) for e in chosen) if self.values["norm_topk_prob"] else 1.0
            for e in chosen:
                mix[t, e] = scores[t, e] / total
                out[t] = out[t] + mix[t, e] * self._mlp(x[t], f"{at}experts.{e}.")
        return out, mix

    def _attention(self, x: torch.Tensor, at: str) -> torch.Tensor:
        q, k, v = (x @ self.tensors[f"{at}{name}_proj.weight"].T for name in "qkv")
        outs = []
        for head in range(self.heads):
            own, shared = (
                slice(h * self.width, (h + 1) * self.width) for h in (head, head * self.kv_heads // self.heads)
            )
            scores = self._turned(q[:, own]) @ self._turned(k[:, shared]).T / self.width**0.5
            seen = torch.ones_like(scores).tril() > 0
            outs.append(torch.softmax(scores.masked_fill(~seen, -torch.inf), -1) @ v[:, shared])
        return torch.cat(outs, -1) @ self.tensors[f"{at}o_proj.weight"].T

    def _turned(self, x: torch.Tensor) -> torch.Tensor:
        """Pairs (i, i + width / 2) of row t turned by t * 10000^(-2i / width)."""
        half = self.width // 2
        angle = torch.arange(len(x))[:, None] * 10_000.0 ** (-torch.arange(half) / half)
        left, right = x[:, :half], x[:, half:]
        return torch.cat((left * angle.cos() - right * angle.sin(), right * angle.cos() + left * angle.sin()), -1)
