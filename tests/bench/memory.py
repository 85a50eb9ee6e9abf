"""Memory a token: how much this process grows while sequences grow, against what the config says a cached token takes.

Each figure comes from a process of its own (`python -m tests.bench.memory CHECKPOINT`), which warms up, looks at its resident size, works,
and looks again: Linux's own count, so pages that were reserved and never touched do not count.
"""

import argparse
import json
import subprocess
import sys
from pathlib import Path

import torch

from inference import Engine, SamplingParams, set_threads
from tests.bench.measure import Bench

STATUS = Path("/proc/self/status")


def memory(bench: Bench) -> None:
    """Bytes a token, measured and by the config."""
    shape = (4, 64, 64) if bench.quick else (64, 64, 832)
    replayed = 512 if bench.quick else 32_768
    found = _elsewhere(bench.path, shape, replayed)
    rows = [
        (f"{shape[0]} sequences from {shape[1]} to {shape[1] + shape[2]} tokens", found["decode_tokens"], found["decode_bytes"],
         f"{found['decode_bytes'] / found['decode_tokens']:,.0f}", found["latent"], found["expanded"])
    ]  # fmt: skip
    if "replay_bytes" in found:
        rows.append(
            (f"replay of {replayed:,} tokens, at its peak", replayed, found["replay_bytes"],
             f"{found['replay_bytes'] / replayed:,.0f}", found["latent"], found["expanded"])
        )  # fmt: skip
    bench.table(
        "memory a token in bytes, float32",
        (
            "what grew",
            "tokens",
            "bytes grown",
            "measured",
            "latent cache by the config",
            "if keys and values were kept",
        ),
        rows,
    )


def _elsewhere(path: Path, shape: tuple[int, int, int], replayed: int) -> dict:
    command = [
        sys.executable,
        "-m",
        "tests.bench.memory",
        str(path),
        "--shape",
        *map(str, shape),
        "--replay",
        str(replayed),
    ]
    command += ["--threads", str(torch.get_num_threads())]
    out = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return json.loads(out.splitlines()[-1])


def resident() -> int:
    """Bytes of this process that are in memory now."""
    return _status("VmRSS")


def peak() -> int:
    """Most bytes that it had in memory since `forget_peak`."""
    return _status("VmHWM")


def forget_peak() -> None:
    """Let the peak begin at what is resident now."""
    Path("/proc/self/clear_refs").write_text("5")


def _status(name: str) -> int:
    line = next(line for line in STATUS.read_text().splitlines() if line.startswith(name + ":"))
    return int(line.split()[1]) * 1024


def grown_by_decoding(engine: Engine, batch: int, prompt: int, tokens: int) -> tuple[int, int]:
    """(tokens, bytes) by which sequences and this process grew between the first token of all and the last."""
    generator = torch.Generator().manual_seed(1)
    rows = torch.randint(6, engine.config.vocab_size, (batch, prompt), generator=generator).tolist()
    params = SamplingParams(max_tokens=tokens, temperature=0, ignore_eos=True)
    waiting, sent, early, before, after = {(i, 0) for i in range(batch)}, 0, 0, 0, 0
    for step in engine.stream(rows, params, capture=False, speculate=False):
        if step.finished:
            break  # memory goes as sequences go
        sent += len(step.token_ids)
        if waiting:
            waiting.difference_update(step.rows)
            early, before = sent, resident()
        after = resident()
    return sent - early, after - before


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("--shape", type=int, nargs=3, default=(64, 64, 832), metavar=("BATCH", "PROMPT", "TOKENS"))
    parser.add_argument("--replay", type=int, default=32_768)
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    set_threads(options.threads)
    engine = Engine.load(options.checkpoint)
    config = engine.config
    engine.generate(
        [[7] * 40] * 4, SamplingParams(max_tokens=8, temperature=0, ignore_eos=True)
    )  # buffers, code, thread pools
    tokens, grown = grown_by_decoding(engine, *options.shape)
    heads = config.num_attention_heads * (config.qk_nope_head_dim + config.qk_rope_head_dim + config.v_head_dim)
    found = {
        "decode_tokens": tokens,
        "decode_bytes": grown,
        "latent": 4 * config.num_hidden_layers * (config.kv_lora_rank + config.qk_rope_head_dim),
        "expanded": 4 * config.num_hidden_layers * heads,
    }
    if options.replay and config.max_position_embeddings >= options.replay:
        ids = torch.randint(
            6, config.vocab_size, (options.replay,), generator=torch.Generator().manual_seed(2)
        ).tolist()
        forget_peak()
        before = resident()
        engine.replay(ids, capture=True)
        found["replay_bytes"] = peak() - before
    print(json.dumps(found))  # noqa: T201  # read by the process that asked


if __name__ == "__main__":
    main()
