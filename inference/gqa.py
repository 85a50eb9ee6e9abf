"""Multi-head and grouped-query attention with rotary positions over whole heads: DeepSeek LLM, MoE-16B, and the R1-Distill shapes.

Shapes: T tokens, S positions, H query heads, G key-value heads, d head_dim. Cached of a token and layer: keys [G, d], then values [G, d].
"""

import torch

from inference.attend import Place, Seen, prefill
from inference.config import DeepseekConfig
from inference.linear import Linear, Matrix, Weights, dense, vector
from inference.rope import interleaved_heads, rotate


class GQA:
    """One layer's attention. `weights` gives tensors by their name below `self_attn.`."""

    def __init__(self, config: DeepseekConfig, weights: Weights, dtype: torch.dtype, *, kernels: bool) -> None:
        self.config, self.dtype, self.scale = config, dtype, config.softmax_scale
        self.heads, self.kv_heads, self.dim = config.num_attention_heads, config.num_key_value_heads, config.head_dim
        parts = [
            self._interleaved(weights("q_proj.weight")),
            self._interleaved(weights("k_proj.weight")),
            weights("v_proj.weight"),
        ]
        bias = torch.cat(self._biases(weights)) if config.attention_bias else None
        self.w_in = Linear(*parts, bias=bias, kernels=kernels)
        self.w_o = Linear(weights("o_proj.weight"), kernels=kernels)

    def _interleaved(self, matrix: Matrix) -> torch.Tensor:
        """Rows of each head in the order of rotated pairs."""
        return interleaved_heads(dense(matrix, self.dtype), self.config)

    def _biases(self, weights: Weights) -> list[torch.Tensor]:
        q, k, v = (vector(weights, f"{name}_proj.bias") for name in "qkv")
        return [*(self._interleaved(x[:, None])[:, 0] for x in (q, k)), v]

    def __call__(self, x_TD: torch.Tensor, place: Place, pool: torch.Tensor, residual: torch.Tensor) -> torch.Tensor:
        """[T, D] to the same, `residual` added; writes the tokens' keys and values into `pool` [slots, 2 G d]."""
        joined = self.w_in(x_TD).view(len(x_TD), -1, self.dim)
        q, k, v = torch.split_with_sizes(joined, [self.heads, self.kv_heads, self.kv_heads], 1)
        q, k = (rotate(x, place.turn[:, None]).to(x_TD.dtype) for x in (q, k))
        pool[place.slots] = torch.cat((k, v), 1).flatten(1)
        if isinstance(place.look, Seen):
            return self.w_o(self._decode(q, place.look, pool), residual)
        return self.w_o(prefill(q, place, pool, self._expand, self.scale).flatten(1), residual)

    def _expand(self, rows_SW: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Keys and values [S, H, d], each repeated for the queries that share it."""
        rows = rows_SW.view(len(rows_SW), 2, self.kv_heads, self.dim).repeat_interleave(self.heads // self.kv_heads, 2)
        return rows[:, 0], rows[:, 1]

    def _decode(self, q: torch.Tensor, seen: Seen, pool: torch.Tensor) -> torch.Tensor:
        """Single tokens against their block tables. [T, H d]."""
        q = q.view(len(q), self.kv_heads, -1, self.dim)
        looked = []
        for part, slots_TS, mask_T1S in seen.rows(pool.shape[1]):
            keys, values = pool[slots_TS].view(*slots_TS.shape, 2, self.kv_heads, self.dim).unbind(2)  # [T, S, G, d]
            scores = torch.matmul(q[part], keys.permute(0, 2, 3, 1)).float() * self.scale + mask_T1S[:, None]
            looked.append(torch.matmul(torch.softmax(scores, -1).to(pool.dtype), values.transpose(1, 2)))
        return torch.cat(looked).flatten(1)
