"""A prompt, its samples, and what was sampled of those that run.

Records are numpy matrices allocated once, a row a running sample, so that a step writes all of its numbers with one index and no tensor or
Python object is made for a token. Left out: when a sample runs (scheduler.py), where its latents lie (blocks.py).
"""

from collections import deque
from collections.abc import Sequence as Row
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray

from inference.attend import BLOCK
from inference.records import Completion, Routing, SamplingParams
from inference.sampling import uniforms

Ints = NDArray[np.int64]
SLACK = 2  # columns past the last token, which a draft's pass may touch


@dataclass(slots=True, eq=False)
class Prompt:
    """One prompt of a request: prefilled once for all of its samples. `waiting` are those that have not begun."""

    number: int
    tokens: Ints  # [P]
    seeds: Row[int]
    waiting: deque[int]
    blocks: list[int] = field(default_factory=list)
    logits: torch.Tensor | None = None  # [V], of what follows the prompt, once it is prefilled
    hidden: torch.Tensor | None = None  # [D], of the prompt's last token


@dataclass(slots=True, eq=False)
class Sequence:
    """One sample that has begun. It keeps its record row until it ends, also while it is preempted. Older ones have smaller tickets."""

    prompt: Prompt
    sample: int
    row: int
    ticket: int
    blocks: list[int]
    count: int = 0  # tokens sampled; kept up to date only while the sample does not run
    hidden: torch.Tensor | None = None  # [D], of its last token but one: what the first draft starts from

    @property
    def who(self) -> tuple[int, int]:
        """(prompt, sample), as callers count."""
        return self.prompt.number, self.sample

    @property
    def seed(self) -> int:
        """What its draws follow from."""
        return self.prompt.seeds[self.sample]


class Records:
    """What the running samples said: matrices [rows, width]; `width` is that of the draws too, so one flat place serves all."""

    def __init__(self, rows: int, params: SamplingParams, *, drafts: bool) -> None:
        self.params, self.width = params, params.max_tokens + SLACK
        shape = (rows, self.width)
        self.tokens = np.empty(shape, np.int64)
        self.logprobs = np.empty(shape, np.float32)
        self.entropies = np.empty(shape, np.float32)
        self.accepted = np.zeros(shape if drafts else (0, 0), np.bool_)
        self.drafts = drafts
        self.draws = np.zeros(shape, np.float64)
        self.free = list(range(rows))[::-1]
        # views by place, row * width + column
        self.flat_tokens, self.flat_logprobs = self.tokens.reshape(-1), self.logprobs.reshape(-1)
        self.flat_entropies, self.flat_draws = self.entropies.reshape(-1), self.draws.reshape(-1)
        self.flat_accepted = self.accepted.reshape(-1)

    def open(self, seed: int) -> int:
        """A free row, with the draws of `seed`."""
        row = self.free.pop()
        if self.drafts:
            self.accepted[row] = False
        if self.params.temperature > 0:
            self.draws[row] = uniforms(seed, self.width)
        return row

    def said(self, sequence: Sequence) -> Ints:
        """The tokens that a sample that does not run has so far."""
        return self.tokens[sequence.row, : sequence.count]

    def close(self, sequence: Sequence, reason: str, routing: Routing | None) -> Completion:
        """What a sample came to; its row is free again."""
        part = (sequence.row, slice(0, sequence.count))
        self.free.append(sequence.row)
        accepted = self.accepted[part].copy() if self.drafts else None
        return Completion(
            self.tokens[part].tolist(), self.logprobs[part].copy(), self.entropies[part].copy(), reason, routing,
            sequence.seed, accepted,
        )  # fmt: skip


def slots_of(blocks: Row[int], count: int) -> Ints:
    """The cache slots of the first `count` tokens of a text that lies in `blocks`: int64 [count]."""
    return (np.asarray(blocks, np.int64)[:, None] * BLOCK + np.arange(BLOCK)).ravel()[:count]


def blocks_for(count: int) -> int:
    """How many blocks `count` tokens take."""
    return -(-count // BLOCK)
