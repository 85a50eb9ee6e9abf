"""What does not run yet: prompts that wait, texts on their way through prefill, prompts whose samples may begin, samples that were preempted.

A prompt is prefilled once and all of its samples begin from there: they share its full blocks, and each gets a copy of the block that holds the
prompt's last token. Left out: what runs (running.py) and whose turn it is (scheduler.py).
"""

from collections import deque
from typing import NamedTuple

import numpy as np
import torch

from inference.attend import BLOCK
from inference.filling import Filling, Model, admit, fill
from inference.sequence import Prompt, Records, Sequence, blocks_for


class Begun(NamedTuple):
    """Samples that begin, and the logits [B, V] of their first tokens."""

    sequences: list[Sequence]
    logits: torch.Tensor


class Arrivals:
    """`kind` says what cached rows of this request depend on beside their tokens; a prefill pass takes `budget` tokens."""

    def __init__(self, model: Model, prompts: list[Prompt], records: Records, kind: str, budget: int) -> None:
        self.model, self.records, self.kind, self.budget = model, records, kind, budget
        self.waiting = deque(prompts)
        self.preempted: deque[Sequence] = deque()
        self.filling: list[Filling] = []
        self.ready: deque[Prompt] = deque()
        self.prefilled = self.reused = self._tickets = 0

    def __bool__(self) -> bool:
        """Whether anything is still to run."""
        return bool(self.waiting or self.preempted or self.filling or self.ready)

    def pack(self, running: int) -> list[tuple[Filling, int]]:
        """The texts that the next prefill pass takes with how many tokens of each, as rows and blocks allow beside `running` samples."""
        parts, left = [], self.budget
        for filling in self.filling:
            if count := min(filling.left, left):
                parts.append((filling, count))
                left -= count
        while left and (came := self._admit(running)):
            if came.left > left and parts:
                break  # it is cut only if it must be, and has its turn in the next pass
            count = min(came.left, left)
            parts.append((came, count))
            left -= count
        return parts

    def _admit(self, running: int) -> Filling | None:
        """Start on what is next in line; None when nothing waits, or no row or too few blocks are free for it."""
        owner: Prompt | Sequence
        if self.preempted:
            owner = again = self.preempted[0]
            tokens = np.concatenate((again.prompt.tokens, self.records.said(again)))[:-1]
            whole = len(again.prompt.tokens) + self.records.params.max_tokens
        elif self.waiting and self._rows_wanted() < len(self.records.free):
            owner = self.waiting[0]
            tokens = owner.tokens
            whole = len(tokens) + self.records.params.max_tokens
        else:
            return None
        # a block more for everyone who runs, and what its own next pass takes, lest the one that just came must go in the next step
        soon = min(len(tokens) + 1 + self.records.drafts, whole)
        reserve = running + blocks_for(soon) - blocks_for(len(tokens))
        filling = admit(self.model, owner, tokens, self.kind, reserve=reserve)
        if filling is not None:
            (self.preempted or self.waiting).popleft()
            self.filling.append(filling)
            self.reused += filling.done
        return filling

    def _rows_wanted(self) -> int:
        prompts = [*self.ready, *(f.owner for f in self.filling if isinstance(f.owner, Prompt))]
        return sum(len(prompt.waiting) for prompt in prompts)

    def fill(self, parts: list[tuple[Filling, int]]) -> list[Sequence]:
        """One prefill pass. Returns the preempted samples that run again from here."""
        states = fill(self.model, parts)
        self.prefilled += sum(count for _, count in parts)
        ended = [(f, state.clone()) for (f, _), state in zip(parts, states, strict=True) if not f.left]
        self.filling = [f for f in self.filling if f.left]
        for filling, state in ended:
            filling.owner.blocks, filling.owner.hidden = filling.blocks, state
        prompts = [(f.owner, state) for f, state in ended if isinstance(f.owner, Prompt)]
        if prompts:
            logits_BV = self.model.decoder.logits(torch.stack([state for _, state in prompts]))
            for (prompt, _), row in zip(prompts, logits_BV, strict=True):
                prompt.logits = row
                self.ready.append(prompt)
        return [f.owner for f, _ in ended if isinstance(f.owner, Sequence)]

    def begin(self, running: int) -> Begun | None:
        """Samples of prefilled prompts that can begin now, as rows and blocks allow beside `running` others."""
        begun: list[Sequence] = []
        logits, source, target = [], [], []
        while self.ready and self.records.free:
            prompt = self.ready[0]
            assert prompt.logits is not None
            own = (len(prompt.tokens) - 1) // BLOCK  # the block with the last token, to which each sample will add
            if len(prompt.waiting) > 1 and self.model.blocks.free > running + len(begun):
                used = np.arange(len(prompt.tokens) - own * BLOCK)
                blocks = [*prompt.blocks[:own], self.model.blocks.take()]
                self.model.blocks.share(prompt.blocks[:own])
                source.append(prompt.blocks[own] * BLOCK + used)
                target.append(blocks[own] * BLOCK + used)
            elif len(prompt.waiting) == 1 or not (running or begun):
                blocks, prompt.blocks = prompt.blocks, []  # the prompt's own; what is left of the prompt waits anew
            else:
                break
            logits.append(prompt.logits)
            begun.append(self._sequence(prompt, blocks))
            if not prompt.blocks:
                self._back(self.ready.popleft())
        if source:
            self.model.cache.copy(np.concatenate(source), np.concatenate(target))
        return Begun(begun, torch.stack(logits)) if begun else None

    def _sequence(self, prompt: Prompt, blocks: list[int]) -> Sequence:
        number = prompt.waiting.popleft()
        row = self.records.open(prompt.seeds[number])
        self._tickets += 1
        return Sequence(prompt, number, row, self._tickets, blocks, hidden=prompt.hidden)

    def _back(self, prompt: Prompt) -> None:
        """Let a prompt wait anew, if it has samples left."""
        self.model.blocks.release(prompt.blocks)
        prompt.blocks, prompt.logits, prompt.hidden = [], None, None
        if prompt.waiting:
            self.waiting.appendleft(prompt)

    def give_way(self) -> bool:
        """Give back the blocks of whoever came last and has no token yet; False when nobody has."""
        if self.ready:
            self._back(self.ready.pop())
        elif self.filling:
            filling = self.filling.pop()
            self.model.blocks.release(filling.blocks)
            if isinstance(filling.owner, Prompt):
                self.waiting.appendleft(filling.owner)
            else:
                self.preempted.appendleft(filling.owner)
        else:
            return False
        return True

    def empty(self) -> tuple[list[Prompt], list[Sequence]]:
        """Give everything back: the prompts whose samples did not all begin, and the preempted samples."""
        while self.give_way():
            pass
        prompts, sequences = list(self.waiting), list(self.preempted)
        self.waiting.clear()
        self.preempted.clear()
        return prompts, sequences
