"""Prefill: prompts, and samples that are taken up again, put through the model in chunks under a token budget, several in one pass.

A text is cut only where it is longer than the budget of a whole pass: a chunk that has tokens before it must look at them again. Left out: which
text comes next (scheduler.py).
"""

from collections.abc import Sequence as Row
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from inference.attend import BLOCK, Chunk
from inference.blocks import Blocks, Chain
from inference.cache import Cache
from inference.decoder import Decoder
from inference.mtp import MTP
from inference.sequence import Ints, Prompt, Sequence, blocks_for, slots_of


class Model(NamedTuple):
    """What passes are made with. `mtp` is None where nothing is to be drafted."""

    decoder: Decoder
    mtp: MTP | None
    cache: Cache
    blocks: Blocks
    device: str
    kernels: bool

    def put(self, array: NDArray[np.generic]) -> torch.Tensor:
        """The array as a tensor on the device."""
        return self.on(torch.from_numpy(array))

    def on(self, tensor: torch.Tensor) -> torch.Tensor:
        """The tensor on the device."""
        return tensor if self.device == "cpu" else tensor.to(self.device)


@dataclass(slots=True, eq=False)
class Filling:
    """A text on its way through the model. `tokens` [S] are to go through."""

    owner: Prompt | Sequence
    tokens: Ints
    chain: Chain
    blocks: list[int]
    done: int  # tokens that lie in the cache
    slots: Ints = field(init=False)

    def __post_init__(self) -> None:
        """Lay out where its tokens go."""
        self.slots = slots_of(self.blocks, len(self.tokens))

    @property
    def left(self) -> int:
        """Tokens that are still to go through."""
        return len(self.tokens) - self.done


def admit(model: Model, owner: Prompt | Sequence, tokens: Ints, kind: str, *, reserve: int) -> Filling | None:
    """Begin with a text: share the blocks of what is known of it and take the others; None when fewer than `reserve` blocks would remain."""
    chain = Chain(tokens, kind, drafts=model.mtp is not None)
    known = model.blocks.find(chain)
    model.blocks.share(known)
    more = blocks_for(len(tokens)) - len(known)
    if model.blocks.free < more + reserve:
        model.blocks.release(known)
        return None
    blocks = known + [model.blocks.take() for _ in range(more)]
    return Filling(owner, tokens, chain, blocks, len(known) * BLOCK)


def fill(model: Model, parts: Row[tuple[Filling, int]]) -> list[torch.Tensor]:
    """One pass over the next `count` tokens of each text. Returns the state [D] of the last token of each part."""
    tokens = np.concatenate([f.tokens[f.done : f.done + count] for f, count in parts])
    positions = np.concatenate([np.arange(f.done, f.done + count) for f, count in parts])
    slots = np.concatenate([f.slots[f.done : f.done + count] for f, count in parts])
    chunks = [Chunk(count, f.done, model.put(f.slots[: f.done])) for f, count in parts]
    hidden = model.decoder.prefill(model.put(tokens), model.put(positions), model.put(slots), chunks, model.cache)
    if model.mtp is not None:
        _feed(model, model.mtp, parts, hidden, slots)
    lasts = np.cumsum([count for _, count in parts]) - 1
    for filling, count in parts:
        start, filling.done = filling.done, filling.done + count
        model.blocks.seal(filling.blocks, filling.chain, start // BLOCK, filling.done // BLOCK)
    return [hidden[last] for last in lasts.tolist()]


def _feed(model: Model, mtp: MTP, parts: Row[tuple[Filling, int]], hidden: torch.Tensor, slots: Ints) -> None:
    """Put the same tokens through the MTP layer, each with the token after it. The last of a text waits for what follows it."""
    fed, following, positions, chunks, at = [], [], [], [], 0
    for filling, count in parts:
        start = filling.done
        used = count - (start + count == len(filling.tokens))
        if used:
            fed.append(np.arange(at, at + used))
            following.append(filling.tokens[start + 1 : start + 1 + used])
            positions.append(np.arange(start, start + used))
            chunks.append(Chunk(used, start, model.put(filling.slots[:start])))
        at += count
    if chunks:
        index = np.concatenate(fed)
        mtp.prefill(
            hidden[model.put(index)], model.put(np.concatenate(following)), model.put(np.concatenate(positions)),
            model.put(slots[index]), chunks, cache=model.cache,
        )  # fmt: skip
