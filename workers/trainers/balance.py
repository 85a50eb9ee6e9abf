"""Balance of experts without an auxiliary loss: the routing bias of DeepSeek-V3 (2.1.2), and how even a load is."""

from __future__ import annotations

import torch


def loads(expert_ids: torch.Tensor, n_experts: int) -> torch.Tensor:
    """How many assignments each expert got: int64 [E], from expert ids of any shape."""
    return torch.bincount(expert_ids.reshape(-1), minlength=n_experts)


@torch.no_grad()
def update_bias(bias_E: torch.Tensor, load_E: torch.Tensor, rate: float) -> None:
    """In place: b_i += rate * sign(mean load - load_i). An overloaded expert becomes less eligible, never less weighty."""
    load = load_E.to(bias_E.dtype)
    bias_E += rate * torch.sign(load.mean() - load)


def max_violation(load_E: torch.Tensor) -> float:
    """MaxVio: (largest load - mean load) / mean load; 0 is even, n_experts / top_k - 1 a collapse."""
    mean = float(load_E.float().mean())
    return float(load_E.max()) / mean - 1 if mean else 0.0
