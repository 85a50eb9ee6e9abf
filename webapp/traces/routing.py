"""Statistics of expert routing: load, balance, what tells two stretches apart, which experts come together.

Plain numpy over counts, layer by layer. A token goes to K different experts in a layer, so a count is of tokens that took the expert, and
the counts of a layer sum to K times its tokens. Left out: reading the store (routing_counting.py), which tokens are think or answer.
"""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]
SMOOTHING = (
    0.5  # added to each cell of a two-by-two table (Haldane 1956), so that an expert never taken has a finite ratio
)
LEAST_TOGETHER = 5  # tokens that a pair must share before its lift says anything


def load(expert_ids: Array, n_experts: int) -> Array:
    """How many tokens took each expert: int64 [L, E] from expert ids [N, L, K]. ValueError for an id beyond `n_experts`."""
    tokens, layers, _k = expert_ids.shape
    if tokens and int(expert_ids.max(initial=0)) >= n_experts:
        raise ValueError(f"expert {int(expert_ids.max())} of {n_experts}")
    place = expert_ids.astype(np.int64) + (np.arange(layers, dtype=np.int64) * n_experts)[None, :, None]
    return np.bincount(place.reshape(-1), minlength=layers * n_experts).reshape(layers, n_experts)


def max_violation(counts: Array) -> float | None:
    """MaxVio of a layer's load [E]: the largest over the mean, less 1 (Wang et al. 2024, arXiv 2408.15664, section 4.1).

    0: all experts take the same; E / K - 1: the same K take all. None where nothing was routed.
    """
    mean = float(counts.mean()) if len(counts) else 0.0
    return float(counts.max()) / mean - 1 if mean else None


def divergence(first: Array, second: Array) -> float | None:
    """Jensen-Shannon divergence in bits of two loads [E], each taken as a distribution; 0 for equals, 1 for what shares no expert.

    Both weigh one half, however many tokens they have (Lin 1991). None where either is empty.
    """
    a, b = float(first.sum()), float(second.sum())
    if not a or not b:
        return None
    p, q = first / a, second / b
    m = (p + q) / 2
    return max(0.0, (_relative(p, m) + _relative(q, m)) / 2)


def _relative(p: Array, m: Array) -> float:
    """Kullback-Leibler divergence in bits, where `m` is nowhere 0 unless `p` is."""
    some = p > 0
    return float((p[some] * np.log2(p[some] / m[some])).sum())


def by_chance(first: Array, second: Array) -> float | None:
    """The divergence in bits to expect of two samples of one distribution, by their size alone: (S - 1) (1/a + 1/b) / (8 ln 2).

    S: experts that either took; a, b: choices made. First order of the plug-in estimate's bias, exact for large samples, never more
    than 1. What lies below it tells nothing apart.
    """
    a, b = float(first.sum()), float(second.sum())
    if not a or not b:
        return None
    seen = int(((first + second) > 0).sum())
    return min(1.0, (seen - 1) * (1 / a + 1 / b) / (8 * math.log(2)))


@dataclass(frozen=True, slots=True)
class Particular:
    """An expert that one stretch takes more than the other. `odds`: log2 of the odds ratio; `score`: that in standard errors."""

    expert: int
    here: int  # tokens that took it
    there: int
    share_here: float  # of the stretch's tokens
    share_there: float
    odds: float
    score: float


def particular(here: Array, tokens_here: int, there: Array, tokens_there: int, *, most: int = 3) -> list[Particular]:
    """The experts most particular to `here` (loads [E] of `tokens_here` and `tokens_there` tokens), the surest first.

    By the smoothed log odds ratio over its standard error sqrt(1/a + 1/b + 1/c + 1/d), so that an expert seen twice does not lead.
    Only what is taken more here than there; empty where either has no tokens.
    """
    if not tokens_here or not tokens_there:
        return []
    cells = [here + SMOOTHING, tokens_here - here + SMOOTHING, there + SMOOTHING, tokens_there - there + SMOOTHING]
    odds = np.log2(cells[0] * cells[3] / (cells[1] * cells[2]))
    score = odds * math.log(2) / np.sqrt(sum(1 / cell for cell in cells))
    order = [int(e) for e in np.argsort(-score, kind="stable")[:most] if odds[e] > 0]
    return [
        Particular(
            expert=e, here=int(here[e]), there=int(there[e]), share_here=float(here[e]) / tokens_here,
            share_there=float(there[e]) / tokens_there, odds=float(odds[e]), score=float(score[e]),
        )
        for e in order
    ]  # fmt: skip


def together(expert_ids: Array, n_experts: int) -> Array:
    """How many tokens took both of two experts: int64 [E, E] from one layer's ids [N, K]; the diagonal is the load."""
    pairs = expert_ids[:, :, None].astype(np.int64) * n_experts + expert_ids[:, None, :]
    return np.bincount(pairs.reshape(-1), minlength=n_experts * n_experts).reshape(n_experts, n_experts)


@dataclass(frozen=True, slots=True)
class Pair:
    """Two experts that tokens take together. `lift`: how many times as often as if each were taken regardless of the other."""

    first: int
    second: int
    tokens: int
    share: float
    lift: float


def pairs(counts: Array, tokens: int, *, most: int = 8) -> list[Pair]:
    """The pairs with the highest lift P(i, j) / (P(i) P(j)) of `counts` [E, E] over `tokens`, of those that enough tokens share.

    Enough: LEAST_TOGETHER and one token in a hundred. K experts drawn blindly have a lift just below 1, (K - 1) E / (K (E - 1)).
    """
    if not tokens:
        return []
    alone = np.diagonal(counts).astype(float)
    i, j = np.triu_indices(len(counts), k=1)
    joint = counts[i, j]
    enough = joint >= max(LEAST_TOGETHER, tokens / 100)
    i, j, joint = i[enough], j[enough], joint[enough]
    lift = joint * tokens / (alone[i] * alone[j])
    order = np.lexsort((-joint, -lift))[:most]
    return [Pair(int(i[n]), int(j[n]), int(joint[n]), float(joint[n]) / tokens, float(lift[n])) for n in order]
