"""From a seed and a step to the rows of a batch: whole traces packed into rows, with the weight of each position's loss.

A batch is a pure function of (seed, step), so a resumed run sees exactly the batches it would have seen. Rows hold whole
traces only, longest placed first; what fits nowhere is dropped. A row's later traces can look back at its earlier ones:
they begin with the first-of-sentence token, after which the model learns to look no further, and rotary positions are
relative, so no mask is kept between them.

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

OVERDRAW = 1.12  # tokens drawn for each place: enough that longest-first packing leaves few places empty


@dataclass(frozen=True)
class Document:
    """One trace as tokens; `trained` counts the tokens at its end that carry loss."""

    ids: list[int]
    trained: int


@dataclass(frozen=True)
class Rows:
    """inputs, targets: int64 [B, S]; weights: float32 [B, S], 1 where the target is part of a completion."""

    inputs: NDArray[np.int64]
    targets: NDArray[np.int64]
    weights: NDArray[np.float32]


def encode_item(tokenizer: Tokenizer, item: Item) -> Document:
    """Prompt and completion are encoded apart, as they are when the model answers."""
    prompt = tokenizer.encode(prompt_text(item.prompt)).ids
    completion = tokenizer.encode(completion_text(item)).ids
    return Document(prompt + completion, len(completion))


def training_items(seed: int, step: int) -> Iterator[Item]:
    """Endless fresh items of the training side, families drawn by their weight; a pure function of its arguments."""
    rng = random.Random(f"stream/{seed}/{step}")
    families = list(FAMILIES.values())
    weights = [family.weight for family in families]
    while True:
        yield draw(rng.choices(families, weights)[0], rng, split="train", seed=seed)


def pack(documents: list[Document], batch: int, length: int) -> Rows:
    """Longest first, each into the first row with room. Rows end in padding without weight.

    Raises ValueError if a document is longer than a row.
    """
    rows: list[list[Document]] = [[] for _ in range(batch)]
    room = [length + 1] * batch  # inputs and targets are one token apart
    for document in sorted(documents, key=lambda each: -len(each.ids)):
        if len(document.ids) > length + 1:
            raise ValueError(f"a trace of {len(document.ids)} tokens does not fit a row of {length}")
        place = next((row for row in range(batch) if room[row] >= len(document.ids)), None)
        if place is not None:
            rows[place].append(document)
            room[place] -= len(document.ids)
    ids = np.full((batch, length + 1), EOS_ID, dtype=np.int64)
    weights = np.zeros((batch, length + 1), dtype=np.float32)
    for row, documents_in_row in enumerate(rows):
        end = 0
        for document in documents_in_row:
            start, end = end, end + len(document.ids)
            ids[row, start:end] = document.ids
            weights[row, end - document.trained : end] = 1.0
    return Rows(ids[:, :-1], ids[:, 1:], weights[:, 1:])


def batch_at(tokenizer: Tokenizer, *, seed: int, step: int, batch: int, length: int) -> Rows:
    """The batch of a step."""
    documents: list[Document] = []
    total = 0
    for item in training_items(seed, step):
        documents.append(encode_item(tokenizer, item))
        total += len(documents[-1].ids)
        if total >= OVERDRAW * batch * length:
            break
    return pack(documents, batch, length)
