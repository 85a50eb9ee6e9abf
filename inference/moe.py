"""The feed-forward of a layer: dense SwiGLU, or V3's router with its experts and the shared one.

Shapes: T tokens, D hidden, E routed experts, K chosen, G groups, I expert width, C capacity of the fullest expert.
"""

import math

import torch
from torch.nn import functional

from inference.attention import Weights
from inference.config import DeepseekConfig


class Dense:
    """SwiGLU: down(silu(gate x) * up x). Gate and up are one product."""

    def __init__(self, weights: Weights, prefix: str = "") -> None:
        self.w_in = torch.cat((weights(f"{prefix}gate_proj.weight"), weights(f"{prefix}up_proj.weight")))
        self.w_out = weights(f"{prefix}down_proj.weight")

    def forward(self, x_TD: torch.Tensor) -> torch.Tensor:
        """[T, D] to the same."""
        gate, up = functional.linear(x_TD, self.w_in).chunk(2, -1)
        return functional.linear(functional.silu(gate) * up, self.w_out)


class Gate:
    """Sigmoid router (V3 paper eq. 12-16, 2.1.2). All of it in float32; the correction bias only chooses, it never weighs."""

    def __init__(self, config: DeepseekConfig, weights: Weights) -> None:
        self.config = config
        self.weight = weights("weight").float()
        self.bias_E = weights("e_score_correction_bias").float()

    def route(self, x_TD: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Expert ids int64 [T, K] and what multiplies each expert's output, float32 [T, K]."""
        c = self.config
        scores_TE = torch.sigmoid(functional.linear(x_TD.float(), self.weight))
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
        self.n_experts = config.n_routed_experts
        self.gate = Gate(config, lambda name: weights(f"gate.{name}"))

        def stack(*names: str) -> torch.Tensor:
            rows = [torch.cat([weights(f"experts.{i}.{name}.weight") for name in names]) for i in range(self.n_experts)]
            return torch.stack(rows).transpose(1, 2).contiguous()  # input first: what bmm wants

        self.w_in_EDI = stack("gate_proj", "up_proj")
        self.w_out_EID = stack("down_proj")
        self.shared = Dense(weights, "shared_experts.") if config.n_shared_experts else None

    def forward(self, x_TD: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """[T, D] to the same, with the routing: ids int64 [T, K] and weights float32 [T, K]."""
        ids_TK, weights_TK = self.gate.route(x_TD)
        if ids_TK.numel() <= self.n_experts:
            out_TKD = self._gathered(x_TD, ids_TK)
        else:
            out_TKD = self._binned(x_TD, ids_TK)
        routed_TD = torch.bmm(weights_TK[:, None].to(x_TD.dtype), out_TKD)[:, 0]
        return (routed_TD + self.shared.forward(x_TD) if self.shared else routed_TD), ids_TK, weights_TK

    def _gathered(self, x_TD: torch.Tensor, ids_TK: torch.Tensor) -> torch.Tensor:
        """Few pairs: bring each pair its expert's weights."""
        pairs = ids_TK.flatten()
        x_P1D = x_TD.repeat_interleave(ids_TK.shape[1], 0)[:, None]
        gate, up = torch.bmm(x_P1D, self.w_in_EDI[pairs]).chunk(2, -1)
        return torch.bmm(functional.silu(gate) * up, self.w_out_EID[pairs]).view(*ids_TK.shape, -1)

    def _binned(self, x_TD: torch.Tensor, ids_TK: torch.Tensor) -> torch.Tensor:
        """Many pairs: sort them into one bin an expert, as large as the fullest needs (no token is dropped), and multiply all bins at once."""
        pairs = ids_TK.flatten()
        order = pairs.argsort(stable=True)
        counts_E = torch.bincount(pairs, minlength=self.n_experts)
        starts_E = counts_E.cumsum(0) - counts_E
        capacity = int(counts_E.max())
        sorted_pairs = pairs[order]
        slot = sorted_pairs * capacity + torch.arange(len(pairs)) - starts_E[sorted_pairs]
        bins = x_TD.new_zeros((self.n_experts * capacity, x_TD.shape[1]))
        bins[slot] = x_TD[order // ids_TK.shape[1]]
        gate, up = torch.bmm(bins.view(self.n_experts, capacity, -1), self.w_in_EDI).chunk(2, -1)
        out = torch.bmm(functional.silu(gate) * up, self.w_out_EID).flatten(0, 1)
        place = torch.empty_like(slot)
        place[order] = slot
        return out[place].view(*ids_TK.shape, -1)
