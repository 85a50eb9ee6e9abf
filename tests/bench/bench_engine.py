"""Our engine against `transformers.generate` on the same checkpoint: `python -m tests.bench.bench_engine CHECKPOINT`.

float32, both in this process, the same prompts, greedy, the same number of new tokens (no stop), our capture on. Rounds alternate and the
median counts; the ratio is what matters, since machines are noisy. Run it on an idle machine.
"""

# ruff: noqa: T201  # a script that prints its figures

import argparse
import statistics
import time
from pathlib import Path

import torch
from transformers import DeepseekV3ForCausalLM
from transformers.utils import logging

from inference import Engine, SamplingParams, set_threads

BATCHES = (1, 8, 32)
TARGETS = {1: 1.5, 8: 1.5, 32: 2.5}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("--tokens", type=int, default=128)
    parser.add_argument("--prompt", type=int, default=32)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    logging.set_verbosity_error()
    set_threads(options.threads)
    engine = Engine.load(options.checkpoint)
    reference = DeepseekV3ForCausalLM.from_pretrained(options.checkpoint, dtype=torch.float32).eval()
    print(
        f"{options.tokens} new tokens after {options.prompt}, {options.threads} threads, median of {options.rounds} rounds, tokens a second"
    )
    for batch in BATCHES:
        ours, theirs = compare(engine, reference, batch, options)
        print(
            f"batch {batch:3d}: ours {ours:8.0f}   transformers {theirs:8.0f}   ratio {ours / theirs:5.2f}   (target {TARGETS[batch]})"
        )


def compare(
    engine: Engine, reference: DeepseekV3ForCausalLM, batch: int, options: argparse.Namespace
) -> tuple[float, float]:
    """Tokens a second of both sides."""
    generator = torch.Generator().manual_seed(batch)
    prompts = torch.randint(6, engine.config.vocab_size, (batch, options.prompt), generator=generator)
    params = SamplingParams(max_tokens=options.tokens, temperature=0, ignore_eos=True)
    rows = prompts.tolist()

    def ours() -> None:
        engine.generate(rows, params, capture=True)

    def theirs() -> None:
        with torch.inference_mode():
            reference.generate(
                prompts, attention_mask=torch.ones_like(prompts), max_new_tokens=options.tokens, min_new_tokens=options.tokens,
                do_sample=False, eos_token_id=None, pad_token_id=0,
            )  # fmt: skip

    rates: dict[str, list[float]] = {"ours": [], "theirs": []}
    for number in range(options.rounds + 1):
        for name, run in (("ours", ours), ("theirs", theirs)):
            began = time.perf_counter()
            run()
            if number:  # the first round warms up
                rates[name].append(batch * options.tokens / (time.perf_counter() - began))
    return statistics.median(rates["ours"]), statistics.median(rates["theirs"])


if __name__ == "__main__":
    main()
