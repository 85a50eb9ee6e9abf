"""Rotary position embedding of the rope part of queries and keys: plain or YaRN frequencies, pairs (0, 1), (2, 3), ...

Half-split checkpoints, which pair (i, i + d_r / 2), are brought to this order when they are loaded (`interleaved`): queries and keys are
permuted alike, so scores are the same.
"""

import math

import torch

from inference.config import DeepseekConfig


def inverse_frequencies(config: DeepseekConfig) -> torch.Tensor:
    """Frequencies float32 [d_r / 2]. YaRN blends theta^(-2i/d) with itself over `factor` by a ramp between two corrected
    dimensions (Peng et al. 2023; official inference/model.py, precompute_freqs_cis).
    """
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


def turns(config: DeepseekConfig, length: int) -> torch.Tensor:
    """Cos + i sin, complex64 [length, d_r / 2], of positions 0 .. length - 1."""
    angles = torch.outer(torch.arange(length, dtype=torch.float32), inverse_frequencies(config))
    scale = config.yarn.rotary_mscale() if config.yarn else 1.0
    return torch.complex(angles.cos() * scale, angles.sin() * scale)


def rotate(x: torch.Tensor, turn: torch.Tensor) -> torch.Tensor:
    """Turn the pairs of the last dimension; `turn` must broadcast to x's leading dimensions with d_r / 2 last. Float32."""
    pairs = x.float().contiguous().view(*x.shape[:-1], -1, 2)
    return torch.view_as_real(torch.view_as_complex(pairs) * turn).flatten(-2)


def interleaved(rows: torch.Tensor, config: DeepseekConfig) -> torch.Tensor:
    """Rows [..., d_r, columns] of a rope projection in interleaved order, whatever order the checkpoint has."""
    if config.rope_interleave:
        return rows
    return torch.stack(rows.chunk(2, -2), -2).flatten(-3, -2)
