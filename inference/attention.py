"""Multi-head latent attention (V2 paper eq. 9-19): prefill expanded, decode absorbed, one cache of latents.

Shapes: T tokens of all sequences in a row, B sequences, S positions, H heads, D hidden, N = d_n, R = d_r, V = d_v, C = kv_lora_rank.
What is cached of a token and layer is [C + R]: the normed latent and the rotated shared key.
"""

from typing import NamedTuple

import torch
from torch.nn import functional

from inference.config import LATENT_NORM_EPS, DeepseekConfig
from inference.linear import Norm, Weights
from inference.rope import interleaved, rotate


class Layout(NamedTuple):
    """Where the tokens of right-padded prompts stand: `place` [T] indexes the flat [B * S]; None when no prompt is shorter."""

    batch: int
    length: int
    place: torch.Tensor | None

    def spread(self, x_THX: torch.Tensor) -> torch.Tensor:
        """Tokens to a padded batch [B, H, S, X]; padding is zero."""
        if self.place is not None:
            x_THX = x_THX.new_zeros(self.batch * self.length, *x_THX.shape[1:]).index_copy_(0, self.place, x_THX)
        return x_THX.view(self.batch, self.length, *x_THX.shape[1:]).transpose(1, 2)

    def gather(self, x_BHSX: torch.Tensor) -> torch.Tensor:
        """A padded batch back to tokens [T, H * X]."""
        flat = x_BHSX.transpose(1, 2).reshape(self.batch * self.length, -1)
        return flat if self.place is None else flat[self.place]


class Projected(NamedTuple):
    """What a token asks with, and what is kept of it."""

    q_nope: torch.Tensor  # [T, H, N]
    q_rope: torch.Tensor  # [T, H, R]
    cached: torch.Tensor  # [T, C + R]


class MLA:
    """One layer's attention. `weights` gives tensors by their name below `self_attn.`."""

    def __init__(self, config: DeepseekConfig, weights: Weights) -> None:
        self.config = c = config
        self.scale = c.softmax_scale
        heads, nope, rope = c.num_attention_heads, c.qk_nope_head_dim, c.qk_rope_head_dim
        q = weights("q_b_proj.weight" if c.q_lora_rank else "q_proj.weight").view(heads, nope + rope, -1)
        q = torch.cat(
            (q[:, :nope].flatten(0, 1), interleaved(q[:, nope:], c).flatten(0, 1))
        )  # all heads' d_n, then all d_r
        kv = weights("kv_a_proj_with_mqa.weight")
        kv = torch.cat((kv[: c.kv_lora_rank], interleaved(kv[c.kv_lora_rank :], c)))
        # one product instead of two: both read the same hidden state
        first = weights("q_a_proj.weight") if c.q_lora_rank else q
        self.w_in = torch.cat((first, kv)).t()
        self.w_qb = q.t() if c.q_lora_rank else None
        self.q_norm = Norm(weights("q_a_layernorm.weight"), LATENT_NORM_EPS) if c.q_lora_rank else None
        self.kv_norm = Norm(weights("kv_a_layernorm.weight"), LATENT_NORM_EPS)
        self.in_widths = (len(first), len(kv) - rope, rope)
        self.w_o = weights("o_proj.weight").t()
        kv_b = weights("kv_b_proj.weight").view(heads, nope + c.v_head_dim, -1)
        self.w_uk_HNC = kv_b[:, :nope].contiguous()
        self.w_uv_HCV = kv_b[:, nope:].transpose(1, 2).contiguous()
        self.no_mask = self.w_o.new_zeros(1, 1, 1)

    def project(self, x_TD: torch.Tensor, turn_TR: torch.Tensor) -> Projected:
        """Queries and what is cached; `turn_TR` is complex [T, R / 2] of each token's position."""
        c, count = self.config, len(x_TD)
        q, latent, k_rope = torch.split_with_sizes(torch.mm(x_TD, self.w_in), self.in_widths, -1)
        if self.q_norm is not None and self.w_qb is not None:
            q = torch.mm(self.q_norm(q), self.w_qb)
        nope_width = c.num_attention_heads * c.qk_nope_head_dim
        q_nope = q[:, :nope_width].view(count, c.num_attention_heads, -1)
        q_rope = rotate(q[:, nope_width:].view(count, c.num_attention_heads, -1), turn_TR[:, None])
        k_rope = rotate(k_rope, turn_TR)
        cached = torch.cat((self.kv_norm(latent), k_rope.to(x_TD.dtype)), -1)
        return Projected(q_nope, q_rope.to(x_TD.dtype), cached)

    def prefill(self, p: Projected, layout: Layout) -> torch.Tensor:
        """Causal attention of whole prompts, expanded. [T, D]."""
        c = self.config
        latent_TC, k_rope_TR = p.cached[:, : c.kv_lora_rank], p.cached[:, c.kv_lora_rank :]
        k_nope_THN = torch.einsum("tc,hnc->thn", latent_TC, self.w_uk_HNC)
        v_THV = torch.einsum("tc,hcv->thv", latent_TC, self.w_uv_HCV)
        q = torch.cat((p.q_nope, p.q_rope), -1)
        k = torch.cat((k_nope_THN, k_rope_TR[:, None].expand(-1, c.num_attention_heads, -1)), -1)
        v = functional.pad(v_THV, (0, max(q.shape[-1] - c.v_head_dim, 0)))  # equal widths let torch's fused kernel in
        # padding stands at the right, so a token never looks at it
        out = functional.scaled_dot_product_attention(
            layout.spread(q), layout.spread(k), layout.spread(v), is_causal=True, scale=self.scale
        )
        return torch.mm(layout.gather(out[..., : c.v_head_dim]), self.w_o)

    def decode(self, p: Projected, cache_BSC: torch.Tensor, mask_B1S: torch.Tensor | None) -> torch.Tensor:
        """One new token a sequence against its cache, absorbed: keys and values are never expanded (V2 paper, appendix C). [B, D].

        `mask_B1S` holds -inf where a sequence has no token, or is None when all are of one length.
        """
        q_latent = torch.bmm(p.q_nope.transpose(0, 1), self.w_uk_HNC).transpose(0, 1)  # [B, H, C]
        q = torch.cat((q_latent, p.q_rope), -1)
        mask = self.no_mask if mask_B1S is None else mask_B1S
        scores_BHS = torch.baddbmm(mask, q, cache_BSC.transpose(1, 2), alpha=self.scale)
        weights_BHS = torch.softmax(scores_BHS, -1, dtype=torch.float32).to(cache_BSC.dtype)
        out_BHC = torch.bmm(weights_BHS, cache_BSC[..., : self.config.kv_lora_rank])
        out_BHV = torch.bmm(out_BHC.transpose(0, 1), self.w_uv_HCV).transpose(0, 1)
        return torch.mm(out_BHV.flatten(1), self.w_o)
