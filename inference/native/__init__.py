"""Float32 kernels for decoding on the CPU: small batches, packed weights, one call where torch takes ten.

Plain torch stays the reference; ask `available()` first. Left out: other dtypes and devices, gradients. A row's result does not depend on the
rows beside it nor on the number of threads, by a bit. Tensors are float32 and contiguous on the CPU unless said; a wrong shape or dtype is a
RuntimeError that names the argument.

Shapes: T tokens, D hidden, K inputs, N outputs, P = ceil(N / 16) panels.
"""

import functools
import logging

import torch

log = logging.getLogger(__name__)


@functools.cache
def available() -> bool:
    """Whether the kernels run here; builds and loads them on the first call. False says why in the log and never raises."""
    from inference.native.build import BuildError, build  # noqa: PLC0415  # so that `python -m` finds it not yet imported

    try:
        torch.ops.load_library(str(build()))  # type: ignore[no-untyped-call]
    except (BuildError, OSError) as error:
        log.warning("no native kernels: %s", error)
        return False
    return True


def pack(weight_NK: torch.Tensor) -> torch.Tensor:
    """A projection's weight in the order that `linear` reads: [P, K, 16], zeros past N."""
    out: torch.Tensor = torch.ops.sluice.pack.default(weight_NK)
    return out


def linear(
    x_TK: torch.Tensor,
    packed: torch.Tensor,
    n: int,
    bias_N: torch.Tensor | None = None,
    residual_TN: torch.Tensor | None = None,
) -> torch.Tensor:
    """The product x W^T + bias + residual, [T, N]; rows of x may be strided."""
    out: torch.Tensor = torch.ops.sluice.linear.default(x_TK, packed, n, bias_N, residual_TN)
    return out
