"""Speculative decoding with one drafted token, lossless: the draft only saves a pass, it never decides.

Every token is what its own draw gives under the model's distribution, drafted or not, so the output with drafts is the output without them, token
for token, greedy or sampled. A pass runs [newest token, draft]. If the token sampled after the first is the draft, the logits after the second
are those of the text as it now stands and give one more token. The draft is what the same draw gives under the MTP layer's distribution,
which makes the two agree more often than two draws would (a coupling; compare Leviathan et al. 2023, which accepts at random instead).

To guess t_{i+2} the MTP layer is fed the state at position i and t_{i+1} (V3 eq. 21). It must be fed every position once, so a sample whose draft
was accepted owes it two.
"""

from collections.abc import Sequence as Row

import numpy as np
import torch
from numpy.typing import NDArray

from inference.filling import Model
from inference.mtp import MTP
from inference.running import Running, slots_in
from inference.sampling import sample
from inference.sequence import Ints, Sequence

PAIR = np.arange(2)


class Owed:
    """What the MTP layer has not seen, an index a running sample: the states at one or two positions and the tokens that follow them."""

    def __init__(self, width: int, like: torch.Tensor) -> None:
        self.hidden = like.new_empty((0, 2, width))  # [B, 2, D]
        self.tokens = np.empty((0, 2), np.int64)
        self.start = np.empty(0, np.int64)  # [B] position of the first
        self.twice = np.empty(0, np.bool_)  # [B] whether the second counts

    def add(self, sequences: Row[Sequence], running: Running, part: slice) -> None:
        """Samples `part` of `running` have joined, each with its newest token known."""
        first = torch.stack([s.hidden for s in sequences if s.hidden is not None])
        assert len(first) == len(sequences)
        self.hidden = torch.cat((self.hidden, torch.stack((first, first), 1)))
        tokens = running.tokens[part]
        self.tokens = np.concatenate((self.tokens, np.stack((tokens, tokens), 1)))
        self.start = np.concatenate((self.start, running.positions[part] - 1))
        self.twice = np.concatenate((self.twice, np.zeros(len(sequences), np.bool_)))

    def leave(self, staying: NDArray[np.bool_]) -> None:
        """Only these samples stay."""
        self.hidden = self.hidden[torch.from_numpy(staying).to(self.hidden.device)]
        self.tokens, self.start, self.twice = self.tokens[staying], self.start[staying], self.twice[staying]

    def fed(
        self, running: Running, tables: NDArray[np.int32]
    ) -> tuple[torch.Tensor, Ints, Ints, Ints, NDArray[np.int32]]:
        """States [F, D], next tokens, positions, slots and tables of all that is owed, F in 1 .. 2 for each sample; `tables` has a row twice."""
        pairs = self.start[:, None] + PAIR
        if self.twice.all():
            positions, tokens, hidden = pairs.reshape(-1), self.tokens.reshape(-1), self.hidden.flatten(0, 1)
            return hidden, tokens, positions, slots_in(tables, np.arange(len(tables)), positions), tables
        if not self.twice.any():
            slots = slots_in(running.tables, running.index, self.start)
            return self.hidden[:, 0], self.tokens[:, 0].copy(), self.start, slots, running.tables
        counts = np.ones((len(running), 2), np.bool_)
        counts[:, 1] = self.twice
        at = counts.reshape(-1).nonzero()[0]
        positions = pairs.reshape(-1)[at]
        hidden = self.hidden.flatten(0, 1).index_select(0, running.put(at))
        return hidden, self.tokens.reshape(-1)[at], positions, slots_in(tables, at, positions), tables[at]


def draft(model: Model, mtp: MTP, running: Running, owed: Owed, tables: NDArray[np.int32]) -> torch.Tensor:
    """Feed the MTP layer what it is owed; its guess of each running sample's next token: int64 [B]."""
    hidden, *arrays = owed.fed(running, tables)
    out = mtp.decode(hidden, *(model.put(array) for array in arrays), cache=model.cache)
    if len(out) > len(running):
        out = out.index_select(0, model.put(np.cumsum(1 + owed.twice) - 1))
    draws = running.draws(running.places)
    return sample(model.decoder.logits(out), running.records.params, draws, kernels=model.kernels).tokens


def verify(
    model: Model, running: Running, owed: Owed, tables: NDArray[np.int32], drafts: torch.Tensor
) -> tuple[Ints, NDArray[np.bool_]]:
    """Run each newest token with its draft behind it, and write down the one or two tokens that follow: tokens [B, 2], and whether the
    draft was right [B], without which the second token means nothing.
    """
    guesses = drafts.cpu().numpy()
    tokens = np.empty((len(running), 2), np.int64)
    tokens[:, 0], tokens[:, 1] = running.tokens, guesses
    positions = (running.positions[:, None] + PAIR).reshape(-1)
    slots = slots_in(tables, np.arange(len(tables)), positions)
    arrays = (tokens.reshape(-1), positions, slots, tables)
    hidden = model.decoder.decode(*(model.put(array) for array in arrays), model.cache)
    places = (running.places[:, None] + PAIR).reshape(-1)
    logits, draws = model.decoder.logits(hidden), running.draws(places)
    # what a wrong draft gave stands past the end of the records, until the next token overwrites it
    found = running.write(places, sample(logits, running.records.params, draws, kernels=model.kernels)).reshape(-1, 2)
    right = found[:, 0] == guesses
    assert running.records.accepted is not None
    running.records.accepted.reshape(-1)[running.places] = right
    owed.hidden, owed.tokens, owed.twice = hidden.view(-1, 2, hidden.shape[-1]), found, right
    owed.start = running.positions.copy()
    return found, right
