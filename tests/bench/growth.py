"""How cost grows: prefill against transformers, a decoding step with the batch, a decoding step with the context."""

import time

from inference import SamplingParams
from tests.bench.measure import Bench, median, ours, verdict


def prefill(bench: Bench) -> None:
    """Prompt tokens a second until the first token is there, against a forward pass of transformers that keeps its cache."""
    rows = []
    for batch, length in ((1, 64), (8, 64)) if bench.quick else ((1, 64), (32, 64), (1, 1_024), (8, 1_024)):
        got = bench.alternate(
            {
                "ours": lambda n, b=batch, p=length: _prefill(bench, bench.prompts(b, p, n)),
                "theirs": lambda n, b=batch, p=length: bench.reference.prefill(bench.prompts(b, p, n)),
            }
        )
        mine, theirs = median(got["ours"]), median(got["theirs"])
        rows.append((length, batch, f"{mine:,.0f} : {theirs:,.0f}", verdict(mine / theirs, None)))
    bench.table(
        "prefill, prompt tokens a second, capture on, ours : transformers",
        ("prompt", "batch", "tokens a second", "ratio"),
        rows,
    )


def growth(bench: Bench) -> None:
    """A decoding step of the engine alone as the batch grows, and as the context grows."""
    rows = []
    for batch in (1, 2, 4) if bench.quick else (1, 2, 4, 8, 16, 32, 64, 128):
        got = bench.alternate({"ours": lambda n, b=batch: ours(bench.engine, bench.prompts(b, 64, n), bench.tokens)})
        rate = median([r.decode for r in got["ours"]])
        rows.append((batch, rate, f"{1e3 * batch / rate:.2f}", f"{1e6 / rate:.0f}"))
    bench.table("cost and batch, prompt 64", ("batch", "tokens/s", "ms a step", "µs a token"), rows)

    rows, tokens = [], min(32, bench.tokens)
    context = 128
    while context <= (512 if bench.quick else 32_768):
        began = time.perf_counter()
        got = bench.alternate({"ours": lambda n, p=context: ours(bench.engine, bench.prompts(1, p, n), tokens)})
        rounds, took = len(got["ours"]), time.perf_counter() - began
        rate = median([r.decode for r in got["ours"]])
        until_first = median([tokens / r.whole - (tokens - 1) / r.decode for r in got["ours"]])
        rows.append((context, f"{1e3 / rate:.2f}", f"{until_first:.2f}", f"{context / until_first:,.0f}"))
        if took / rounds > 2 * bench.patience:
            break  # the next would take four times as long
        context *= 4
    bench.table(
        "cost and context, batch 1",
        ("context", "ms a decoding step", "seconds to the first token", "prompt tokens/s"),
        rows,
    )


def _prefill(bench: Bench, rows: list[list[int]]) -> float:
    params = SamplingParams(max_tokens=1, temperature=0, ignore_eos=True)
    began = time.perf_counter()
    bench.engine.generate(rows, params, capture=True, speculate=False)
    return sum(map(len, rows)) / (time.perf_counter() - began)
