"""The samples that decode together, as dense arrays: index i of every array is the i-th of them.

Arrays and the tensors over them are made anew when a sample joins or leaves, and only written in place between. What happens to a sample now and
then, that it is full, needs a block or comes to a block's edge, is foreseen in plain numbers, so a step touches no Python object of a sample to
which nothing happens and asks numpy for a handful of operations, whatever the batch.

Shapes: B samples, W tokens of each that a pass takes: its newest, and with drafts (W = 2) the one that is guessed to follow.
"""

from collections.abc import Sequence as Row

import numpy as np
import torch
from numpy.typing import NDArray

from inference.attend import BLOCK
from inference.sampling import Sampled
from inference.sequence import Ints, Records, Sequence

WIDTH = 16  # columns a block table has at least
TOKEN, POSITION, SLOT, PLACE = range(4)


class Running:
    """`device` is where the tensors are to lie; on the CPU they are the arrays themselves."""

    def __init__(self, records: Records, device: str) -> None:
        self.records, self.device = records, device
        self.sequences: list[Sequence] = []
        self.who: list[tuple[int, int]] = []
        self.width = 2 if records.drafts else 1
        # [4, B, W] the newest token, which has not gone through the model; where it will stand; its cache slot; where the next goes in the records
        self.state = np.empty((4, 0, self.width), np.int64)
        self.ends = np.empty(0, np.int64)  # [B] the place at which a sample is full
        self.capacity = np.empty(0, np.int64)  # [B] positions that the blocks it has can hold
        self.tables = np.empty((0, self.width, WIDTH), np.int32)  # [B, W, blocks], the same W times
        self._greedy = torch.zeros(0, dtype=torch.float64)
        self._bind()

    def __len__(self) -> int:
        """How many run."""
        return len(self.sequences)

    def _bind(self) -> None:
        """Name the parts of new arrays, and foresee what happens next."""
        self.tokens, self.positions, _, self.places = self.state[:, :, 0]
        self.every_place = self.state[PLACE].reshape(-1)  # [B * W]
        self._tensors = torch.from_numpy(self.state.reshape(4, -1)).unbind()
        self._bind_tables()
        self.foresee()

    def _bind_tables(self) -> None:
        self.every_table = torch.from_numpy(self.tables.reshape(-1, self.tables.shape[2]))  # [B * W, blocks]

    def foresee(self) -> None:
        """`room`: steps until someone needs a block, `left`: until someone is full, `edge`: until slots are not their last ones plus one; at least."""
        if len(self):
            self.room = int((self.capacity - self.positions).min())
            self.left = int((self.ends - self.places).min())
        self.edge = 0

    def add(self, sequences: Row[Sequence]) -> slice:
        """Let samples join at the end; returns where they stand."""
        before, width = len(self), self.records.width
        for sequence in sequences:
            self._widen(len(sequence.blocks) + 1)  # its newest token may begin one
        rows = np.array([s.row for s in sequences], np.int64)
        counts = np.array([s.count for s in sequences], np.int64)
        positions = np.array([len(s.prompt.tokens) for s in sequences], np.int64) + counts - 1
        tables = np.zeros((len(sequences), *self.tables.shape[1:]), np.int32)
        for table, sequence in zip(tables, sequences, strict=True):
            table[:, : len(sequence.blocks)] = sequence.blocks
        # before its first token the last column of the records is read, which means nothing
        tokens = self.records.tokens[rows, counts - 1]
        slots = slots_in(tables[:, 0], positions)
        self.sequences += sequences
        self.who = self.who + [s.who for s in sequences]  # a list that was given away is not changed
        state = np.stack((tokens, positions, slots, rows * width + counts))[:, :, None] + np.arange(self.width)
        self.state = np.concatenate((self.state, state), 1)
        self.ends = np.concatenate((self.ends, rows * width + self.records.params.max_tokens))
        self.capacity = np.concatenate((self.capacity, [len(s.blocks) * BLOCK for s in sequences]))
        self.tables = np.concatenate((self.tables, tables))
        self._bind()
        return slice(before, len(self))

    def leave(self, leaving: NDArray[np.bool_]) -> list[Sequence]:
        """Take out samples, with their counts brought up to date."""
        gone = [self.sequences[i] for i in np.flatnonzero(leaving).tolist()]
        for sequence, place in zip(gone, self.places[leaving].tolist(), strict=True):
            sequence.count = place - sequence.row * self.records.width
        staying = ~leaving
        self.sequences = [s for s, stays in zip(self.sequences, staying.tolist(), strict=True) if stays]
        self.who = [s.who for s in self.sequences]
        self.state = np.ascontiguousarray(self.state[:, staying])
        self.ends, self.capacity, self.tables = self.ends[staying], self.capacity[staying], self.tables[staying]
        self._bind()
        return gone

    def lacking(self, ahead: int) -> Ints:
        """Which have no block for their newest token and `ahead` more."""
        return np.flatnonzero(self.positions + ahead >= self.capacity)

    def grow(self, i: int, block: int) -> None:
        """Give the i-th one more block."""
        blocks = self.sequences[i].blocks
        if len(blocks) == self.tables.shape[2]:
            self._widen(len(blocks) + 1)
            self._bind_tables()
        self.tables[i, :, len(blocks)] = block
        blocks.append(block)
        if self.positions[i] == self.capacity[i]:
            self.state[SLOT, i] = block * BLOCK + np.arange(self.width)
        self.capacity[i] += BLOCK

    def inputs(self) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
        """What a pass over the W tokens of each takes: tokens, positions, slots int64 [B * W], tables int32 [B * W, blocks]."""
        if self.width > 1 and self.edge <= 0:  # two tokens can stand in two blocks
            positions = self.state[POSITION]
            self.state[SLOT] = slots_in(self.tables, positions)
            self.edge = int(BLOCK - self.width - (positions[:, 0] & (BLOCK - 1)).max())
        tokens, positions, slots, _ = self._tensors
        if self.device == "cpu":
            return tokens, positions, slots, self.every_table
        return (
            tokens.to(self.device),
            positions.to(self.device),
            slots.to(self.device),
            self.every_table.to(self.device),
        )

    def draws(self, places: Ints) -> torch.Tensor:
        """The uniform draws that tokens at flat `places` spend: float64."""
        if not self.records.params.temperature:
            if len(self._greedy) < len(places):
                self._greedy = torch.zeros(len(places), dtype=torch.float64, device=self.device)
            return self._greedy[: len(places)]
        return self.put(self.records.flat_draws[places])

    def write(self, places: Ints, sampled: Sampled) -> Ints:
        """Write what was sampled at flat `places` down; returns the tokens."""
        if self.device != "cpu":
            sampled = Sampled(*(each.cpu() for each in sampled))
        tokens: Ints = sampled.tokens.numpy()
        records = self.records
        records.flat_tokens[places] = tokens
        records.flat_logprobs[places] = sampled.logprobs.numpy()
        records.flat_entropies[places] = sampled.entropies.numpy()
        return tokens

    def advance(self, part: slice, tokens: Ints, twice: NDArray[np.bool_] | None = None) -> None:
        """Each of `part` has one token more, or two where `twice`; `tokens` are the newest."""
        self.state[1:, part] += 1 if twice is None else (twice + 1)[:, None]
        self.tokens[part] = tokens
        most = 1 if twice is None else 2
        self.room -= most
        self.left -= most
        self.edge -= most

    def put(self, array: NDArray[np.generic]) -> torch.Tensor:
        """The array as a tensor on the device."""
        tensor = torch.from_numpy(array)
        return tensor if self.device == "cpu" else tensor.to(self.device)

    def _widen(self, columns: int) -> None:
        if columns > self.tables.shape[2]:
            more = max(columns, 2 * self.tables.shape[2]) - self.tables.shape[2]
            self.tables = np.pad(self.tables, ((0, 0), (0, 0), (0, more)))


def slots_in(tables: NDArray[np.int32], positions: Ints) -> Ints:
    """Where in the cache `positions` [...] lie, each by its own block table of `tables` [..., blocks]."""
    blocks: Ints = np.take_along_axis(tables, (positions >> 4)[..., None], -1)[..., 0].astype(np.int64)
    return (blocks << 4) + (positions & 15)
