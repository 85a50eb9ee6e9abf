"""Whose turn it is: continuous batching over one cache of blocks, with two queues and one rule.

What waits is prefilled, several texts in a pass under a token budget, as long as there is a row and blocks for it; then everyone who runs decodes.
When no block is free, whoever has lost least gives way: prompts whose samples have not begun, then the youngest sample, which keeps its tokens and
its draws and is taken up again later by prefilling them, so nothing can be seen of it in the output.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from inference.arrivals import Arrivals
from inference.cache import Capture
from inference.filling import Model
from inference.records import Completion, Finished, Routing, SamplingParams, Step
from inference.running import Running
from inference.sampling import Sampled, sample
from inference.sequence import Ints, Prompt, Records, Sequence, slots_of
from inference.speculative import Owed, draft, verify

BURST = 8  # prefill passes after which those who run have a turn


@dataclass(slots=True)
class Counts:
    """What passed through an engine since it was loaded."""

    prefilled: int = 0  # tokens that went through prefill
    reused: int = 0  # tokens that were found in the cache instead
    passes: int = 0  # decode passes
    drafted: int = 0
    accepted: int = 0  # of the drafted
    preempted: int = 0  # samples that gave their blocks back


class Scheduler:
    """One request on its way through `model`: prompts with their samples, in order."""

    def __init__(
        self,
        model: Model,
        prompts: list[Prompt],
        params: SamplingParams,
        stops: NDArray[np.bool_],
        capture: Capture,
        *,
        counts: Counts,
        rows: int,
        budget: int,
    ) -> None:
        """`stops` bool [V] marks tokens that end a sample; at most `rows` samples run at once; a prefill pass takes `budget` tokens."""
        self.model, self.params, self.stops, self.counts = model, params, stops, counts
        self.ending = frozenset(np.flatnonzero(stops).tolist())
        self.capture = capture if model.decoder.config.router_layers else False
        self.records = Records(min(rows, len(prompts) * params.n), params, drafts=model.mtp is not None)
        self.running = Running(self.records, model.device)
        self.owed = Owed(model.decoder.config.hidden_size, model.decoder.embedding) if model.mtp else None
        kind = f"{capture} {'drafts' if model.mtp else ''}"
        self.arrivals = Arrivals(model, prompts, self.records, kind, budget)
        self._burst = 0

    def steps(self, should_stop: Callable[[], bool]) -> Iterator[Step]:
        """Run to the end, a step at a time. Closing the iterator halfway gives all blocks back."""
        try:
            while len(self.running) or self.arrivals:
                with torch.inference_mode():  # never across a yield: the caller would find itself in it
                    if self.model.cache.level != self.capture:  # another stream of the engine has been at it
                        self.model.cache.capture(self.capture)
                    step = self._next()
                    stopped = should_stop()
                    if stopped:
                        step.finished.extend(self._cancel())
                if step.rows or step.finished:
                    yield step
                if stopped:
                    return
        finally:
            self._close()

    def _next(self) -> Step:
        """Begin samples whose prompt is prefilled; else prefill what waits and begin what can; else decode."""
        step = self._arrive() if self.arrivals else None
        if step is not None:
            return step
        if not len(self.running):
            raise ValueError(
                "other requests hold the engine's cache: finish or close them, or load it with more cache_bytes"
            )
        self._burst = 0
        self._make_room(1 if self.owed else 0)
        if not len(self.running):
            return Step([], [], [])  # another request holds what the last one needs
        return self._speculate(self.owed) if self.owed else self._decode()

    def _arrive(self) -> Step | None:
        """A step of those who do not run yet; None when it is the others' turn, or they must wait."""
        step = self._begin()
        if step is None and (self._burst < BURST or not len(self.running)):
            parts = self.arrivals.pack(len(self.running))
            if parts:
                self._burst += 1
                self._join(self.arrivals.fill(parts))
                step = self._begin() or Step([], [], [])
        return step

    def _begin(self) -> Step | None:
        """Sample the first tokens of samples that can begin; None when none can."""
        begun = self.arrivals.begin(len(self.running))
        if begun is None:
            return None
        running = self.running
        part = running.add(begun.sequences)
        places = running.places[part]
        tokens = running.write(places, self._sample(begun.logits, places))
        running.advance(part, tokens)
        if self.owed:
            self.owed.add(begun.sequences, running, part)
        who, said = running.who[part], tokens.tolist()
        return Step(who, said, self._finish(said))

    def _join(self, again: list[Sequence]) -> None:
        """Preempted samples go on where they were."""
        if again:
            part = self.running.add(again)
            if self.owed:
                self.owed.add(again, self.running, part)

    def _decode(self) -> Step:
        """One token for everyone who runs."""
        running, model = self.running, self.model
        self.counts.passes += 1
        hidden = model.decoder.decode(*running.inputs(), model.cache)
        tokens = running.write(running.places, self._sample(model.decoder.logits(hidden), running.places))
        running.advance(slice(None), tokens)
        who, said = running.who, tokens.tolist()
        return Step(who, said, self._finish(said))

    def _speculate(self, owed: Owed) -> Step:
        """One token for everyone who runs, and a second where the draft was right and the first did not end the sample."""
        running = self.running
        assert self.model.mtp is not None
        tokens, right = verify(self.model, running, owed, draft(self.model, self.model.mtp, running, owed))
        self.counts.passes += 1
        self.counts.drafted += len(running)
        self.counts.accepted += int(np.count_nonzero(right))
        two, found = right, tokens.tolist()
        if running.left < 2 or not all(map(self.ending.isdisjoint, found)):  # two tokens may be one too many
            two = right & ~self.stops[tokens[:, 0]] & (running.places + 1 < running.ends)
        running.advance(slice(None), np.where(two, tokens[:, 1], tokens[:, 0]), two)
        rows: list[tuple[int, int]] = []
        said: list[int] = []
        for who, pair, both in zip(running.who, found, two.tolist(), strict=True):
            rows += (who, who) if both else (who,)
            said += pair if both else pair[:1]
        return Step(rows, said, self._finish(said))

    def _sample(self, logits: torch.Tensor, places: Ints) -> Sampled:
        return sample(logits, self.params, self.running.draws(places), kernels=self.model.kernels)

    def _make_room(self, ahead: int) -> None:
        """A block for everyone whose newest token, or `ahead` more, begins one; the youngest give way when there is none."""
        if self.running.room > ahead:
            return
        while (lacking := self.running.lacking(ahead)).size:
            for i in lacking.tolist():
                if not self.model.blocks.free:
                    self._give_way()
                    break  # who stands where has changed
                self.running.grow(i, self.model.blocks.take())
        self.running.foresee()

    def _give_way(self) -> None:
        if self.arrivals.give_way():
            return
        youngest = max(range(len(self.running)), key=lambda i: self.running.sequences[i].ticket)
        leaving = np.zeros(len(self.running), np.bool_)
        leaving[youngest] = True
        for sequence in self._leave(leaving):
            self.model.blocks.release(sequence.blocks)
            sequence.blocks = []
            self.arrivals.preempted.appendleft(sequence)
            self.counts.preempted += 1

    def _leave(self, leaving: NDArray[np.bool_]) -> list[Sequence]:
        if self.owed:
            self.owed.leave(~leaving)
        return self.running.leave(leaving)

    def _finish(self, said: list[int]) -> list[Finished]:
        """Let those go whose newest token ends them; `said` are all tokens of the step."""
        running = self.running
        if running.left > 0 and self.ending.isdisjoint(said):
            return []
        ended = self.stops[running.tokens] | (running.places == running.ends)
        if not ended.any():
            running.foresee()
            return []
        finished = []
        for sequence in self._leave(ended):
            stopped = self.stops[self.records.tokens[sequence.row, sequence.count - 1]]
            finished.append(self._finished(sequence, "stop" if stopped else "length"))
        return finished

    def _finished(self, sequence: Sequence, reason: str) -> Finished:
        """A sample that is over, with the routing of all positions that went through the model while it had blocks."""
        routing = None
        if sequence.blocks:
            passed = len(sequence.prompt.tokens) + sequence.count - 1  # the last token never went through
            routing = routing_of(self.model, slots_of(sequence.blocks, passed), self.capture)
        self.model.blocks.release(sequence.blocks)
        sequence.blocks = []
        return Finished(*sequence.who, self.records.close(sequence, reason, routing))

    def _cancel(self) -> list[Finished]:
        """End everything, whether it runs or waits."""
        running = self._leave(np.ones(len(self.running), np.bool_))
        prompts, preempted = self.arrivals.empty()
        ended = [self._finished(sequence, "cancelled") for sequence in (*running, *preempted)]
        nothing, accepted = np.zeros(0, np.float32), None if self.owed is None else np.zeros(0, np.bool_)
        for prompt in prompts:
            for number in prompt.waiting:
                completion = Completion([], nothing, nothing, "cancelled", None, prompt.seeds[number], accepted)
                ended.append(Finished(prompt.number, number, completion))
        return ended

    def _close(self) -> None:
        """Give back every block."""
        self.counts.prefilled += self.arrivals.prefilled
        self.counts.reused += self.arrivals.reused
        self.arrivals.empty()
        for sequence in self.running.sequences:
            self.model.blocks.release(sequence.blocks)
            sequence.blocks = []


def routing_of(model: Model, slots: Ints, capture: Capture) -> Routing | None:
    """The routing of the tokens at `slots`; None without capture or routers."""
    layers = model.decoder.config.router_layers
    if not capture or not layers:
        return None
    return Routing(layers, *model.cache.routing(slots))
