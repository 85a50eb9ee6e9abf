"""DeepSeek-V3's architecture in training form: one differentiable pass over packed rows that also counts expert loads.

No cache, no sampling and no rope scaling: those are the engine's. Names are those of the checkpoint on disk, so the state
dict is the checkpoint. A test holds its logits against the engine's.

Shapes: B rows, S positions, T = B*S tokens, H heads, D hidden, E routed experts, K chosen, G groups, V vocabulary.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.nn import functional

from .balance import loads, update_bias


@dataclass(frozen=True)
class Shape:
    """Sizes by their official names; `hf()` is the config.json that goes with them."""

    vocab_size: int = 512
    hidden_size: int = 192
    intermediate_size: int = 512
    moe_intermediate_size: int = 96
    num_hidden_layers: int = 4
    first_k_dense_replace: int = 1
    num_attention_heads: int = 4
    kv_lora_rank: int = 64
    qk_nope_head_dim: int = 32
    qk_rope_head_dim: int = 16
    v_head_dim: int = 32
    n_routed_experts: int = 16
    num_experts_per_tok: int = 2
    n_group: int = 4
    topk_group: int = 2
    n_shared_experts: int = 1
    routed_scaling_factor: float = 1.0
    rope_theta: float = 100.0  # eight frequencies only: a low base keeps them all within a few hundred tokens
    rms_norm_eps: float = 1e-6
    max_position_embeddings: int = 1024
    initializer_range: float = 0.05  # 0.02 learned more slowly at this width

    def hf(self) -> dict[str, Any]:
        """config.json in transformers' layout."""
        fixed = {
            "architectures": ["DeepseekV3ForCausalLM"],
            "model_type": "deepseek_v3",
            "attention_bias": False,
            "attention_dropout": 0.0,
            "bos_token_id": 0,
            "eos_token_id": 1,
            "pad_token_id": 1,
            "hidden_act": "silu",
            "moe_layer_freq": 1,
            "norm_topk_prob": True,
            "num_key_value_heads": self.num_attention_heads,
            "num_nextn_predict_layers": 0,
            "q_lora_rank": None,
            "rope_interleave": True,
            "rope_scaling": None,
            "scoring_func": "sigmoid",
            "tie_word_embeddings": False,
            "topk_method": "noaux_tc",
            "torch_dtype": "float32",
            "use_cache": True,
        }
        return dict(sorted((fixed | vars(self)).items()))


def linear(inputs: int, outputs: int) -> nn.Linear:
    """All projections are without bias."""
    return nn.Linear(inputs, outputs, bias=False)


class RMSNorm(nn.Module):
    """Root-mean-square norm with a gain."""

    def __init__(self, size: int, eps: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(size))
        self.eps = eps

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Over the last dimension."""
        return functional.rms_norm(x, (x.shape[-1],), self.weight, self.eps)


def rotate(x: torch.Tensor, cos_SR: torch.Tensor, sin_SR: torch.Tensor) -> torch.Tensor:
    """Interleaved rotary embedding: pairs (0,1), (2,3), ... of the last dimension."""
    even, odd = x[..., 0::2], x[..., 1::2]
    return torch.stack([even * cos_SR - odd * sin_SR, even * sin_SR + odd * cos_SR], -1).flatten(-2)


class MLA(nn.Module):
    """Multi-head latent attention, expanded (V2 2.1), without the query's own latent."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.shape = s = shape
        heads = s.num_attention_heads
        self.q_proj = linear(s.hidden_size, heads * (s.qk_nope_head_dim + s.qk_rope_head_dim))
        self.kv_a_proj_with_mqa = linear(s.hidden_size, s.kv_lora_rank + s.qk_rope_head_dim)
        self.kv_a_layernorm = RMSNorm(s.kv_lora_rank, 1e-6)
        self.kv_b_proj = linear(s.kv_lora_rank, heads * (s.qk_nope_head_dim + s.v_head_dim))
        self.o_proj = linear(heads * s.v_head_dim, s.hidden_size)

    def forward(self, x_BSD: torch.Tensor, cos: torch.Tensor, sin: torch.Tensor) -> torch.Tensor:
        """[B, S, D] to the same."""
        s, (batch, length, _) = self.shape, x_BSD.shape
        q = self.q_proj(x_BSD).view(batch, length, s.num_attention_heads, -1).transpose(1, 2)
        q_nope, q_rope = q.split([s.qk_nope_head_dim, s.qk_rope_head_dim], -1)
        latent, k_rope = self.kv_a_proj_with_mqa(x_BSD).split([s.kv_lora_rank, s.qk_rope_head_dim], -1)
        kv = self.kv_b_proj(self.kv_a_layernorm(latent)).view(batch, length, s.num_attention_heads, -1).transpose(1, 2)
        k_nope, v = kv.split([s.qk_nope_head_dim, s.v_head_dim], -1)
        k_rope = rotate(k_rope[:, None], cos, sin).expand(-1, s.num_attention_heads, -1, -1)
        q, k = torch.cat([q_nope, rotate(q_rope, cos, sin)], -1), torch.cat([k_nope, k_rope], -1)
        v = functional.pad(v, (0, q.shape[-1] - s.v_head_dim))  # equal widths let the fused kernel in: a third faster
        out = functional.scaled_dot_product_attention(q, k, v, is_causal=True)[..., : s.v_head_dim]
        mixed: torch.Tensor = self.o_proj(out.transpose(1, 2).reshape(batch, length, -1))
        return mixed


