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
from inference.running import PLACE, POSITION, Running, slots_in
from inference.sampling import sample
from inference.sequence import Ints, Sequence

PAIR = np.arange(2)


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
        slots = slots_in(running.tables[part], np.arange(len(sequences)), before)
        given = np.stack((running.tokens[part], before, slots))
        self.given = np.concatenate((self.given, np.stack((given, given), 2)), 1)
        self.twice = np.concatenate((self.twice, np.zeros(len(sequences), np.bool_)))

    def leave(self, staying: NDArray[np.bool_]) -> None:
        """Only these samples stay."""
        self.hidden = self.hidden[torch.from_numpy(staying).to(self.hidden.device)]
        self.given, self.twice = self.given[:, staying], self.twice[staying]


def draft(model: Model, mtp: MTP, running: Running, owed: Owed, tables: NDArray[np.int32]) -> torch.Tensor:
    """Feed the MTP layer what it is owed; its guess of each running sample's next token: int64 [B]. `tables` has each block table twice."""
    hidden, given, lasts = owed.hidden.flatten(0, 1), owed.given.reshape(3, -1), None
    if owed.twice.all():
        last = slice(1, None, 2)
    elif not owed.twice.any():
        last, hidden, given, tables = slice(None), owed.hidden[:, 0], owed.given[:, :, 0].copy(), running.tables
    else:
        counts = np.ones((len(running), 2), np.bool_)
        counts[:, 1] = owed.twice
        at = counts.reshape(-1).nonzero()[0]
        hidden, given, tables = hidden.index_select(0, model.put(at)), given.take(at, 1), tables[at]
        last, lasts = slice(None), np.cumsum(1 + owed.twice) - 1
    out = mtp.decode(hidden, *model.put(given).unbind(), model.put(tables), cache=model.cache)
    out = out[last] if lasts is None else out.index_select(0, model.put(lasts))
    draws = running.draws(running.places)
    return sample(model.decoder.logits(out), running.records.params, draws, kernels=model.kernels).tokens


def verify(
    model: Model, running: Running, owed: Owed, tables: NDArray[np.int32], drafts: torch.Tensor
) -> tuple[Ints, NDArray[np.bool_]]:
    """Run each newest token with its draft behind it, and write down the one or two tokens that follow: tokens [B, 2], and whether the
    draft was right [B], without which the second token means nothing.
    """
    guesses = drafts.cpu().numpy()
    pairs = (running.state[POSITION : PLACE + 1, :, None] + PAIR).reshape(2, -1)
    positions, places = pairs[0], pairs[1]
    given = np.empty((3, len(running), 2), np.int64)
    given[0, :, 0], given[0, :, 1] = running.tokens, guesses
    inputs = given.reshape(3, -1)
    inputs[1], inputs[2] = positions, slots_in(tables, np.arange(len(tables)), positions)
    hidden = model.decoder.decode(*model.put(inputs).unbind(), model.put(tables), model.cache)
    logits, draws = model.decoder.logits(hidden), running.draws(places)
    # what a wrong draft gave stands past the end of the records, until the next token overwrites it
    found = running.write(places, sample(logits, running.records.params, draws, kernels=model.kernels)).reshape(-1, 2)
    right = found[:, 0] == guesses
    running.records.flat_accepted[running.places] = right
    given[0] = found
    owed.hidden, owed.given, owed.twice = hidden.view(-1, 2, hidden.shape[-1]), given, right
    return found, right
