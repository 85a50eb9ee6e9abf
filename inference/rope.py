"""Rotary position embedding of the rope part of queries and keys: interleaved or half-split pairs, plain or YaRN frequencies."""

import math

import torch

from inference.config import DeepseekConfig


def inverse_frequencies(config: DeepseekConfig) -> torch.Tensor:
    """Frequencies float32 [d_r / 2]. YaRN blends theta^(-2i/d) with itself over `factor` by a ramp between two corrected
    dimensions (Peng et al. 2023; official inference/model.py, precompute_freqs_cis)."""
    dim = config.qk_rope_head_dim
    plain = 1.0 / (config.rope_theta ** (torch.arange(0, dim, 2, dtype=torch.float32) / dim))
    yarn = config.yarn
    if yarn is None:
        return plain

    def correction(rotations: float) -> float:
        wavelength = yarn.original_max_position_embeddings / (rotations * 2 * math.pi)
        return dim * math.log(wavelength) / (2 * math.log(config.rope_theta))

    low = max(math.floor(correction(yarn.beta_fast)), 0)
    high = min(math.ceil(correction(yarn.beta_slow)), dim - 1)
    span = max(high - low, 0.001)
    ramp = ((torch.arange(dim // 2, dtype=torch.float32) - low) / span).clamp(0, 1)
    return plain / yarn.factor * ramp + plain * (1 - ramp)


def tables(config: DeepseekConfig, length: int) -> tuple[torch.Tensor, torch.Tensor]:
    """cos and sin, float32 [length, d_r / 2], of positions 0 .. length - 1."""
    angles = torch.outer(torch.arange(length, dtype=torch.float32), inverse_frequencies(config))
    scale = config.yarn.rotary_mscale() if config.yarn else 1.0
    return angles.cos() * scale, angles.sin() * scale


def rotate(x: torch.Tensor, cos: torch.Tensor, sin: torch.Tensor, *, interleave: bool) -> torch.Tensor:
    """Rotate pairs of the last dimension; cos and sin must broadcast to x's leading dimensions with d_r / 2 last.

    Interleaved checkpoints pair (0, 1), (2, 3), ...; half-split ones pair (i, i + d_r / 2). Either way the result is laid out
    [firsts | seconds]: queries and keys are permuted alike, so scores are the same, and no copy is spent on order.
    """
    if interleave:
        first, second = x[..., 0::2], x[..., 1::2]
    else:
        first, second = x.chunk(2, -1)
    return torch.cat((first * cos - second * sin, first * sin + second * cos), -1)