class MLP(nn.Module):
    """SwiGLU."""

    def __init__(self, hidden: int, width: int) -> None:
        super().__init__()
        self.gate_proj, self.up_proj, self.down_proj = (
            linear(hidden, width),
            linear(hidden, width),
            linear(width, hidden),
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Last dimension to the same."""
        out: torch.Tensor = self.down_proj(functional.silu(self.gate_proj(x)) * self.up_proj(x))
        return out


class Gate(nn.Module):
    """Sigmoid gate with a correction bias that only chooses, and groups that limit the choice (V3 eq. 12-16)."""

    e_score_correction_bias: torch.Tensor

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.shape = shape
        self.weight = nn.Parameter(torch.empty(shape.n_routed_experts, shape.hidden_size))
        self.register_buffer("e_score_correction_bias", torch.zeros(shape.n_routed_experts))

    def forward(self, x_TD: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Expert ids int64 [T, K] and their weights [T, K]."""
        s = self.shape
        scores_TE = torch.sigmoid(functional.linear(x_TD, self.weight))
        with torch.no_grad():
            biased_TGe = (scores_TE + self.e_score_correction_bias).view(len(x_TD), s.n_group, -1)
            group_TG = biased_TGe.topk(2, -1).values.sum(-1)
            best = group_TG.topk(s.topk_group, -1).indices
            shut_TG = torch.full_like(group_TG, -math.inf).scatter(1, best, 0.0)
            ids_TK = (biased_TGe + shut_TG[..., None]).flatten(1).topk(s.num_experts_per_tok, -1).indices
        weights_TK = scores_TE.gather(1, ids_TK)
        weights_TK = weights_TK / (weights_TK.sum(-1, keepdim=True) + 1e-20) * s.routed_scaling_factor
        return ids_TK, weights_TK


class MoE(nn.Module):
    """Routed experts, each run once on its own tokens, and the shared expert. `load_E` is that of the last pass."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.gate = Gate(shape)
        width = shape.moe_intermediate_size
        self.experts = nn.ModuleList(MLP(shape.hidden_size, width) for _ in range(shape.n_routed_experts))
        self.shared_experts = MLP(shape.hidden_size, width * shape.n_shared_experts)
        self.load_E = torch.zeros(shape.n_routed_experts, dtype=torch.int64)

    def forward(self, x_BSD: torch.Tensor) -> torch.Tensor:
        """[B, S, D] to the same."""
        x_TD = x_BSD.flatten(0, 1)
        ids_TK, weights_TK = self.gate(x_TD)
        chosen = ids_TK.flatten()
        order = chosen.argsort(stable=True)
        token = order // ids_TK.shape[1]
        self.load_E = loads(chosen, len(self.experts))
        shares = torch.split(x_TD[token], self.load_E.tolist())
        out = torch.cat([expert(share) for expert, share in zip(self.experts, shares, strict=True)])
        routed = torch.zeros_like(x_TD).index_add(0, token, out * weights_TK.flatten()[order][:, None])
        both: torch.Tensor = routed + self.shared_experts(x_TD)
        return both.view_as(x_BSD)


class Layer(nn.Module):
    """Attention, then a dense or a routed feed-forward, each on the normed residual."""

    def __init__(self, shape: Shape, index: int) -> None:
        super().__init__()
        dense = index < shape.first_k_dense_replace
        self.self_attn = MLA(shape)
        self.mlp = MLP(shape.hidden_size, shape.intermediate_size) if dense else MoE(shape)
        self.input_layernorm = RMSNorm(shape.hidden_size, shape.rms_norm_eps)
        self.post_attention_layernorm = RMSNorm(shape.hidden_size, shape.rms_norm_eps)

    def forward(self, x: torch.Tensor, cos: torch.Tensor, sin: torch.Tensor) -> torch.Tensor:
        """[B, S, D] to the same."""
        x = x + self.self_attn(self.input_layernorm(x), cos, sin)
        out: torch.Tensor = x + self.mlp(self.post_attention_layernorm(x))
        return out


class Decoder(nn.Module):
    """Embedding, layers, final norm: what the checkpoint calls `model`."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.embed_tokens = nn.Embedding(shape.vocab_size, shape.hidden_size)
        self.layers = nn.ModuleList(Layer(shape, index) for index in range(shape.num_hidden_layers))
        self.norm = RMSNorm(shape.hidden_size, shape.rms_norm_eps)


class CausalLM(nn.Module):
    """The whole model; its state dict has the names of the checkpoint on disk."""

    def __init__(self, shape: Shape, seed: int) -> None:
        super().__init__()
        self.shape = shape
        self.model = Decoder(shape)
        self.lm_head = linear(shape.hidden_size, shape.vocab_size)
        generator = torch.Generator().manual_seed(seed)
        for parameter in self.parameters():
            if parameter.dim() >= 2:
                nn.init.normal_(parameter, std=shape.initializer_range, generator=generator)

    def moe_layers(self) -> list[MoE]:
        """The routed layers, first to last."""
        return [each for each in self.modules() if isinstance(each, MoE)]

    def forward(self, ids_BS: torch.Tensor) -> torch.Tensor:
        """Logits [B, S, V]."""
        rope = self.shape.qk_rope_head_dim
        inverse = self.shape.rope_theta ** (-torch.arange(0, rope, 2, dtype=torch.float32) / rope)
        angles = torch.arange(ids_BS.shape[1], dtype=torch.float32)[:, None] * inverse
        x = self.model.embed_tokens(ids_BS)
        for layer in self.model.layers:
            x = layer(x, angles.cos(), angles.sin())
        logits: torch.Tensor = self.lm_head(self.model.norm(x))
        return logits


class TrainedNetwork:
    """What the trainer needs of a network: a pass with loads, the step of the biases, and a view of both."""

    def __init__(self, shape: Shape, seed: int) -> None:
        self.shape, self.model = shape, CausalLM(shape, seed)

    def forward(self, ids_BS: torch.Tensor) -> tuple[torch.Tensor, list[torch.Tensor]]:
        """Logits [B, S, V] and the load int64 [E] of every routed layer."""
        logits = self.model(ids_BS)
        return logits, [layer.load_E for layer in self.model.moe_layers()]

    def zero_loads(self) -> list[torch.Tensor]:
        """Loads of no token at all."""
        return [torch.zeros_like(layer.load_E) for layer in self.model.moe_layers()]

    def biases(self) -> list[torch.Tensor]:
        """The correction bias of every routed layer."""
        return [layer.gate.e_score_correction_bias for layer in self.model.moe_layers()]

    def balance(self, load_LE: list[torch.Tensor], rate: float) -> None:
        """One step of the biases against the loads of a batch."""
        for bias, load in zip(self.biases(), load_LE, strict=True):
            update_bias(bias, load, rate)

    def parameters(self) -> int:
        """Weights, without the biases."""
        return sum(each.numel() for each in self.model.parameters())
