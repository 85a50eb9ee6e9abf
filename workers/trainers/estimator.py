"""pass@k from n samples, without bias."""

from __future__ import annotations

from math import comb


def pass_at_k(samples: int, correct: int, k: int) -> float:
    """1 - C(n - c, k) / C(n, k): the chance that k of n samples, c of them right, hold a right one (Chen et al. 2021, eq. 1).

    Raises ValueError where k or the number right exceeds the samples.
    """
    if not 1 <= k <= samples:
        raise ValueError(f"k must lie in 1..{samples} (the samples), got {k}")
    if not 0 <= correct <= samples:
        raise ValueError(f"correct must lie in 0..{samples} (the samples), got {correct}")
    return 1.0 - comb(samples - correct, k) / comb(samples, k)
