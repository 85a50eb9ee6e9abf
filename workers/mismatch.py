"""Two routings of the same tokens, compared: where the sets of experts differ, layer by layer and token by token.

Plain numpy. Order within a token's experts means nothing, and gate weights are not compared. Left out: which two are worth comparing (replaying.py).
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

WORST_KEPT = 20  # tokens that are told one by one

Array = np.ndarray[Any, Any]


@dataclass(frozen=True, slots=True)
class Mismatch:
    """Of `tokens` tokens: per layer how many differ in their set and the experts that differ in all; the tokens that differ in most layers,
    as [token, layers that differ, id of the first of them], most first.
    """

    tokens: int
    layers: list[dict[str, int]]  # {"layer", "differ", "experts"}
    worst: list[list[int]]


def mismatch(first: Array, second: Array, layers: list[int]) -> Mismatch:
    """Compare expert ids [N, L, K] of the decoder layers `layers`. ValueError where their shapes differ."""
    if first.shape != second.shape or first.shape[1] != len(layers):
        raise ValueError(
            f"expert ids {list(first.shape)} and {list(second.shape)} of {len(layers)} layers are not alike"
        )
    lacking = np.zeros(first.shape[:2], np.int64)  # experts of the first that the second lacks
    for i in range(len(layers)):  # one at a time: the table of pairs of a long trace is large
        lacking[:, i] = (~(first[:, i, :, None] == second[:, i, None, :]).any(-1)).sum(-1)
    differ = lacking > 0
    per_token = differ.sum(1)
    order = np.argsort(-per_token, kind="stable")[:WORST_KEPT]
    return Mismatch(
        tokens=len(first),
        layers=[
            {"layer": layer, "differ": int(differ[:, i].sum()), "experts": int(lacking[:, i].sum())}
            for i, layer in enumerate(layers)
        ],
        worst=[[int(n), int(per_token[n]), layers[int(differ[n].argmax())]] for n in order if per_token[n]],
    )
