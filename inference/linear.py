"""What attention and feed-forward share: how weights are asked for, and the norm.

Projections have no class of their own: they are `torch.mm` against a view with the input first. `functional.linear` turns the weight anew in
every call, which at these sizes costs half of a small product.
"""

import math
from collections.abc import Callable

import torch
from torch.nn import functional

Weights = Callable[[str], torch.Tensor]  # a checkpoint name to its tensor


class Norm:
    """Root-mean-square norm over the last dimension, in float32, back in x's dtype."""

    def __init__(self, weight: torch.Tensor, eps: float) -> None:
        self.weight, self.eps = weight, eps
        self.float_weight = weight * math.sqrt(len(weight))
        self.floor = torch.tensor(math.sqrt(len(weight) * eps))

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        """[..., D] to the same."""
        if x.dtype == torch.float32:
            # w x / sqrt(mean(x^2) + eps) as sqrt(D) w x / hypot(|x|, sqrt(D eps)): four kernels where torch's own takes ten
            length = torch.linalg.vector_norm(x, dim=-1, keepdim=True)
            return x / torch.hypot(length, self.floor) * self.float_weight
        return self.weight * functional.rms_norm(x.float(), self.weight.shape, eps=self.eps).to(x.dtype)
