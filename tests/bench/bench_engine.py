"""Times our `generate` against transformers' on one checkpoint: float32, greedy, the same prompts, the same number of new tokens.

    python -m tests.bench.bench_engine CHECKPOINT [--tokens 128] [--rounds 5] [--batches 1,8,32] [--threads 2]

Ours captures routing, log-probabilities and entropies; theirs returns token ids alone. The two sides take turns within a run, so that a
neighbour's load falls on both, and each figure is a median. Prompts are random tokens: speed does not depend on what they say.
"""

import argparse
import platform
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from transformers import DeepseekV3ForCausalLM
from transformers.utils import logging

from inference import Engine, SamplingParams, set_threads

TARGETS = {1: 1.5, 8: 1.5, 32: 2.5}  # ours over theirs, by batch size


def main() -> None:
    """Print one row a batch size: medians in tokens a second, and their ratio."""
    args = _arguments()
    set_threads(args.threads)
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    engine = Engine.load(args.checkpoint)
    model = DeepseekV3ForCausalLM.from_pretrained(args.checkpoint, dtype=torch.float32).eval()
    print(f"{args.checkpoint.name}: {engine.facts()['parameters']:,} parameters, torch {torch.__version__}, {torch.get_num_threads()} threads, {platform.machine()}")
    print(f"prompts of {args.prompt} tokens, {args.tokens} new tokens, {args.rounds} rounds in turn, medians in tokens a second")
    print(f"{'batch':>5} {'ours':>9} {'theirs':>9} {'ratio':>6} {'target':>7}")
    for batch in args.batches:
        prompts = np.random.default_rng(batch).integers(2, engine.config.vocab_size, (batch, args.prompt)).tolist()
        ours, theirs = _times(
            lambda p=prompts: _ours(engine, p, args.tokens), lambda p=prompts: _theirs(model, p, args.tokens), args.rounds
        )
        count = batch * args.tokens
        print(f"{batch:>5} {count / ours:>9,.0f} {count / theirs:>9,.0f} {theirs / ours:>6.2f} {TARGETS.get(batch, 0):>7}")


def _times(ours: Callable[[], None], theirs: Callable[[], None], rounds: int) -> tuple[float, float]:
    """Median seconds of each side; the first turn of each is thrown away."""
    seconds: tuple[list[float], list[float]] = ([], [])
    for _ in range(rounds + 1):
        for side, run in zip(seconds, (ours, theirs), strict=True):
            began = time.perf_counter()
            run()
            side.append(time.perf_counter() - began)
    return statistics.median(seconds[0][1:]), statistics.median(seconds[1][1:])


def _ours(engine: Engine, prompts: list[list[int]], tokens: int) -> None:
    outs = engine.generate(prompts, SamplingParams(max_tokens=tokens, temperature=0, ignore_eos=True), capture=True)
    assert all(len(c.token_ids) == tokens for group in outs for c in group)


def _theirs(model: DeepseekV3ForCausalLM, prompts: list[list[int]], tokens: int) -> None:
    ids = torch.tensor(prompts)
    with torch.inference_mode():
        out = model.generate(
            ids, attention_mask=torch.ones_like(ids), max_new_tokens=tokens, min_new_tokens=tokens, do_sample=False,
            eos_token_id=None, pad_token_id=0,
        )  # fmt: skip
    assert out.shape[1] == ids.shape[1] + tokens


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("--tokens", type=int, default=128)
    parser.add_argument("--prompt", type=int, default=48, help="prompt length in tokens")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--batches", type=lambda text: [int(n) for n in text.split(",")], default=[1, 8, 32])
    return parser.parse_args()


if __name__ == "__main__":
    main()
