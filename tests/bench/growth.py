"""How cost grows: prefill against transformers, a decoding step with the batch, a decoding step with the context."""

from inference import SamplingParams
from tests.bench.measure import Bench, median


def prefill(bench: Bench) -> None:
    """Prompt tokens a second until the first token is there, against a forward pass of transformers that keeps its cache."""
    shapes = ((1, 64), (8, 64)) if bench.quick else ((1, 64), (32, 64), (1, 1_024), (8, 1_024))
    bench.table(
        "prefill, prompt tokens a second, capture on, ours : transformers",
        ("prompt", "batch", "tokens a second", "ratio", "rounds"),
        (_against_forward(bench, batch, length) for batch, length in shapes),
    )


def _against_forward(bench: Bench, batch: int, length: int) -> tuple:
    got = bench.alternate(
        {
            "ours": lambda number: _prefill(bench, bench.prompts(batch, length, number)),
            "theirs": lambda number: bench.reference.prefill(bench.prompts(batch, length, number)),
        }
    )
    mine, theirs = median(got["ours"]), median(got["theirs"])
    return length, batch, f"{mine:,.0f} : {theirs:,.0f}", f"{mine / theirs:.2f}", len(got["ours"])


def growth(bench: Bench) -> None:
    """A decoding step of the engine alone as the batch grows, and as the context grows."""
    batches = (1, 2, 4) if bench.quick else (1, 2, 4, 8, 16, 32, 64, 128)
    contexts = (128, 512) if bench.quick else (128, 512, 2_048, 8_192, 32_768)
    bench.table(
        "cost and batch, prompt 64",
        ("batch", "tokens/s", "ms a step", "µs a token"),
        (_at_batch(bench, batch) for batch in batches),
    )
    bench.table(
        "cost and context, batch 1",
        ("context", "ms a decoding step", "seconds to the first token", "prompt tokens/s"),
        (_at_context(bench, context) for context in contexts),
    )


def _at_batch(bench: Bench, batch: int) -> tuple:
    got = bench.alternate({"ours": lambda number: bench.ours(bench.prompts(batch, 64, number), bench.tokens)})
    rate = median([each.decode for each in got["ours"]])
    return batch, rate, f"{1e3 * batch / rate:.2f}", f"{1e6 / rate:.0f}"


def _at_context(bench: Bench, context: int) -> tuple:
    tokens = min(32, bench.tokens)
    got = bench.alternate({"ours": lambda number: bench.ours(bench.prompts(1, context, number), tokens)})
    rate = median([each.decode for each in got["ours"]])
    until_first = median([tokens / each.whole - (tokens - 1) / each.decode for each in got["ours"]])
    return f"{context:,}", f"{1e3 / rate:.2f}", f"{until_first:.2f}", f"{context / until_first:,.0f}"


def _prefill(bench: Bench, rows: list[list[int]]) -> float:
    params = SamplingParams(max_tokens=1, temperature=0, ignore_eos=True)
    began = bench.clock()
    bench.engine.generate(rows, params, capture=True, speculate=False)
    return sum(map(len, rows)) / (bench.clock() - began)
