"""The feed-forward of a layer: dense SwiGLU, or routed experts beside the shared ones (MoE paper eq. 9-11, V3 eq. 12-16).

Shapes: T tokens, D hidden, E routed experts.
"""

import torch
from torch.nn import functional

from inference import native
from inference.config import DeepseekConfig
from inference.experts import PackedSwiGLU, read_experts
from inference.gate import Routed, RouteDetail, kernel_rule, route
from inference.linear import Linear, Weights, below, vector


class SwiGLU:
    """down(silu(gate x) * up x). Gate and up are one product."""

    def __init__(self, weights: Weights, *, kernels: bool) -> None:
        self.w_in = Linear(weights("gate_proj.weight"), weights("up_proj.weight"), kernels=kernels)
        self.w_out = Linear(weights("down_proj.weight"), kernels=kernels)
        self.packed: PackedSwiGLU | None = None
        if self.w_in.packed is not None and self.w_out.packed is not None:
            self.packed = self.w_in.packed, self.w_out.packed, self.w_in.out_features // 2

    def __call__(self, x_TD: torch.Tensor, residual: torch.Tensor) -> torch.Tensor:
        """[T, D] to the same, `residual` added."""
        if self.packed is not None:
            return native.swiglu(x_TD, *self.packed, residual)
        gate, up = self.w_in(x_TD).chunk(2, -1)
        return self.w_out(functional.silu(gate) * up, residual)


class MoE:
    """Router, routed experts, shared experts. `weights` gives tensors by their name below `mlp.`."""

    def __init__(self, config: DeepseekConfig, weights: Weights, dtype: torch.dtype, *, kernels: bool) -> None:
        self.config = config
        self.gate = Linear(vector(weights, "gate.weight").float(), kernels=kernels)
        self.bias_E = vector(weights, "gate.e_score_correction_bias").float() if config.has_correction_bias else None
        self.shared = SwiGLU(below(weights, "shared_experts."), kernels=kernels) if config.n_shared_experts else None
        packed = (self.shared.packed if self.shared else None) if kernels else None
        self.experts = read_experts(config.n_routed_experts, below(weights, "experts."), dtype, packed, kernels=kernels)
        self.rule = kernel_rule(config) if kernels else None

    def __call__(self, x_TD: torch.Tensor, residual: torch.Tensor, *, detail: bool) -> tuple[torch.Tensor, Routed]:
        """[T, D] to the same with `residual` added, and where each token went. The routed scale is in the gate's weights and never touches
        the shared experts.
        """
        logits_TE = self.gate(x_TD.float())
        if self.rule is None:
            routed = route(logits_TE, self.bias_E, self.config, detail=detail)
            base = self.shared(x_TD, residual) if self.shared else residual
            return self.experts.add(base, x_TD, routed), routed
        ids_TK, weights_TK, *more = native.gate(logits_TE, self.bias_E, *self.rule, detail=detail)
        routed = Routed(ids_TK, weights_TK, RouteDetail(*more) if more else None)
        return self.experts.add(residual, x_TD, routed), routed  # the kernel runs the shared experts too
