"""The feed-forward of a layer: dense SwiGLU, or V3's router with its experts and the shared one.

Shapes: T tokens, D hidden, E routed experts, K chosen, G groups, P = T K pairs.
"""

import math

import numpy as np
import torch
from torch.nn import functional

from inference.config import DeepseekConfig
from inference.linear import Weights


class Dense:
    """SwiGLU: down(silu(gate x) * up x). Gate and up are one product; weights are views with the input first."""

    def __init__(self, weights: Weights, prefix: str = "") -> None:
        self.w_in = torch.cat((weights(f"{prefix}gate_proj.weight"), weights(f"{prefix}up_proj.weight"))).t()
        self.w_out = weights(f"{prefix}down_proj.weight").t()

    def forward(self, x_TD: torch.Tensor) -> torch.Tensor:
        """[T, D] to the same."""
        gate, up = torch.mm(x_TD, self.w_in).chunk(2, -1)
        return torch.mm(functional.silu(gate) * up, self.w_out)


class Gate:
    """Sigmoid router (V3 paper eq. 12-16, 2.1.2). All of it in float32; the correction bias only chooses, it never weighs."""

    def __init__(self, config: DeepseekConfig, weights: Weights) -> None:
        self.config = config
        self.weight = weights("weight").float().t()
        self.bias_E = weights("e_score_correction_bias").float()

    def route(self, x_TD: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Expert ids int64 [T, K] and what multiplies each expert's output, float32 [T, K]."""
        c = self.config
        scores_TE = torch.sigmoid(torch.mm(x_TD.float(), self.weight))
        choice_TE = scores_TE + self.bias_E
        if c.topk_group < c.n_group:
            choice_TE = self._close_groups(choice_TE)
        ids_TK = choice_TE.topk(c.num_experts_per_tok, -1, sorted=False).indices
        weights_TK = scores_TE.gather(1, ids_TK)
        if c.norm_topk_prob:
            weights_TK = weights_TK / (weights_TK.sum(-1, keepdim=True) + 1e-20)
        return ids_TK, weights_TK * c.routed_scaling_factor

    def _close_groups(self, choice_TE: torch.Tensor) -> torch.Tensor:
        """Keep the groups whose two best experts sum highest; -inf elsewhere (0 would win over a negative biased score)."""
        c = self.config
        grouped_TGX = choice_TE.view(len(choice_TE), c.n_group, -1)
        best_TG = grouped_TGX.topk(2, -1).values.sum(-1).topk(c.topk_group, -1, sorted=False).indices
        closed_TG = torch.full(grouped_TGX.shape[:2], -math.inf).scatter_(1, best_TG, 0.0)
        return (grouped_TGX + closed_TG[..., None]).flatten(1)


class MoE:
    """Routed and shared experts. `weights` gives tensors by their name below `mlp.`."""

    def __init__(self, config: DeepseekConfig, weights: Weights) -> None:
        self.gate = Gate(config, lambda name: weights(f"gate.{name}"))
        self.experts = [Dense(weights, f"experts.{i}.") for i in range(config.n_routed_experts)]
        self.shared = Dense(weights, "shared_experts.") if config.n_shared_experts else None

    def forward(self, x_TD: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """[T, D] to the same, with the routing: ids int64 [T, K] and weights float32 [T, K]."""
        ids_TK, weights_TK = self.gate.route(x_TD)
        out_TD = self.shared.forward(x_TD) if self.shared else torch.zeros_like(x_TD)
        return out_TD.index_add_(0, *self._routed(x_TD, ids_TK, weights_TK)), ids_TK, weights_TK

    def _routed(
        self, x_TD: torch.Tensor, ids_TK: torch.Tensor, weights_TK: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Every (token, expert) pair's weighted output [P, D] and its token int64 [P], P = T K: pairs sorted by expert, each expert
        that was chosen run once on its own. No token is dropped.
        """
        chosen = ids_TK.numpy().ravel()  # numpy sorts and counts a few numbers several times faster than torch
        order = chosen.argsort(kind="stable")
        counts = np.bincount(chosen, minlength=len(self.experts))
        pair = torch.from_numpy(order)
        token = torch.from_numpy(order // ids_TK.shape[1])
        used = counts.nonzero()[0].tolist()
        sizes = counts[used].tolist()
        shares = torch.split_with_sizes(x_TD[token], sizes)
        hidden = torch.cat([torch.mm(x, self.experts[e].w_in) for e, x in zip(used, shares, strict=True)])
        gate, up = hidden.chunk(2, -1)
        # weighing the narrow middle is weighing the output
        hidden = functional.silu(gate) * up * weights_TK.flatten()[pair][:, None].to(x_TD.dtype)
        shares = torch.split_with_sizes(hidden, sizes)
        return token, torch.cat([torch.mm(x, self.experts[e].w_out) for e, x in zip(used, shares, strict=True)])
