"""Speculation with a checkpoint's own multi-token prediction layer: speed-up and acceptance, on problems that it was trained on.

Random prompts would say nothing here: a draft is right where the text makes sense. Texts end where the model ends them.
"""

from typing import NamedTuple

from inference import SamplingParams
from tests.bench.measure import Bench, median
from workers.trainers.families import FAMILIES, generate


class Solved(NamedTuple):
    """A batch of problems, answered."""

    rate: float  # tokens a second of the whole call
    texts: list[list[int]]
    drafted: int
    accepted: int


def mtp(bench: Bench) -> None:
    """Speculation with the checkpoint's own MTP layer on problems that it was trained on; nothing where there is no such layer."""
    if not bench.engine.drafts:
        bench.table("multi-token prediction", ("",), [("this checkpoint has no MTP layer",)])
        return
    bench.table(
        "multi-token prediction, tokens a second on problems it knows",
        ("batch", "temperature", "plain", "speculative", "speed-up", "drafts accepted", "same text"),
        (_against_plain(bench, batch, temperature) for batch in (1, 8) for temperature in (0.0, 0.6)),
    )


def _against_plain(bench: Bench, batch: int, temperature: float) -> tuple:
    got = bench.alternate(
        {
            "plain": lambda number: _solve(bench, batch, temperature, number, speculate=False),
            "mtp": lambda number: _solve(bench, batch, temperature, number, speculate=True),
        }
    )
    same = all(a.texts == b.texts for a, b in zip(got["plain"], got["mtp"], strict=True))
    plain, fast = (median([solved.rate for solved in got[name]]) for name in ("plain", "mtp"))
    drafted, accepted = (sum(getattr(solved, name) for solved in got["mtp"]) for name in ("drafted", "accepted"))
    return batch, temperature, plain, fast, f"{fast / plain:.2f}", f"{100 * accepted / drafted:.1f} %", same


def _solve(bench: Bench, batch: int, temperature: float, number: int, *, speculate: bool) -> Solved:
    engine, names = bench.engine, list(FAMILIES)
    items = [generate(names[i % len(names)], 1, seed=1_000 * number + i)[0] for i in range(batch)]
    chats = [engine.tokenizer.apply_chat_template([{"role": "user", "content": item.prompt}]) for item in items]
    prompts = [engine.tokenizer.encode(chat) for chat in chats]
    params = SamplingParams(max_tokens=2 * bench.tokens, temperature=temperature, seed=number)
    drafted, accepted = engine.counts.drafted, engine.counts.accepted
    began = bench.clock()
    texts = [row[0].token_ids for row in engine.generate(prompts, params, speculate=speculate)]
    rate = sum(map(len, texts)) / (bench.clock() - began)
    return Solved(rate, texts, engine.counts.drafted - drafted, engine.counts.accepted - accepted)
