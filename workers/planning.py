"""What a run still lacks, cut into chunks that an engine decodes together.

A sample's seed follows from the run's seed, the problem's key and the sample's number, and from nothing else, so that a chunk done twice
says the same. The samples of a chunk share one token limit and each of its prompts has the same number of them, which is what an engine's
request can say; a prompt near the end of the context gets what room is left. Left out: the sampling (generate.py).
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from django.conf import settings
from django.utils.translation import gettext as _

from webapp.problems.models import Problem
from webapp.traces.models import Run, Trace

if TYPE_CHECKING:
    from inference import Engine


@dataclass(frozen=True, slots=True)
class Asked:
    """One prompt of a chunk with the numbers and seeds of its samples."""

    problem_id: int
    prompt: str
    prompt_ids: list[int]
    samples: list[int]
    seeds: list[int]


@dataclass(frozen=True, slots=True)
class Chunk:
    """Prompts that are sampled together: each has `samples_each` samples of at most `max_tokens` tokens."""

    max_tokens: int
    samples_each: int
    asked: list[Asked] = field(default_factory=list)

    def __len__(self) -> int:
        """How many samples it holds."""
        return self.samples_each * len(self.asked)


@dataclass(slots=True)
class Plan:
    """What `run` lacks. `too_long` gathers, while `chunks` is walked, the problems whose prompt leaves no room for an answer."""

    run: Run
    engine: "Engine"
    too_long: list[int] = field(default_factory=list)

    def chunks(self) -> Iterator[Chunk]:
        """Chunks of at most GENERATE_BATCH samples, in the set's order. Raises ValueError when the chat template refuses a problem."""
        open_chunk: Chunk | None = None
        for problem, missing in self._missing():
            for max_tokens, asked in self._ask(problem, missing):
                shape = (max_tokens, len(asked.samples))
                fits = open_chunk is not None and len(open_chunk) + len(asked.samples) <= settings.GENERATE_BATCH
                if open_chunk is not None and (not fits or shape != (open_chunk.max_tokens, open_chunk.samples_each)):
                    yield open_chunk
                    open_chunk = None
                if open_chunk is None:
                    open_chunk = Chunk(*shape)
                open_chunk.asked.append(asked)
        if open_chunk is not None:
            yield open_chunk

    def _missing(self) -> Iterator[tuple[Problem, list[int]]]:
        problems = Problem.objects.filter(problem_set=self.run.problem_set).order_by("position")
        problems = problems.only("key", "prompt", "messages")
        wanted = None if self.run.problem_ids is None else set(self.run.problem_ids)
        have = set(Trace.objects.filter(run=self.run).values_list("problem_id", "sample_index"))
        for problem in problems.iterator():
            missing = [i for i in range(self.run.samples_per_problem) if (problem.pk, i) not in have]
            if missing and (wanted is None or problem.pk in wanted):
                yield problem, missing

    def _ask(self, problem: Problem, missing: list[int]) -> Iterator[tuple[int, Asked]]:
        prompt = self._prompt(problem)
        ids = self.engine.tokenizer.encode(prompt)
        room = min(int(self.run.params["max_tokens"]), self.engine.longest - len(ids))
        if room < 1:
            self.too_long.append(problem.pk)
            return
        read = self.engine.tokenizer.decode(ids)  # what the model sees, where a tokenizer normalises
        seed = int(self.run.params["seed"])
        pieces = -(-len(missing) // settings.GENERATE_BATCH)
        for part in (missing[i::pieces] for i in range(pieces)):
            yield room, Asked(problem.pk, read, ids, part, [seed_of(seed, problem.key, index) for index in part])

    def _prompt(self, problem: Problem) -> str:
        """The checkpoint's chat template over the problem's messages; the run's system prompt takes the place of the source's."""
        messages = problem.messages or [{"role": "user", "content": problem.prompt}]
        system = str(self.run.params.get("system_prompt") or "")
        if system:
            messages = [{"role": "system", "content": system}, *(m for m in messages if m["role"] != "system")]
        try:
            return self.engine.tokenizer.apply_chat_template(messages)
        except ValueError as error:
            raise ValueError(_("Problem %(id)s: %(why)s") % {"id": problem.pk, "why": error}) from error


def seed_of(run_seed: int, problem_key: str, sample_index: int) -> int:
    """A sample's seed, below 2^63, from what it must depend on and nothing else."""
    text = f"{run_seed}:{problem_key}:{sample_index}"
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1
