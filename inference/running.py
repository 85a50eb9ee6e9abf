"""The samples that decode together, as dense arrays: index i of every array is the i-th of them.

The arrays are made anew when a sample joins or leaves, and only written in place between, so their tensors are made once. A step touches no
Python object of a sample that neither ends nor needs a block.
"""

from collections.abc import Sequence as Row

import numpy as np
import torch
from numpy.typing import NDArray

from inference.attend import BLOCK
from inference.sampling import Sampled
from inference.sequence import Ints, Records, Sequence

WIDTH = 16  # columns a block table has at least


class Running:
    """`device` is where the tensors are to lie; on the CPU they are the arrays themselves."""

    def __init__(self, records: Records, device: str) -> None:
        self.records, self.device = records, device
        self.sequences: list[Sequence] = []
        self.who: list[tuple[int, int]] = []
        self.tokens = np.empty(0, np.int64)  # [B] the newest token, which has not gone through the model
        self.positions = np.empty(0, np.int64)  # [B] where it will stand
        self.places = np.empty(0, np.int64)  # [B] of the next token in the flat records
        self.ends = np.empty(0, np.int64)  # [B] the place at which a sample is full
        self.capacity = np.empty(0, np.int64)  # [B] positions that the blocks it has can hold
        self.tables = np.empty((0, WIDTH), np.int32)  # [B, blocks]
        self.index = np.empty(0, np.int64)

    def __len__(self) -> int:
        """How many run."""
        return len(self.sequences)

    def add(self, sequences: Row[Sequence]) -> slice:
        """Let samples join at the end; returns where they stand."""
        before, width = len(self), self.records.width
        for sequence in sequences:
            self._widen(len(sequence.blocks))
        rows = np.array([s.row for s in sequences], np.int64)
        counts = np.array([s.count for s in sequences], np.int64)
        lengths = np.array([len(s.prompt.tokens) for s in sequences], np.int64)
        tables = np.zeros((len(sequences), self.tables.shape[1]), np.int32)
        for table, sequence in zip(tables, sequences, strict=True):
            table[: len(sequence.blocks)] = sequence.blocks
        self.sequences += sequences
        self.who = self.who + [s.who for s in sequences]  # a list that was given away is not changed
        # before its first token the last column is read, which means nothing
        self.tokens = np.concatenate((self.tokens, self.records.tokens[rows, counts - 1]))
        self.positions = np.concatenate((self.positions, lengths + counts - 1))
        self.places = np.concatenate((self.places, rows * width + counts))
        self.ends = np.concatenate((self.ends, rows * width + self.records.params.max_tokens))
        self.capacity = np.concatenate((self.capacity, [len(s.blocks) * BLOCK for s in sequences]))
        self.tables = np.concatenate((self.tables, tables))
        self._bind()
        return slice(before, len(self))

    def leave(self, leaving: NDArray[np.bool_]) -> list[Sequence]:
        """Take out samples, with their counts brought up to date."""
        gone = []
        for i in np.flatnonzero(leaving).tolist():
            sequence = self.sequences[i]
            sequence.count = int(self.places[i]) - sequence.row * self.records.width
            gone.append(sequence)
        staying = ~leaving
        self.sequences = [s for s, stays in zip(self.sequences, staying.tolist(), strict=True) if stays]
        self.who = [s.who for s in self.sequences]
        for name in ("tokens", "positions", "places", "ends", "capacity", "tables"):
            setattr(self, name, getattr(self, name)[staying])
        self._bind()
        return gone

    def lacking(self, ahead: int) -> Ints:
        """Which have no block for their newest token and `ahead` more."""
        return np.flatnonzero(self.positions + ahead >= self.capacity)

    def grow(self, i: int, block: int) -> None:
        """Give the i-th one more block."""
        blocks = self.sequences[i].blocks
        self._widen(len(blocks) + 1)
        self.tables[i, len(blocks)] = block
        blocks.append(block)
        self.capacity[i] += BLOCK

    def slots(self, index: Ints, positions: Ints) -> Ints:
        """Where in the cache `positions` of the `index`-th lie."""
        blocks: Ints = self.tables[index, positions >> 4].astype(np.int64)
        return (blocks << 4) + (positions & 15)

    def draws(self, places: Ints) -> torch.Tensor:
        """The uniform draws that tokens at flat `places` spend: float64."""
        return self.put(self.records.draws.reshape(-1)[places])

    def write(self, places: Ints, sampled: Sampled) -> Ints:
        """Write what was sampled at flat `places` down; returns the tokens."""
        tokens = sampled.tokens.cpu().numpy()
        self.records.tokens.reshape(-1)[places] = tokens
        self.records.logprobs.reshape(-1)[places] = sampled.logprobs.cpu().numpy()
        self.records.entropies.reshape(-1)[places] = sampled.entropies.cpu().numpy()
        return tokens

    def advance(self, part: slice, tokens: Ints) -> None:
        """Each of `part` has one token more."""
        self.tokens[part] = tokens
        self.positions[part] += 1
        self.places[part] += 1

    def put(self, array: NDArray[np.generic]) -> torch.Tensor:
        """The array as a tensor on the device."""
        tensor = torch.from_numpy(array)
        return tensor if self.device == "cpu" else tensor.to(self.device)

    def _widen(self, columns: int) -> None:
        if columns > self.tables.shape[1]:
            more = max(columns, 2 * self.tables.shape[1]) - self.tables.shape[1]
            self.tables = np.pad(self.tables, ((0, 0), (0, more)))

    def _bind(self) -> None:
        self.index = np.arange(len(self.sequences))
