"""Fp8Weight: a matrix in DeepSeek's 8-bit form. Numbers are e4m3 (largest 448), and each block of 128 x 128 has one float32 scale.

The checkpoint calls the scale `weight_scale_inv`: the inverse of what the weights were multiplied by, so reading *multiplies* by it (DeepSeek-V3
README_WEIGHTS; W = q s). Blocks at the lower and right edge are cut off by the matrix. Left out: quantised activations and 8-bit matrix products; a
weight is expanded where it is used, which costs no accuracy and runs on every device.
"""

from dataclasses import dataclass

import torch

Q_DTYPE = torch.float8_e4m3fn
HALF = 2.0 ** (15 - 7)  # e4m3 counts its exponent from 7, float16 from 15


@dataclass(frozen=True, slots=True)
class Fp8Weight:
    """A matrix of M x N in 8 bit with a scale for each block of it."""

    q: torch.Tensor  # float8_e4m3fn [M, N]
    scale: torch.Tensor  # float32 [ceil(M / block[0]), ceil(N / block[1])]
    block: tuple[int, int] = (128, 128)

    def __post_init__(self) -> None:
        """Refuse a scale that does not cover the matrix."""
        if tuple(self.scale.shape) != scale_shape(self.shape, self.block):
            raise ValueError(f"a scale of {list(self.scale.shape)} does not cover {list(self.shape)} in {self.block}")

    @property
    def shape(self) -> torch.Size:
        """[M, N]."""
        return self.q.shape

    def dense(self, dtype: torch.dtype) -> torch.Tensor:
        """The matrix itself, [M, N] in `dtype`: the products are made in float32 and rounded once."""
        rows, columns = self.shape
        height, width = self.block
        scale = self.scale.repeat_interleave(width, 1)[:, :columns]  # [blocks of rows, N]
        if self.q.device.type != "cpu":
            return (self.q.to(torch.float32) * scale.repeat_interleave(height, 0)[:rows]).to(dtype)
        scale = scale * HALF  # exact
        out = torch.empty(rows, columns, dtype=dtype)
        # a strip of blocks at a time, so that what is made on the way stays in the processor's cache
        for block, top in enumerate(range(0, rows, height)):
            strip = slice(top, top + height)
            out[strip] = _halves(self.q[strip]).to(torch.float32).mul_(scale[block])
        return out


def _halves(q: torch.Tensor) -> torch.Tensor:
    """float16 of e4m3 / HALF, exactly: sign, exponent and mantissa stand there as here, seven bits further up. On a CPU several times as fast
    as torch's own conversion. NaN, which no weight is, would become a number.
    """
    bits = q.view(torch.int8).to(torch.int16).mul_(1 << 7).bitwise_and_(~(1 << 14))
    return bits.view(torch.float16)


def scale_shape(shape: tuple[int, ...], block: tuple[int, int]) -> tuple[int, int]:
    """How many blocks a matrix of `shape` has each way, those that its edge cuts included: 576 x 7168 has 5 x 56."""
    rows, columns = shape
    return -(-rows // block[0]), -(-columns // block[1])
