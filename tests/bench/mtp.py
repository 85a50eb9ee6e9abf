"""Speculation with a checkpoint's own multi-token prediction layer: speed-up and acceptance, on problems that it was trained on.

Random prompts would say nothing here: a draft is right where the text makes sense. Texts end where the model ends them.
"""

import time
from typing import NamedTuple

from inference import SamplingParams
from tests.bench.measure import Bench, median, table
from workers.trainers.families import FAMILIES, generate


class Solved(NamedTuple):
    """A batch of problems, answered."""

    rate: float  # tokens a second of the whole call
    texts: list[list[int]]
    accepted: int  # drafts that were right
    passes: int  # decoding passes a sequence, summed: each verifies one draft


def mtp(bench: Bench) -> None:
    """Speculation with the checkpoint's own MTP layer on problems that it was trained on; nothing where there is no such layer."""
    if not bench.engine.drafts:
        table(f"{bench.name}: multi-token prediction", ("",), [("this checkpoint has no MTP layer",)])
        return
    rows = []
    for batch in (1, 8):
        for temperature in (0.0, 0.6):
            got = bench.alternate(
                {
                    "plain": lambda n, b=batch, t=temperature: _solve(bench, b, t, n, speculate=False),
                    "mtp": lambda n, b=batch, t=temperature: _solve(bench, b, t, n, speculate=True),
                }
            )
            same = all(a.texts == b.texts for a, b in zip(got["plain"], got["mtp"], strict=True))
            plain, fast = (median([solved.rate for solved in got[name]]) for name in ("plain", "mtp"))
            accepted = sum(solved.accepted for solved in got["mtp"]) / max(
                1, sum(solved.passes for solved in got["mtp"])
            )
            rows.append((batch, temperature, plain, fast, f"{fast / plain:.2f}", f"{100 * accepted:.0f} %", same))
    table(
        f"{bench.name}: multi-token prediction, tokens a second on problems it knows",
        ("batch", "temperature", "plain", "speculative", "speed-up", "drafts accepted", "same text"),
        rows,
    )


def _solve(bench: Bench, batch: int, temperature: float, number: int, *, speculate: bool) -> Solved:
    engine, names = bench.engine, list(FAMILIES)
    items = [generate(names[i % len(names)], 1, seed=1_000 * number + i)[0] for i in range(batch)]
    chats = [engine.tokenizer.apply_chat_template([{"role": "user", "content": item.prompt}]) for item in items]
    prompts = [engine.tokenizer.encode(chat) for chat in chats]
    params = SamplingParams(max_tokens=2 * bench.tokens, temperature=temperature, seed=number)
    began = time.perf_counter()
    done = [row[0] for row in engine.generate(prompts, params, speculate=speculate)]
    took = time.perf_counter() - began
    count = sum(len(completion.token_ids) for completion in done)
    accepted = sum(int(completion.accepted.sum()) for completion in done) if speculate else 0
    # a pass gives one token and, where its draft was accepted, one more; the first token comes from the prefill
    return Solved(count / took, [completion.token_ids for completion in done], accepted, count - len(done) - accepted)
