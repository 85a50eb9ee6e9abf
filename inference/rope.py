"""Rotary position embedding: plain, YaRN or Llama 3.1 frequencies, over the rope part of queries and keys (MLA) or over whole heads.

One rotation for all: pairs (0, 1), (2, 3), ... Half-split checkpoints, which pair (i, i + d_r / 2), are brought to this order when they are
loaded (`interleaved_heads`): queries and keys are permuted alike, so scores are the same.
"""

import math

import torch

from inference.config import DeepseekConfig
from inference.scaling import Llama3, Yarn


def inverse_frequencies(config: DeepseekConfig) -> torch.Tensor:
    """Frequencies float32 [d_r / 2]: theta^(-2i/d), scaled as the config says."""
    dim = config.rope_dim
    plain = 1.0 / (config.rope_theta ** (torch.arange(0, dim, 2, dtype=torch.float32) / dim))
    scaling = config.rope_scaling
    if isinstance(scaling, Yarn):
        return _yarn(plain, scaling, config.rope_theta)
    return _llama3(plain, scaling) if isinstance(scaling, Llama3) else plain


def _yarn(plain: torch.Tensor, yarn: Yarn, theta: float) -> torch.Tensor:
    """Blend with itself over `factor` by a ramp between two corrected dimensions (Peng et al. 2023; official inference/model.py,
    precompute_freqs_cis).
    """
    dim = 2 * len(plain)

    def correction(rotations: float) -> float:
        wavelength = yarn.original_max_position_embeddings / (rotations * 2 * math.pi)
        return dim * math.log(wavelength) / (2 * math.log(theta))

    low = max(math.floor(correction(yarn.beta_fast)), 0)
    high = min(math.ceil(correction(yarn.beta_slow)), dim - 1)
    span = max(high - low, 0.001)
    ramp = ((torch.arange(dim // 2, dtype=torch.float32) - low) / span).clamp(0, 1)
    return plain / yarn.factor * ramp + plain * (1 - ramp)


def _llama3(plain: torch.Tensor, scaling: Llama3) -> torch.Tensor:
    """Keep what turns more than `high_freq_factor` times in the original context, divide what turns less than `low_freq_factor` times, blend
    between (Llama 3.1's own code; transformers, _compute_llama3_parameters).
    """
    turns_in_context = scaling.original_max_position_embeddings * plain / (2 * math.pi)
    span = scaling.high_freq_factor - scaling.low_freq_factor
    keep = ((turns_in_context - scaling.low_freq_factor) / span).clamp(0, 1)
    return plain / scaling.factor * (1 - keep) + plain * keep


def turns(config: DeepseekConfig, length: int) -> torch.Tensor:
    """Cos + i sin, complex64 [length, d_r / 2], of positions 0 .. length - 1."""
    angles = torch.outer(torch.arange(length, dtype=torch.float32), inverse_frequencies(config))
    scale = config.yarn.rotary_mscale() if config.yarn else 1.0
    return torch.complex(angles.cos() * scale, angles.sin() * scale)


def rotate(x: torch.Tensor, turn: torch.Tensor) -> torch.Tensor:
    """Turn the pairs of the last dimension; `turn` must broadcast to x's leading dimensions with d_r / 2 last. Float32."""
    pairs = x.float().contiguous().view(*x.shape[:-1], -1, 2)
    return torch.view_as_real(torch.view_as_complex(pairs) * turn).flatten(-2)


def interleaved_heads(matrix: torch.Tensor, config: DeepseekConfig, before: int = 0) -> torch.Tensor:
    """Rows [heads * (before + d_r), columns] of a projection to queries or keys, the last d_r rows of each head in interleaved order, whatever order the
    checkpoint has; `before` rows of a head do not rotate. A bias goes in as one column.
    """
    if config.rope_interleave:
        return matrix
    rows = matrix.view(-1, before + config.rope_dim, *matrix.shape[1:])
    halves = rows[:, before:].chunk(2, 1)
    return torch.cat((rows[:, :before], torch.stack(halves, 2).flatten(1, 2)), 1).flatten(0, 1)
