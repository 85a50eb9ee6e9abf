"""From a seed and a step to a batch: fresh worked traces, one a row, in groups of like length, with loss weights.

A batch is a pure function of (seed, step, hardest), so a resumed run sees exactly the batches it would have seen. A row
holds one trace: packing several into a row was tried first, and made the model search other problems' digits for the ones
to copy, while attention over long rows took a third of the time. Sorting into groups keeps padding to a few per cent.

The loss weighs prompts nothing. Their digits and words are drawn at random, so there is nothing in them to learn, and at
this size their noise would take part of every gradient.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

from .families import FAMILIES, Item, draw
from .text import EOS_ID, completion_text, prompt_text


@dataclass(frozen=True)
class Document:
    """One trace as tokens; `trained` counts the tokens at its end that carry loss."""

    ids: list[int]
    trained: int


@dataclass(frozen=True)
class Rows:
    """inputs, targets: int64 [B, S]; weights: float32 [B, S], 1 where the target is part of a completion, else 0."""

    inputs: NDArray[np.int64]
    targets: NDArray[np.int64]
    weights: NDArray[np.float32]


def encode_item(tokenizer: Tokenizer, item: Item) -> Document:
    """Prompt and completion are encoded apart, as they are when the model answers."""
    prompt = tokenizer.encode(prompt_text(item.prompt)).ids
    completion = tokenizer.encode(completion_text(item)).ids
    return Document(prompt + completion, len(completion))


def training_items(seed: int, step: int, hardest: int) -> Iterator[Item]:
    """Endless fresh items of the training side, up to a difficulty; families are drawn by their weight."""
    rng = random.Random(f"stream/{seed}/{step}")
    families = list(FAMILIES.values())
    weights = [family.weight for family in families]
    while True:
        family = rng.choices(families, weights)[0]
        item = draw(family, rng, split="train", seed=seed)
        while item.difficulty > hardest:
            item = draw(family, rng, split="train", seed=seed)
        yield item


def pad(documents: list[Document]) -> Rows:
    """One document a row, padded at the end without weight; inputs and targets are one token apart."""
    longest = max(len(document.ids) for document in documents)
    ids = np.full((len(documents), longest), EOS_ID, dtype=np.int64)
    weights = np.zeros((len(documents), longest), dtype=np.float32)
    for row, document in enumerate(documents):
        end = len(document.ids)
        ids[row, :end] = document.ids
        weights[row, end - document.trained : end] = 1.0
    return Rows(ids[:, :-1], ids[:, 1:], weights[:, 1:])


def grouped(documents: list[Document], groups: int) -> list[Rows]:
    """Sorted by length and cut into so many groups of rows."""
    ordered = sorted(documents, key=lambda each: len(each.ids))
    size = -(-len(ordered) // groups)
    return [pad(ordered[start : start + size]) for start in range(0, len(ordered), size)]


def batch_at(tokenizer: Tokenizer, *, seed: int, step: int, documents: int, groups: int, hardest: int) -> list[Rows]:
    """The batch of a step."""
    stream = training_items(seed, step, hardest)
    return grouped([encode_item(tokenizer, next(stream)) for _ in range(documents)], groups)
