"""Multi-head latent attention (V2 paper eq. 9-19): prefill expanded, decode absorbed, one cache of latents.

Shapes: T tokens of all sequences in a row, B sequences, S positions, H heads, D hidden, N = d_n, R = d_r, V = d_v, C = kv_lora_rank.
What is cached of a token and layer is [C + R]: the normed latent and the rotated shared key.
"""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch.nn import functional

from inference.config import LATENT_NORM_EPS, DeepseekConfig
from inference.rope import rotate

Weights = Callable[[str], torch.Tensor]  # a checkpoint name to its tensor


def rms_norm(x: torch.Tensor, weight: torch.Tensor, eps: float) -> torch.Tensor:
    """Root-mean-square norm over the last dimension, in float32, back in x's dtype."""
    if x.dtype == torch.float32:
        return functional.rms_norm(x, weight.shape, weight, eps)
    return weight * functional.rms_norm(x.float(), weight.shape, eps=eps).to(x.dtype)


class Projected(NamedTuple):
    q_nope_THN: torch.Tensor
    q_rope_THR: torch.Tensor
    cached_TC: torch.Tensor  # [T, C + R]


class MLA:
    """One layer's attention. `weights` gives tensors by their name below `self_attn.`."""

    def __init__(self, config: DeepseekConfig, weights: Weights) -> None:
        self.config = c = config
        self.scale = c.softmax_scale
        self.q_width = c.q_lora_rank or c.num_attention_heads * (c.qk_nope_head_dim + c.qk_rope_head_dim)
        first = weights("q_a_proj.weight" if c.q_lora_rank else "q_proj.weight")
        # one product instead of two: both read the same hidden state
        self.w_in = torch.cat((first, weights("kv_a_proj_with_mqa.weight")))
        self.q_norm = weights("q_a_layernorm.weight") if c.q_lora_rank else None
        self.w_qb = weights("q_b_proj.weight") if c.q_lora_rank else None
        self.kv_norm = weights("kv_a_layernorm.weight")
        self.w_o = weights("o_proj.weight")
        kv_b = weights("kv_b_proj.weight").view(
            c.num_attention_heads, c.qk_nope_head_dim + c.v_head_dim, c.kv_lora_rank
        )
        self.w_uk_HNC = kv_b[:, : c.qk_nope_head_dim].contiguous()
        self.w_uv_HCV = kv_b[:, c.qk_nope_head_dim :].transpose(1, 2).contiguous()

    def project(self, x_TD: torch.Tensor, cos_TR: torch.Tensor, sin_TR: torch.Tensor) -> Projected:
        """Queries and what is cached; cos and sin are [T, R / 2] of each token's position."""
        c = self.config
        q, kv = functional.linear(x_TD, self.w_in).split_with_sizes((self.q_width, c.kv_lora_rank + c.qk_rope_head_dim), -1)
        if self.q_norm is not None and self.w_qb is not None:
            q = functional.linear(rms_norm(q, self.q_norm, LATENT_NORM_EPS), self.w_qb)
        q_nope, q_rope = q.view(len(x_TD), c.num_attention_heads, -1).split_with_sizes(
            (c.qk_nope_head_dim, c.qk_rope_head_dim), -1
        )
        latent, k_rope = kv.split_with_sizes((c.kv_lora_rank, c.qk_rope_head_dim), -1)
        q_rope = rotate(q_rope, cos_TR[:, None], sin_TR[:, None], interleave=c.rope_interleave)
        k_rope = rotate(k_rope, cos_TR, sin_TR, interleave=c.rope_interleave)
        return Projected(
            q_nope,
            q_rope.to(x_TD.dtype),
            torch.cat((rms_norm(latent, self.kv_norm, LATENT_NORM_EPS), k_rope.to(x_TD.dtype)), -1),
        )

    def prefill(self, p: Projected, valid_BS: torch.Tensor) -> torch.Tensor:
        """Causal attention of whole prompts, expanded; `valid_BS` says which places of the padded batch are tokens. [T, D]."""
        c = self.config
        latent_TC, k_rope_TR = p.cached_TC.split_with_sizes((c.kv_lora_rank, c.qk_rope_head_dim), -1)
        k_nope_THN = torch.einsum("tc,hnc->thn", latent_TC, self.w_uk_HNC)
        v_THV = torch.einsum("tc,hcv->thv", latent_TC, self.w_uv_HCV)
        q = torch.cat((p.q_nope_THN, p.q_rope_THR), -1)
        k = torch.cat((k_nope_THN, k_rope_TR[:, None].expand(-1, c.num_attention_heads, -1)), -1)
        # padding stands at the right, so a token never looks at it
        out = functional.scaled_dot_product_attention(
            _pad(q, valid_BS), _pad(k, valid_BS), _pad(v_THV, valid_BS), is_causal=True, scale=self.scale
        )
        return functional.linear(out.transpose(1, 2)[valid_BS].flatten(1), self.w_o)

    def decode(self, p: Projected, cache_BSC: torch.Tensor, hidden_B1S: torch.Tensor | None) -> torch.Tensor:
        """One new token a sequence against its cache, absorbed: keys and values are never expanded (deepseek.md 2.3). [B, D].

        `hidden_B1S` holds -inf where a sequence has no token yet, or is None when all are of one length.
        """
        c = self.config
        q_latent = torch.bmm(p.q_nope_THN.transpose(0, 1), self.w_uk_HNC).transpose(0, 1)  # [B, H, C]
        scores_BHS = torch.bmm(torch.cat((q_latent, p.q_rope_THR), -1), cache_BSC.transpose(1, 2)).float() * self.scale
        if hidden_B1S is not None:
            scores_BHS = scores_BHS + hidden_B1S
        weights_BHS = torch.softmax(scores_BHS, -1).to(cache_BSC.dtype)
        out_BHC = torch.bmm(weights_BHS, cache_BSC[..., : c.kv_lora_rank])
        out_BHV = torch.bmm(out_BHC.transpose(0, 1), self.w_uv_HCV).transpose(0, 1)
        return functional.linear(out_BHV.flatten(1), self.w_o)


def _pad(x_THX: torch.Tensor, valid_BS: torch.Tensor) -> torch.Tensor:
    """Spread the tokens over a padded batch [B, H, S, X]; padding is zero."""
    out = x_THX.new_zeros((*valid_BS.shape, *x_THX.shape[1:]))
    out[valid_BS] = x_THX
    return out.transpose(1, 2)
