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
from inference.running import PLACE, TOKEN, Running, slots_in
from inference.sampling import sample
from inference.sequence import Ints, Sequence


class Owed:
    """What the MTP layer has not seen, an index a running sample: the states at one or two positions, and what it is fed with each."""

    def __init__(self, width: int, like: torch.Tensor) -> None:
        self.hidden = like.new_empty((0, 2, width))  # [B, 2, D]
        self.given = np.empty((3, 0, 2), np.int64)  # [3, B, 2] the tokens that follow, the positions, their cache slots
        self.twice = np.empty(0, np.bool_)  # [B] whether the second counts

    def add(self, sequences: Row[Sequence], running: Running, part: slice) -> None:
        """Samples `part` of `running` have joined, each with its newest token known."""
        first = torch.stack([s.hidden for s in sequences if s.hidden is not None])
        assert len(first) == len(sequences)
        self.hidden = torch.cat((self.hidden, torch.stack((first, first), 1)))
        before = running.positions[part] - 1
        given = np.stack((running.tokens[part], before, slots_in(running.tables[part, 0], before)))
        self.given = np.concatenate((self.given, np.stack((given, given), 2)), 1)
        self.twice = np.concatenate((self.twice, np.zeros(len(sequences), np.bool_)))

    def leave(self, staying: NDArray[np.bool_]) -> None:
        """Only these samples stay."""
        self.hidden = self.hidden[torch.from_numpy(staying).to(self.hidden.device)]
        self.given, self.twice = self.given[:, staying], self.twice[staying]


def draft(model: Model, mtp: MTP, running: Running, owed: Owed) -> torch.Tensor:
    """Feed the MTP layer what it is owed; its guess of each running sample's next token: int64 [B]."""
    count, twice = len(running), int(np.count_nonzero(owed.twice))
    hidden, given, tables = owed.hidden.flatten(0, 1), owed.given.reshape(3, -1), model.on(running.every_table)
    if not twice:
        hidden, given, tables = hidden[::2], given[:, ::2].copy(), tables[::2].contiguous()
    elif twice < count:
        counts = np.ones((count, 2), np.bool_)
        counts[:, 1] = owed.twice
        at = counts.reshape(-1).nonzero()[0]
        index = model.put(at)
        hidden, given, tables = hidden[index], given.take(at, 1), tables[index]
    tokens, positions, slots = model.put(given).unbind()
    out = mtp.decode(hidden, tokens, positions, slots, tables, cache=model.cache)
    if twice:
        out = out[1::2] if twice == count else out[model.put(np.cumsum(1 + owed.twice) - 1)]
    draws = running.draws(running.places)
    return sample(model.decoder.logits(out), running.records.params, draws, kernels=model.kernels).tokens


def verify(model: Model, running: Running, owed: Owed, drafts: torch.Tensor) -> tuple[Ints, NDArray[np.bool_]]:
    """Run each newest token with its draft behind it, and write down the one or two tokens that follow: tokens [B, 2], and whether the
    draft was right [B], without which the second token means nothing.
    """
    guesses = drafts.cpu().numpy()
    running.state[TOKEN, :, 1] = guesses
    hidden = model.decoder.decode(*running.inputs(), model.cache)
    places = running.every_place
    logits, draws = model.decoder.logits(hidden), running.draws(places)
    # what a wrong draft gave stands past the end of the records, until the next token overwrites it
    found = running.write(places, sample(logits, running.records.params, draws, kernels=model.kernels)).reshape(-1, 2)
    right = found[:, 0] == guesses
    running.records.flat_accepted[running.places] = right
    owed.given = running.state[:PLACE].copy()
    owed.given[TOKEN] = found
    owed.hidden, owed.twice = hidden.view(-1, 2, hidden.shape[-1]), right
    return found, right
