"""Causal language modelling of worked traces on packed rows, from scratch, resumable at any saved step.

A resumed run continues with the same numbers: batches are functions of (seed, step), and model, optimiser and log are saved
together. Experts are balanced by the routing bias alone. Left out: evaluation, cards, and any second process or device; a
model of this size learns on one CPU core.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any, Protocol

import torch
from tokenizers import Tokenizer
from torch.nn import functional

from .balance import max_violation
from .files import read_lines, write_lines, write_state
from .network import TrainedNetwork
from .packing import Rows, batch_at
from .recipe import Recipe


class Watcher(Protocol):
    """Called after every logged row; what it raises stops the run."""

    def __call__(self, row: dict[str, Any]) -> None: ...


def weighted_loss(logits_BSV: torch.Tensor, rows: Rows) -> torch.Tensor:
    """Mean cross-entropy in nats over the positions that carry weight."""
    weights = torch.from_numpy(rows.weights).reshape(-1)
    targets = torch.from_numpy(rows.targets).reshape(-1)
    losses = functional.cross_entropy(logits_BSV.flatten(0, 1), targets, reduction="none")
    return (losses * weights).sum() / weights.sum().clamp(min=1)


def build_optimizer(network: TrainedNetwork, recipe: Recipe) -> torch.optim.AdamW:
    """AdamW that decays matrices, and leaves norms alone."""
    parameters = list(network.model.parameters())
    groups = [
        {"params": [each for each in parameters if each.dim() >= 2], "weight_decay": recipe.weight_decay},
        {"params": [each for each in parameters if each.dim() < 2], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=recipe.lr, betas=recipe.betas)


class Pretraining:
    """One run in one folder: state.pt (model, optimiser, step) and log.jsonl."""

    def __init__(self, network: TrainedNetwork, tokenizer: Tokenizer, recipe: Recipe, folder: Path) -> None:
        self.network, self.tokenizer, self.recipe, self.folder = network, tokenizer, recipe, folder
        self.optimizer = build_optimizer(network, recipe)
        self.step = 0  # steps done
        self.log: list[dict[str, Any]] = []
        self._losses: list[float] = []
        self._loads = network.zero_loads()
        self._since = time.perf_counter()
        folder.mkdir(parents=True, exist_ok=True)

    @property
    def state_path(self) -> Path:
        """Where the resumable state lies."""
        return self.folder / "state.pt"

    @property
    def log_path(self) -> Path:
        """Where the log lies."""
        return self.folder / "log.jsonl"

    def resume(self) -> bool:
        """Take up the saved state if there is one. Rows logged after it are dropped: their steps come again."""
        if not self.state_path.exists():
            return False
        state = torch.load(self.state_path, weights_only=True)
        self.network.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.step = int(state["step"])
        self._losses = list(state["losses"])
        self._loads = state["loads"]
        self.log = [row for row in read_lines(self.log_path) if row["step"] <= self.step]
        return True

    def save(self) -> None:
        """Write state and log, each whole or not at all."""
        state = {
            "model": self.network.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "step": self.step,
            "losses": self._losses,
            "loads": self._loads,
        }
        write_state(self.state_path, state)
        write_lines(self.log_path, self.log)

    def train_step(self) -> float:
        """One batch, one update of the weights, one step of the routing biases. Returns the loss."""
        recipe = self.recipe
        rows = batch_at(self.tokenizer, seed=recipe.seed, step=self.step, batch=recipe.batch, length=recipe.length)
        for group in self.optimizer.param_groups:
            group["lr"] = recipe.lr_at(self.step)
        logits, loads = self.network.forward(torch.from_numpy(rows.inputs))
        loss = weighted_loss(logits, rows)
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(self.network.model.parameters(), recipe.clip)
        self.optimizer.step()
        self.network.balance(loads, recipe.bias_rate_at(self.step))
        self._loads = [old + new for old, new in zip(self._loads, loads, strict=True)]
        self._losses.append(float(loss.detach()))
        self.step += 1
        return self._losses[-1]

    def run(self, *, until: int | None = None, watch: Watcher | None = None) -> None:
        """Train to the recipe's last step, or to `until`, logging and saving on the way and at the end."""
        last = min(self.recipe.steps, until or self.recipe.steps)
        self._since = time.perf_counter()
        while self.step < last:
            self.train_step()
            if self.step % self.recipe.log_every == 0:
                self._log_row()
                if watch:
                    watch(self.log[-1])
            if self.step % self.recipe.save_every == 0 and self.step < last:
                self.save()
        self.save()

    def _log_row(self) -> None:
        now = time.perf_counter()
        recipe, steps = self.recipe, len(self._losses)
        biases = self.network.biases()
        row = {
            "step": self.step,
            "loss": round(sum(self._losses) / steps, 5),
            "lr": round(recipe.lr_at(self.step - 1), 7),
            "tokens": self.step * recipe.batch * recipe.length,
            "tokens_per_s": round(recipe.batch * recipe.length * steps / (now - self._since)),
            "max_violation": [round(max_violation(load), 3) for load in self._loads],
            "bias_min": [round(float(bias.min()), 4) for bias in biases],
            "bias_max": [round(float(bias.max()), 4) for bias in biases],
        }
        self.log.append(row)
        write_lines(self.log_path, self.log)
        self._losses, self._loads, self._since = [], self.network.zero_loads(), now
