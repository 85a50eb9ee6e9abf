"""Procedural problem families: FAMILIES by name, and generate(family, size, seed)."""

from __future__ import annotations

import random

from .arithmetic import CHAIN_SUM, GCD
from .base import HELDOUT_SHARE, Family, Item, Split, draw, split_of
from .equations import SIMPLE_EQUATIONS
from .letters import LETTER_COUNTING
from .lists import NUMBER_FILTERING, NUMBER_SORTING

__all__ = ["FAMILIES", "HELDOUT_SHARE", "Family", "Item", "Split", "draw", "generate", "split_of"]

FAMILIES: dict[str, Family] = {
    family.name: family
    for family in (
        CHAIN_SUM,
        GCD,
        NUMBER_SORTING,
        NUMBER_FILTERING,
        LETTER_COUNTING,
        SIMPLE_EQUATIONS,
    )
}
MAX_REPEATS = 500  # draws in a row that only repeated a problem


def generate(family: str, size: int, seed: int, split: Split | None = None) -> list[Item]:
    """`size` different problems of a family, the same ones for the same seed.

    `split` limits them to one side of the train / held-out split; None takes both.
    Raises ValueError for an unknown family, a size below one, or a family too small for that many.
    """
    if family not in FAMILIES:
        raise ValueError(f"unknown family {family!r}: one of {', '.join(FAMILIES)}")
    if size < 1:
        raise ValueError(f"size must be at least 1, got {size}")
    rng = random.Random(f"{family}/{seed}")
    found: dict[str, Item] = {}
    repeats = 0
    while len(found) < size:
        item = draw(FAMILIES[family], rng, split=split, seed=seed)
        repeats = repeats + 1 if item.key in found else 0
        if repeats > MAX_REPEATS:
            raise ValueError(f"family {family!r} has no {size} different problems (found {len(found)})")
        found.setdefault(item.key, item)
    return list(found.values())
