"""What attention and feed-forward share: how weights are asked for, projections, and the norm.

A projection has three forms, chosen when the model is built: packed for the native kernels (float32 on the CPU), plain `torch.mm` against a view
with the input first (`functional.linear` turns the weight anew in every call, which at these sizes costs half of a small product), and 8 bit,
expanded block by block in every use.
"""

import math
from collections.abc import Callable

import torch
from torch.nn import functional

from inference import native
from inference.fp8 import Fp8Weight

Matrix = torch.Tensor | Fp8Weight
Weights = Callable[[str], Matrix]  # a checkpoint name to its tensor


def below(weights: Weights, prefix: str) -> Weights:
    """The same weights, asked for by what follows `prefix`."""

    def get(name: str) -> Matrix:
        return weights(prefix + name)

    return get


def dense(matrix: Matrix, dtype: torch.dtype) -> torch.Tensor:
    """The matrix in `dtype`, expanded if it is kept in 8 bit."""
    return matrix.dense(dtype) if isinstance(matrix, Fp8Weight) else matrix


def vector(weights: Weights, name: str) -> torch.Tensor:
    """A tensor that no checkpoint keeps in 8 bit: a gain, a bias, an embedding."""
    value = weights(name)
    if isinstance(value, Fp8Weight):
        raise ValueError(f"{name} is kept in 8 bit; only matrices of projections can be")  # noqa: TRY004  # the file is bad
    return value


class Linear:
    """y = x W^T + b, where W is `parts` stacked: products that read the same input become one."""

    def __init__(self, *parts: Matrix, bias: torch.Tensor | None = None, kernels: bool = False) -> None:
        self.out_features = sum(part.shape[0] for part in parts)
        self.bias = bias
        self.packed = self.w = None
        self.eight = parts if any(isinstance(part, Fp8Weight) for part in parts) else ()
        if self.eight:
            return
        stacked = torch.cat([dense(part, torch.float32) for part in parts])
        if kernels:
            self.packed = native.pack(stacked)
        else:
            self.w = stacked.t()

    def __call__(self, x_TD: torch.Tensor, residual: torch.Tensor | None = None) -> torch.Tensor:
        """[T, D] to [T, out_features]; adds `residual` of the result's shape."""
        if self.packed is not None:
            return native.linear(x_TD, self.packed, self.out_features, self.bias, residual)
        if self.w is not None:
            out = torch.mm(x_TD, self.w)
        else:
            out = torch.cat([torch.mm(x_TD, dense(part, x_TD.dtype).t()) for part in self.eight], -1)
        if self.bias is not None:
            out += self.bias
        return out if residual is None else residual + out


class Norm:
    """Root-mean-square norm over the last dimension, in float32, back in x's dtype."""

    def __init__(self, weight: torch.Tensor, eps: float, *, kernels: bool = False) -> None:
        self.weight, self.eps, self.kernels = weight, eps, kernels
        self.float_weight = weight * math.sqrt(len(weight))
        self.floor = torch.tensor(math.sqrt(len(weight) * eps))

    @classmethod
    def read(cls, weights: Weights, name: str, eps: float, *, kernels: bool) -> "Norm":
        """The norm whose gain is `name`.weight."""
        return cls(vector(weights, f"{name}.weight"), eps, kernels=kernels)

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        """[..., D] to the same."""
        if self.kernels:
            return native.rms_norm(x, self.weight, self.eps)
        if x.dtype == torch.float32 and x.device.type == "cpu":
            # w x / sqrt(mean(x^2) + eps) as sqrt(D) w x / hypot(|x|, sqrt(D eps)): four kernels where torch's own takes ten
            length = torch.linalg.vector_norm(x, dim=-1, keepdim=True)
            return x / torch.hypot(length, self.floor) * self.float_weight
        return self.weight * functional.rms_norm(x.float(), self.weight.shape, eps=self.eps).to(x.dtype)
