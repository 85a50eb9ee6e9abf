"""The feed-forward of a layer: dense SwiGLU, or routed experts beside the shared one (MoE paper eq. 9-11, V3 eq. 12-16).

Shapes: T tokens, D hidden, I expert width, E routed experts, K chosen, P = T K pairs.
"""

import numpy as np
import torch
from torch.nn import functional

from inference import native
from inference.config import DeepseekConfig
from inference.fp8 import Fp8Weight
from inference.gate import Routed, route
from inference.linear_new import Linear, Weights, dense, vector


class SwiGLU:
    """down(silu(gate x) * up x). Gate and up are one product."""

    def __init__(self, weights: Weights, prefix: str, *, kernels: bool) -> None:
        gate, up = weights(f"{prefix}gate_proj.weight"), weights(f"{prefix}up_proj.weight")
        self.w_in = Linear(gate, up, kernels=kernels)
        self.w_out = Linear(weights(f"{prefix}down_proj.weight"), kernels=kernels)

    def __call__(self, x_TD: torch.Tensor, residual: torch.Tensor | None = None) -> torch.Tensor:
        """[T, D] to the same, `residual` added."""
        if self.w_in.packed is not None and residual is not None:
            return native.swiglu(x_TD, self.w_in.packed, self.w_out.packed, self.w_in.out_features // 2, residual)
        gate, up = self.w_in(x_TD).chunk(2, -1)
        return self.w_out(functional.silu(gate) * up, residual)


class MoE:
    """Router, routed experts, shared experts. `weights` gives tensors by their name below `mlp.`."""

    def __init__(self, config: DeepseekConfig, weights: Weights, dtype: torch.dtype, *, kernels: bool) -> None:
        self.config, self.dtype = config, dtype
        self.gate = Linear(vector(weights, "gate.weight").float(), kernels=kernels)
        self.bias_E = vector(weights, "gate.e_score_correction_bias").float() if config.has_correction_bias else None
        self.shared = SwiGLU(weights, "shared_experts.", kernels=kernels) if config.n_shared_experts else None
        experts = [
            tuple(weights(f"experts.{i}.{name}_proj.weight") for name in ("gate", "up", "down"))
            for i in range(config.n_routed_experts)
        ]
        self.kernels = kernels
        self.eight = isinstance(experts[0][0], Fp8Weight)
        if kernels:
            self.packed_in = torch.stack([native.pack(torch.cat((gate, up))) for gate, up, _ in experts])
            self.packed_out = torch.stack([native.pack(down) for _, _, down in experts])
        elif self.eight:
            self.experts = experts
        else:  # one tensor for all, so that a grouped product can take them; [E, 2I, D] and [E, D, I]
            self.w_in = torch.stack([torch.cat((gate, up)) for gate, up, _ in experts])
            self.w_out = torch.stack([down for _, _, down in experts])

    def __call__(
        self, x_TD: torch.Tensor, residual: torch.Tensor, *, detail: bool = False
    ) -> tuple[torch.Tensor, Routed]:
        """[T, D] to the same with `residual` added, and where each token went."""
        logits_TE = self.gate(x_TD.float())
        routed = route(logits_TE, self.bias_E, self.config, detail=detail)
        base = self.shared(x_TD, residual) if self.shared else residual
        if self.kernels:
            width = self.config.moe_intermediate_size
            return native.experts(
                x_TD, routed.ids, routed.weights, self.packed_in, self.packed_out, width, base
            ), routed
        if x_TD.device.type == "cpu":
            return base.index_add(0, *self._one_by_one(x_TD, routed)), routed
        return base.index_add(0, *self._grouped(x_TD, routed)), routed

    def _matrices(self, expert: int) -> tuple[torch.Tensor, torch.Tensor]:
        """[D, 2I] and [I, D] of one expert."""
        if self.eight:
            gate, up, down = (dense(each, self.dtype) for each in self.experts[expert])
            return torch.cat((gate, up)).t(), down.t()
        return self.w_in[expert].t(), self.w_out[expert].t()

    def _one_by_one(self, x_TD: torch.Tensor, routed: Routed) -> tuple[torch.Tensor, torch.Tensor]:
        """Every (token, expert) pair's token int64 [P] and weighted output [P, D]: pairs sorted by expert, each expert that was chosen
        run once on its own. No token is dropped.
        """
        chosen = routed.ids.numpy().ravel()  # numpy sorts and counts a few numbers several times faster than torch
        order = chosen.argsort(kind="stable")
        counts = np.bincount(chosen, minlength=self.config.n_routed_experts)
        pair, token = torch.from_numpy(order), torch.from_numpy(order // routed.ids.shape[1])
        weights_P1 = routed.weights.flatten()[pair][:, None].to(x_TD.dtype)
        used = counts.nonzero()[0].tolist()
        out = []
        for expert, x, weight in zip(
            used, x_TD[token].split(counts[used].tolist()), weights_P1.split(counts[used].tolist()), strict=True
        ):
            w_in, w_out = self._matrices(expert)
            gate, up = torch.mm(x, w_in).chunk(2, -1)
            # weighing the narrow middle is weighing the output
            out.append(torch.mm(functional.silu(gate) * up * weight, w_out))
        return token, torch.cat(out)

    def _grouped(self, x_TD: torch.Tensor, routed: Routed) -> tuple[torch.Tensor, torch.Tensor]:
        """The same by torch's grouped product, without asking the device for a number: for an accelerator. Weights in 8 bit go one by one."""
        chosen = routed.ids.flatten()
        pair = chosen.argsort(stable=True)
        token = pair // routed.ids.shape[1]
        counts_E = torch.zeros(self.config.n_routed_experts, dtype=torch.int32, device=x_TD.device)
        ends_E = counts_E.index_add_(0, chosen, torch.ones_like(chosen, dtype=torch.int32)).cumsum(0, dtype=torch.int32)
        gate, up = functional.grouped_mm(x_TD[token], self.w_in.transpose(1, 2), offs=ends_E).chunk(2, -1)
        weights_P1 = routed.weights.flatten()[pair][:, None].to(x_TD.dtype)
        return token, functional.grouped_mm(
            functional.silu(gate) * up * weights_P1, self.w_out.transpose(1, 2), offs=ends_E
        )
