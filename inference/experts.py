"""Routed experts in the forms in which they are kept: packed for the native kernels, stacked in one tensor, or in 8 bit.

All say the same: base + sum over the chosen of weight * down(silu(gate x) * up x). No token is dropped.
Shapes: T tokens, D hidden, I expert width, E routed experts, K chosen, P = T K pairs.
"""

from collections.abc import Callable
from typing import Protocol

import numpy as np
import torch
from torch.nn import functional

from inference import native
from inference.fp8 import Fp8Weight
from inference.gate import Routed
from inference.linear import Matrix, Weights, dense

Expert = tuple[Matrix, Matrix, Matrix]  # gate [I, D], up [I, D], down [D, I]
PackedSwiGLU = tuple[torch.Tensor, torch.Tensor, int]  # gate and up packed, down packed, I


class Experts(Protocol):
    """Any of the forms."""

    def add(self, base_TD: torch.Tensor, x_TD: torch.Tensor, routed: Routed) -> torch.Tensor:
        """`base_TD` plus what the chosen experts make of `x_TD`."""


def read_experts(
    count: int, weights: Weights, dtype: torch.dtype, shared: PackedSwiGLU | None = None, *, kernels: bool
) -> Experts:
    """`weights` gives tensors by their name below `experts.`. One expert at a time is read, so a layer is never there twice. `shared` are
    those that the kernel runs in the same call.
    """

    def read(index: int) -> Expert:
        gate, up, down = (weights(f"{index}.{name}_proj.weight") for name in ("gate", "up", "down"))
        return gate, up, down

    first = read(0)
    if isinstance(first[0], Fp8Weight):
        return EightBitExperts([first, *map(read, range(1, count))], dtype)
    return PackedExperts(count, first, read, shared) if kernels else StackedExperts(count, first, read)


class PackedExperts:
    """float32 on the CPU, by one native kernel for all, the shared experts with them."""

    def __init__(
        self, count: int, first: Expert, read: Callable[[int], Expert], shared: PackedSwiGLU | None = None
    ) -> None:
        self.width, self.shared = first[0].shape[0], shared
        self.w_in, self.w_out = _fill(count, first, read, native.pack)

    def add(self, base_TD: torch.Tensor, x_TD: torch.Tensor, routed: Routed) -> torch.Tensor:
        """See `Experts`."""
        return native.experts(x_TD, routed.ids, routed.weights, self.w_in, self.w_out, self.width, base_TD, self.shared)


class StackedExperts:
    """[E, 2I, D] and [E, D, I]: one expert at a time on the CPU, a grouped product on an accelerator."""

    def __init__(self, count: int, first: Expert, read: Callable[[int], Expert]) -> None:
        self.w_in, self.w_out = _fill(count, first, read, lambda matrix: matrix)

    def add(self, base_TD: torch.Tensor, x_TD: torch.Tensor, routed: Routed) -> torch.Tensor:
        """See `Experts`."""
        if x_TD.device.type == "cpu":
            return base_TD.index_add(0, *one_by_one(x_TD, routed, len(self.w_in), self._matrices))
        return base_TD.index_add(0, *self.grouped(x_TD, routed))

    def _matrices(self, expert: int) -> tuple[torch.Tensor, torch.Tensor]:
        return self.w_in[expert].t(), self.w_out[expert].t()

    def grouped(self, x_TD: torch.Tensor, routed: Routed) -> tuple[torch.Tensor, torch.Tensor]:
        """Like `one_by_one`, without asking the device for a number. Level or behind on the CPU until hundreds of tokens."""
        chosen = routed.ids.flatten()
        pair = chosen.argsort(stable=True)
        token = pair // routed.ids.shape[1]
        counts_E = torch.zeros(len(self.w_in), dtype=torch.int32, device=x_TD.device)
        ends_E = counts_E.index_add_(0, chosen, torch.ones_like(chosen, dtype=torch.int32)).cumsum(0, dtype=torch.int32)
        gate, up = functional.grouped_mm(x_TD[token], self.w_in.transpose(1, 2), offs=ends_E).chunk(2, -1)
        hidden = functional.silu(gate) * up * routed.weights.flatten()[pair][:, None].to(x_TD.dtype)
        return token, functional.grouped_mm(hidden, self.w_out.transpose(1, 2), offs=ends_E)


class EightBitExperts:
    """Kept as in an FP8 checkpoint; an expert is expanded when it is used and forgotten after."""

    def __init__(self, experts: list[Expert], dtype: torch.dtype) -> None:
        self.experts, self.dtype = experts, dtype

    def add(self, base_TD: torch.Tensor, x_TD: torch.Tensor, routed: Routed) -> torch.Tensor:
        """See `Experts`."""
        return base_TD.index_add(0, *one_by_one(x_TD, routed, len(self.experts), self._matrices))

    def _matrices(self, expert: int) -> tuple[torch.Tensor, torch.Tensor]:
        gate, up, down = (dense(each, self.dtype) for each in self.experts[expert])
        return torch.cat((gate, up)).t(), down.t()


def one_by_one(
    x_TD: torch.Tensor, routed: Routed, count: int, matrices: Callable[[int], tuple[torch.Tensor, torch.Tensor]]
) -> tuple[torch.Tensor, torch.Tensor]:
    """Every (token, expert) pair's token int64 [P] and weighted output [P, D]: pairs sorted by expert, each expert that was chosen run
    once on its own. `matrices` gives [D, 2I] and [I, D] of an expert, `count` is E.
    """
    chosen = routed.ids.cpu().numpy().ravel()  # numpy sorts and counts a few numbers several times faster than torch
    order = chosen.argsort(kind="stable")
    counts = np.bincount(chosen, minlength=count)
    pair = torch.from_numpy(order).to(x_TD.device)
    token = pair // routed.ids.shape[1]
    weights_P1 = routed.weights.flatten()[pair][:, None].to(x_TD.dtype)
    used = counts.nonzero()[0].tolist()
    sizes, out = counts[used].tolist(), []
    shares = zip(torch.split_with_sizes(x_TD[token], sizes), torch.split_with_sizes(weights_P1, sizes), strict=True)
    for expert, (x, weight) in zip(used, shares, strict=True):
        w_in, w_out = matrices(expert)
        gate, up = torch.mm(x, w_in).chunk(2, -1)
        out.append(
            torch.mm(functional.silu(gate) * up * weight, w_out)
        )  # weighing the narrow middle is weighing the output
    return token, torch.cat(out)


def _fill(
    count: int, first: Expert, read: Callable[[int], Expert], form: Callable[[torch.Tensor], torch.Tensor]
) -> tuple[torch.Tensor, torch.Tensor]:
    """All experts' gate and up, and down, each matrix brought into `form`, in two tensors with the expert first."""

    def both(expert: Expert) -> tuple[torch.Tensor, torch.Tensor]:
        gate, up, down = (dense(each, torch.float32) for each in expert)
        return form(torch.cat((gate, up))), form(down)

    w_in, w_out = (part.new_empty(count, *part.shape) for part in both(first))
    for index in range(count):
        w_in[index], w_out[index] = both(first if index == 0 else read(index))
    return w_in, w_out
