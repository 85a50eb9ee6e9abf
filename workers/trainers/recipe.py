"""The recipe of a pretraining run: every number that shapes it, seeds included, stored beside the checkpoint."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Self


@dataclass(frozen=True)
class Recipe:
    """Settings of a run.

    The learning rate warms up, then follows a cosine over `horizon` steps; over the last `cooldown` of the run's `steps` it
    falls in a line to `lr_floor` of its height. So a run can be ended early and still settle.
    """

    seed: int = 20261124  # weights, and the stream of problems
    tokenizer_seed: int = 7
    steps: int = 2250
    horizon: int = 2600  # steps of the cosine
    cooldown: int = 1200  # steps
    documents: int = 24  # traces a step, about 2,500 tokens; larger batches learned far slower a minute at this size
    groups: int = 3  # of like length, so that little is padding
    easy: int = 208  # steps on the easiest level alone; as many again up to the second level
    lr: float = 2e-3
    lr_floor: float = 0.05
    warmup: int = 100  # steps
    betas: tuple[float, float] = (0.9, 0.95)
    weight_decay: float = 0.1  # matrices only
    clip: float = 1.0  # gradient norm
    bias_rate: float = 0.001  # gamma of DeepSeek-V3 2.1.2: step of the routing bias
    bias_until: float = 0.97  # share of the run after which the bias rests, as V3's last 500B tokens
    mtp_weight: float = 0.3  # lambda of V3 4.2 on the loss of the token after the next; nothing is added without an MTP
    mtp_weight_late: float = 0.1
    mtp_late_from: float = 2 / 3  # share of the run after which the late weight holds; V3: 10 of 14.8 trillion tokens
    log_every: int = 20  # steps
    save_every: int = 100  # steps
    threads: int = 1
    remarks: tuple[str, ...] = ()  # what a person must know who compares this run with another

    def __post_init__(self) -> None:
        """Refuse what would train nothing, naming the value."""
        for name in ("steps", "documents", "groups", "log_every", "save_every", "threads"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}")
        if not 0 < self.lr_floor <= 1:
            raise ValueError(f"lr_floor must lie in (0, 1], got {self.lr_floor}")

    def lr_at(self, step: int) -> float:
        """Learning rate of a step, counted from 0."""
        cooldown = min(self.cooldown, self.steps // 2)  # a short trial run still warms up
        start = self.steps - cooldown
        if step < start:
            return self._cosine(step)
        top, floor = self._cosine(start), self.lr * self.lr_floor
        return floor + (top - floor) * max(0.0, (self.steps - step) / max(1, cooldown))

    def _cosine(self, step: int) -> float:
        if step < self.warmup:
            return self.lr * (step + 1) / self.warmup
        done = (step - self.warmup) / max(1, self.horizon - self.warmup)
        return self.lr * (self.lr_floor + (1 - self.lr_floor) * 0.5 * (1 + math.cos(math.pi * min(1.0, done))))

    def hardest_at(self, step: int) -> int:
        """Highest difficulty among the problems of a step: copying is learned sooner on short ones."""
        return min(3, 1 + step // self.easy) if self.easy else 3

    def bias_rate_at(self, step: int) -> float:
        """Step of the routing bias: constant, then 0 so that routing settles."""
        return self.bias_rate if step < self.bias_until * self.steps else 0.0

    def mtp_weight_at(self, step: int) -> float:
        """What the MTP's loss weighs beside the main one."""
        return self.mtp_weight if step < self.mtp_late_from * self.steps else self.mtp_weight_late

    def save(self, path: Path) -> None:
        """Write it as JSON."""
        path.write_text(json.dumps(asdict(self), indent=2) + "\n", encoding="utf-8")

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read it back. Raises ValueError on unknown or impossible settings."""
        values = json.loads(path.read_text(encoding="utf-8"))
        try:
            return cls(**values | {"betas": tuple(values["betas"]), "remarks": tuple(values["remarks"])})
        except (TypeError, KeyError) as error:
            raise ValueError(f"{path} is no recipe: {error}") from error
