"""What the parts of the benchmark share: rounds that alternate between the sides, prompts that no round repeats, and how figures are printed.

The two sides of a ratio run in this one process, in turns, on the same prompts; which side begins changes with the round, the first round
warms up, and the median counts. Prompts are new in every round, so that no cache of prefixes turns a prefill into a look-up.
"""

# ruff: noqa: T201  # a benchmark prints its figures

import os
import statistics
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import torch

from inference import Engine, SamplingParams
from tests.bench import quiet
from tests.bench.reference import Reference

Clock = Callable[[], float]
CACHE_BYTES = 2 << 30  # the largest batch at the longer prompt fits: nothing is to be computed twice for want of room


class Rate(NamedTuple):
    """Tokens a second of one call: all of it, prefill included, and from the moment when every sequence had its first token."""

    whole: float
    decode: float


class Round(NamedTuple):
    """What each side gave, and what share of the machine others used meanwhile."""

    values: dict[str, Any]
    others: float


@dataclass
class Bench:
    """One checkpoint under measurement, and how long to measure."""

    name: str
    path: Path
    quick: bool = False
    batches: Sequence[int] = (1, 8, 32, 128)
    lengths: Sequence[int] = (64, 1_024)  # of prompts
    tokens: int = 128  # new tokens a sequence
    rounds: int = 5
    patience: float = 40.0  # seconds that a line of a table may take, warm-up aside
    targets: dict[str, dict[int, float]] = field(default_factory=dict)
    wait: float = (
        0.0  # seconds to wait for others to be quiet before a line, and again if they were not while it was measured
    )
    clock: Clock = time.perf_counter
    others: list[float] = field(default_factory=list)  # the share of the machine that others used, a line measured

    @cached_property
    def engine(self) -> Engine:
        return Engine.load(self.path, cache_bytes=CACHE_BYTES)

    @cached_property
    def reference(self) -> Reference:
        return Reference(self.path, self.clock)

    def ours(self, rows: Sequence[Sequence[int]], tokens: int, *, capture: bool | str = True) -> Rate:
        """Our side: greedy, without a stop, without speculation."""
        params = SamplingParams(max_tokens=tokens, temperature=0, ignore_eos=True)
        waiting, first, early, sent = {(i, 0) for i in range(len(rows))}, 0.0, 0, 0
        began = self.clock()
        for step in self.engine.stream(rows, params, capture=capture, speculate=False):
            sent += len(step.token_ids)
            if waiting:
                waiting.difference_update(step.rows)
                first, early = self.clock(), sent
        end = self.clock()
        if sent != len(rows) * tokens:
            raise AssertionError(f"{sent} tokens came instead of {len(rows) * tokens}")
        return Rate(sent / (end - began), (sent - early) / max(end - first, 1e-9))

    def steps(self, rows: Sequence[Sequence[int]], tokens: int, *, capture: bool | str) -> list[float]:
        """Seconds of each of our steps: prefill with the first token, the tokens in between, the last with all records."""
        params = SamplingParams(max_tokens=tokens, temperature=0, ignore_eos=True)
        times = [self.clock()]
        times.extend(self.clock() for _ in self.engine.stream(rows, params, capture=capture, speculate=False))
        return [end - began for began, end in pairwise(times)]

    def prompts(self, batch: int, length: int, number: int) -> list[list[int]]:
        """Random prompts of this round."""
        generator = torch.Generator().manual_seed(1_000_000 * number + 1_000 * batch + length)
        return torch.randint(6, self.engine.config.vocab_size, (batch, length), generator=generator).tolist()

    def alternate(self, sides: dict[str, Callable[[int], Any]], times: int = 1) -> dict[str, list[Any]]:
        """What each side returned in each round, the first left out; that one alone where it took longer than all should."""
        end, began = time.perf_counter() + self.wait, time.perf_counter()
        first = self._round(sides, 0)
        took = time.perf_counter() - began
        slow = took > self.patience
        wanted = 1 if slow else max(1, min(times * self.rounds, int(self.patience / max(took, 1e-9))))
        kept = [first] if slow and (not self.wait or first.others < quiet.QUIET) else []
        number = 0
        while len(kept) < wanted:
            number += 1
            found = self._round(sides, number)
            if not self.wait or found.others < quiet.QUIET or time.perf_counter() > end:
                kept.append(found)
            else:
                quiet.wait(end - time.perf_counter())
        self.others.append(max(each.others for each in kept))
        return {name: [each.values[name] for each in kept] for name in sides}

    def _round(self, sides: dict[str, Callable[[int], Any]], number: int) -> "Round":
        watch = quiet.Watch()
        names = list(sides)[:: -1 if number % 2 else 1]
        values = {name: sides[name](number) for name in names}
        return Round(values, watch.others())

    def table(self, title: str, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
        """Print a table as Markdown, so that it can be pasted into the log, each line as soon as it is measured, with the most that others used
        of the machine in one of its rounds.
        """
        cells = [*columns, "others"]
        print(f"\n**{self.name}: {title}**\n\n{_line(cells)}\n|{'---:|' * len(cells)}", flush=True)
        self.others.clear()
        for row in rows:
            print(_line([*row, f"{100 * max(self.others):.0f} %" if self.others else "?"]), flush=True)
            self.others.clear()


def median(values: Sequence[float]) -> float:
    return statistics.median(values)


def verdict(ratio: float, target: float | None) -> str:
    """A ratio with its target: "4.31 of 4 ok"."""
    if target is None:
        return f"{ratio:.2f}"
    return f"{ratio:.2f} of {target:g} {'ok' if ratio >= target else 'MISSED'}"


def machine(threads: int) -> str:
    """One line on where this runs."""
    info = Path("/proc/cpuinfo")
    names = [line.split(":")[1].strip() for line in info.read_text().splitlines() if line.startswith("model name")]
    name = names[0] if names else "unknown processor"
    return (
        f"{os.cpu_count()} cores of {name}, {threads} threads, torch {torch.__version__}, {torch.backends.cpu.get_cpu_capability()}, "
        f"float32, load {os.getloadavg()[0]:.1f}"
    )


def _line(cells: Sequence[Any]) -> str:
    return "| " + " | ".join(map(_text, cells)) + " |"


def _text(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"
    return str(value)
