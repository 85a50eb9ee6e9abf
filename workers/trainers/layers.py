"""The parts of DeepSeek-V3's layers in training form: norm, latent attention, gate, experts.

No cache, no sampling and no rope scaling: those are the engine's. Names are those of the checkpoint on disk.

Shapes: B rows, S positions, T = B*S tokens, H heads, D hidden, E routed experts, K chosen, G groups.
"""

from __future__ import annotations

import math

import torch
from torch import nn
from torch.nn import functional

from .balance import loads
from .shape import Shape


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
