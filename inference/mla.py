"""Multi-head latent attention (V2 paper eq. 9-19; V3 eq. 1-11): prefill expanded, decode absorbed, one cache of latents.

Shapes: T tokens, S positions, H heads, D hidden, N = d_n, R = d_r, V = d_v, C = kv_lora_rank.
What is cached of a token and layer is [C + R]: the normed latent and the rotated shared key.
"""

import torch

from inference import native
from inference.attend import BLOCK, Place, Seen, prefill
from inference.config import DeepseekConfig
from inference.linear import Linear, Matrix, Norm, Weights, dense
from inference.rope import interleaved_heads, rotate


class MLA:
    """One layer's attention. `weights` gives tensors by their name below `self_attn.`."""

    def __init__(self, config: DeepseekConfig, weights: Weights, dtype: torch.dtype, *, kernels: bool) -> None:
        self.config, self.dtype, self.kernels = config, dtype, kernels
        c, self.scale = config, config.softmax_scale
        rank, self.heads, self.nope = self._rank(), c.num_attention_heads, c.qk_nope_head_dim
        q = self._interleaved(weights("q_b_proj.weight" if c.q_lora_rank else "q_proj.weight"), self.nope)
        kv = self._interleaved(weights("kv_a_proj_with_mqa.weight"), rank)
        first = weights("q_a_proj.weight") if c.q_lora_rank else q
        self.widths = (first.shape[0], rank, c.qk_rope_head_dim)
        self.w_in = Linear(first, kv, kernels=kernels)
        self.w_qb = Linear(q, kernels=kernels) if c.q_lora_rank else None
        self.q_norm = Norm.read(weights, "q_a_layernorm", c.latent_norm_eps, kernels=kernels) if c.q_lora_rank else None
        self.kv_norm = Norm.read(weights, "kv_a_layernorm", c.latent_norm_eps, kernels=kernels)
        self.w_o = Linear(weights("o_proj.weight"), kernels=kernels)
        self.kv_b = weights("kv_b_proj.weight")
        if isinstance(self.kv_b, torch.Tensor):
            self.kv_b = self._up(self.kv_b)
        if kernels:
            w_uk_HNC, w_uv_HVC = self.up()
            self.packed_uk = native.pack_heads(w_uk_HNC.transpose(1, 2))
            self.packed_uv = native.pack_heads(w_uv_HVC)

    def _rank(self) -> int:
        if self.config.kv_lora_rank is None:
            raise ValueError("latent attention needs kv_lora_rank")
        return self.config.kv_lora_rank

    def _interleaved(self, matrix: Matrix, before: int) -> Matrix:
        """Rows of each head's rope part in interleaved order; `before` rows of a head come first. An 8-bit matrix stays one where nothing moves."""
        if self.config.rope_interleave:
            return matrix
        return interleaved_heads(dense(matrix, self.dtype), self.config, before)

    def _up(self, kv_b: torch.Tensor) -> torch.Tensor:
        """[H, d_n + d_v, C]: rows of K, then rows of V, head by head."""
        return kv_b.view(self.heads, self.nope + self.config.v_head_dim, -1)

    def up(self) -> tuple[torch.Tensor, torch.Tensor]:
        """W_uk [H, N, C] and W_uv [H, V, C] of the up projection; an 8-bit one is expanded in every use."""
        kv_b = self.kv_b if isinstance(self.kv_b, torch.Tensor) else self._up(self.kv_b.dense(self.dtype))
        return kv_b[:, : self.nope], kv_b[:, self.nope :]

    def __call__(self, x_TD: torch.Tensor, place: Place, pool: torch.Tensor, residual: torch.Tensor) -> torch.Tensor:
        """[T, D] to the same, `residual` added; writes what is kept of the tokens into `pool` [slots, C + R]."""
        q = self.project(x_TD, place, pool)
        if isinstance(place.look, Seen):
            return self.w_o(self._decode(q, place.look, pool), residual)
        w_uk_HNC, w_uv_HVC = self.up()

        def expand(rows_SW: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
            latent_SC, k_rope_SR = torch.split_with_sizes(rows_SW, self.widths[1:], -1)
            k_nope = torch.einsum("sc,hnc->shn", latent_SC, w_uk_HNC)
            k = torch.cat((k_nope, k_rope_SR[:, None].expand(-1, self.heads, -1)), -1)
            return k, torch.einsum("sc,hvc->shv", latent_SC, w_uv_HVC)

        return self.w_o(prefill(q, place, pool, expand, self.scale).flatten(1), residual)

    def project(self, x_TD: torch.Tensor, place: Place, pool: torch.Tensor) -> torch.Tensor:
        """Queries [T, H, N + R], rotated; what is kept of each token goes into `pool`."""
        joined = self.w_in(x_TD)
        q, latent, k_rope = torch.split_with_sizes(joined, self.widths, -1)
        if self.w_qb is not None and self.q_norm is not None:
            q = self.w_qb(self.q_norm(q))
        if self.kernels:
            kept = joined[:, self.widths[0] :]
            native.latents(kept, self.kv_norm.weight, self.kv_norm.eps, place.turn, place.slots, pool)
            return native.rotate_queries(q, self.heads, self.nope, place.turn)
        q = q.reshape(len(x_TD), self.heads, -1)
        q_rope = rotate(q[..., self.nope :], place.turn[:, None]).to(q.dtype)
        pool[place.slots] = torch.cat((self.kv_norm(latent), rotate(k_rope, place.turn).to(q.dtype)), -1)
        return torch.cat((q[..., : self.nope], q_rope), -1)

    def _decode(self, q: torch.Tensor, seen: Seen, pool: torch.Tensor) -> torch.Tensor:
        """Single tokens against their block tables, absorbed: keys and values are never expanded (V2 paper, appendix C). [T, H V]."""
        c = self.config
        if self.kernels:
            return native.mla_decode(
                q, self.packed_uk, self.packed_uv, pool, seen.tables, seen.lengths, BLOCK, self.scale, c.v_head_dim
            )
        w_uk_HNC, w_uv_HVC = self.up()
        q_latent = torch.einsum("thn,hnc->thc", q[..., : self.nope], w_uk_HNC)
        q = torch.cat((q_latent, q[..., self.nope :]), -1)
        looked = []
        for part, slots_TS, mask_T1S in seen.rows(pool.shape[1]):
            rows_TSW = pool[slots_TS]
            scores_THS = torch.bmm(q[part], rows_TSW.transpose(1, 2)).float() * self.scale + mask_T1S
            weights_THS = torch.softmax(scores_THS, -1).to(pool.dtype)
            looked.append(torch.bmm(weights_THS, rows_TSW[..., : self.widths[1]]))
        return torch.einsum("thc,hvc->thv", torch.cat(looked), w_uv_HVC).flatten(1)
