"""What a step costs beside the model: `python -m tests.bench.bench_overhead`. One thread; a decoder and a sampler that return at once.

What is left is the scheduler, the bookkeeping of the running samples, and their records. The fastest tenth of steps counts, so a busy machine shows less.
"""

# ruff: noqa: T201  # a script that prints its figures

import time
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch

from inference import Engine, SamplingParams
from inference import scheduler as scheduling
from inference import speculative as drafting
from inference.cache import Cache
from inference.sampling import Sampled
from tests.inference.models import config, with_mtp

STEPS = 256
TARGETS = {1: 0.15, 8: 0.15, 32: 0.5, 128: 0.5}  # milliseconds of a plain step


class Idle:
    """A decoder and an MTP layer that answer at once."""

    def __init__(self) -> None:
        self.config = config("v3 with a query latent and mtp")
        self.embedding = with_mtp(self.config)[0].embedding
        self._states, self._logits = torch.randn(512, self.config.hidden_size), torch.randn(512, self.config.vocab_size)

    def prefill(self, tokens: torch.Tensor, *_args: object, **_more: object) -> torch.Tensor:
        return torch.zeros(len(tokens), self.config.hidden_size)

    def decode(self, tokens: torch.Tensor, *_args: object, **_more: object) -> torch.Tensor:
        return self._states[: len(tokens)]

    def logits(self, hidden: torch.Tensor) -> torch.Tensor:
        return self._logits[: len(hidden)]


def main() -> None:
    torch.set_num_threads(1)
    answers = [Sampled(torch.zeros(n, dtype=torch.int64), torch.zeros(n), torch.zeros(n)) for n in range(513)]
    scheduling.sample = drafting.sample = lambda logits, *_args, **_more: answers[len(logits)]  # every draft is right
    idle = Idle()
    engine = Engine(Path("idle"), idle, idle, None, Cache(idle.config, 4_000, torch.float32, "cpu", 1))
    for batch, target in TARGETS.items():
        plain, drafted = (step(engine, batch, speculate=speculate) for speculate in (False, True))
        print(
            f"batch {batch:3d}: plain {plain:.3f} ms (target {target})   with drafts {drafted:.3f} ms for two tokens each"
        )


def step(engine: Engine, batch: int, *, speculate: bool) -> float:
    """Milliseconds of a step."""
    prompts, params = [[1 + i % 50] * 64 for i in range(batch)], SamplingParams(max_tokens=STEPS, ignore_eos=True)
    taken: list[float] = []
    for _ in range(3):
        engine.forget()
        at = [time.perf_counter() for _ in engine.stream(prompts, params, capture=False, speculate=speculate)]
        taken += [after - before for before, after in pairwise(at)]
    return 1_000 * float(np.percentile(taken, 10))


if __name__ == "__main__":
    main()
