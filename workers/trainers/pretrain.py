"""Causal language modelling of worked traces and of the token after the next (MTP), from scratch, resumable at any saved step.

A resumed run continues with the same numbers: batches are functions of (seed, step), and model, optimiser and log are saved
together. Experts are balanced by the routing bias alone. Left out: evaluation, cards, and any second process or device; a
model of this size learns on one CPU core.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import torch
from tokenizers import Tokenizer
from torch.nn import functional

from .balance import max_violation
from .batching import Rows, batch_at
from .files import read_lines, read_state, write_lines, write_state
from .network import TrainedNetwork
from .recipe import Recipe


class Watcher(Protocol):
    """Called after every logged row; what it raises stops the run."""

    def __call__(self, row: dict[str, Any]) -> None: ...


def summed_loss(logits_BSV: torch.Tensor, rows: Rows) -> torch.Tensor:
    """Sum of the cross-entropy in nats over the positions that carry weight."""
    targets = torch.from_numpy(rows.targets).reshape(-1)
    losses = functional.cross_entropy(logits_BSV.flatten(0, 1), targets, reduction="none")
    return (losses * torch.from_numpy(rows.weights).reshape(-1)).sum()


class Losses(NamedTuple):
    """Mean cross-entropy in nats a token: of the next token, and of the MTP's (0 without one)."""

    main: float
    mtp: float


def after_next(rows: Rows) -> Rows:
    """The same rows for the MTP: its position i predicts token i + 2, weighed as that token is; one position fewer."""
    return Rows(rows.inputs[:, :-1], rows.targets[:, 1:], rows.weights[:, 1:])


def build_optimizer(network: TrainedNetwork, recipe: Recipe) -> torch.optim.AdamW:
    """AdamW that decays matrices, and leaves norms alone."""
    parameters = list(network.model.parameters())
    groups = [
        {"params": [each for each in parameters if each.dim() >= 2], "weight_decay": recipe.weight_decay},
        {"params": [each for each in parameters if each.dim() < 2], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=recipe.lr, betas=recipe.betas)


class Pretraining:
    """One run in one folder: state.safetensors (model, optimiser, step) and log.jsonl."""

    def __init__(self, network: TrainedNetwork, tokenizer: Tokenizer, recipe: Recipe, folder: Path) -> None:
        self.network, self.tokenizer, self.recipe, self.folder = network, tokenizer, recipe, folder
        self.optimizer = build_optimizer(network, recipe)
        self.step = 0  # steps done
        self.log: list[dict[str, Any]] = []
        self._losses: list[Losses] = []
        self._tokens = 0  # places filled since the start
        self._loads = network.zero_loads()
        self._since, self._tokens_before = time.perf_counter(), 0
        folder.mkdir(parents=True, exist_ok=True)

    @property
    def state_path(self) -> Path:
        """Where the resumable state lies."""
        return self.folder / "state.safetensors"

    @property
    def log_path(self) -> Path:
        """Where the log lies."""
        return self.folder / "log.jsonl"

    def resume(self) -> bool:
        """Take up the saved state if there is one. Rows logged after it are dropped: their steps come again."""
        if not self.state_path.exists():
            return False
        tensors, facts = read_state(self.state_path)
        self.network.model.load_state_dict(_below("model.", tensors))
        moments: dict[int, dict[str, torch.Tensor]] = {}
        for name, tensor in _below("optimizer.", tensors).items():
            number, key = name.split(".")
            moments.setdefault(int(number), {})[key] = tensor
        self.optimizer.load_state_dict({**self.optimizer.state_dict(), "state": moments})
        self.step = int(facts["step"])
        self._losses, self._tokens = [Losses(*each) for each in facts["losses"]], int(facts["tokens"])
        self._loads = list(_below("loads.", tensors).values())
        self.log = [row for row in read_lines(self.log_path) if row["step"] <= self.step]
        return True

    def save(self) -> None:
        """Write state and log, each whole or not at all."""
        moments = self.optimizer.state_dict()["state"]
        tensors = {f"model.{name}": tensor for name, tensor in self.network.model.state_dict().items()}
        tensors |= {f"optimizer.{n}.{key}": tensor for n, part in moments.items() for key, tensor in part.items()}
        tensors |= {f"loads.{layer:03d}": load for layer, load in enumerate(self._loads)}
        write_state(self.state_path, tensors, {"step": self.step, "losses": self._losses, "tokens": self._tokens})
        write_lines(self.log_path, self.log)

    def train_step(self) -> Losses:
        """One batch, one update of the weights, one step of the routing biases."""
        recipe, step = self.recipe, self.step
        groups = batch_at(
            self.tokenizer,
            seed=recipe.seed,
            step=step,
            documents=recipe.documents,
            groups=recipe.groups,
            hardest=recipe.hardest_at(step),
        )
        for group in self.optimizer.param_groups:
            group["lr"] = recipe.lr_at(step)
        self.optimizer.zero_grad(set_to_none=True)
        losses, loads = self._backward(groups)
        torch.nn.utils.clip_grad_norm_(self.network.model.parameters(), recipe.clip)
        self.optimizer.step()
        self.network.balance(loads, recipe.bias_rate_at(step))
        self._loads = _added(self._loads, loads)
        self._losses.append(losses)
        self.step += 1
        return losses

    def _backward(self, groups: list[Rows]) -> tuple[Losses, list[torch.Tensor]]:
        """Gradients of the mean loss over all groups; padding is routed too, but so little that the load stands.

        V3 eq. 24 and 25: both means are over the same tokens, and the MTP's adds to the main one with a weight.
        """
        trained = max(1.0, sum(float(rows.weights.sum()) for rows in groups))
        weight, total, loads = self.recipe.mtp_weight_at(self.step), Losses(0.0, 0.0), self.network.zero_loads()
        for rows in groups:
            out = self.network.forward(torch.from_numpy(rows.inputs))
            main = summed_loss(out.logits, rows) / trained
            mtp = torch.zeros(()) if out.drafts is None else summed_loss(out.drafts, after_next(rows)) / trained
            (main + weight * mtp).backward()  # type: ignore[no-untyped-call]
            total = Losses(total.main + float(main.detach()), total.mtp + float(mtp.detach()))
            loads = _added(loads, out.loads)
            self._tokens += rows.inputs.size
        return total, loads

    def run(self, *, until: int | None = None, watch: Watcher | None = None) -> None:
        """Train to the recipe's last step, or to `until`, logging and saving on the way and at the end."""
        last = min(self.recipe.steps, until or self.recipe.steps)
        self._since, self._tokens_before = time.perf_counter(), self._tokens
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
        now, biases = time.perf_counter(), self.network.biases()
        row = {
            "step": self.step,
            "loss": round(sum(each.main for each in self._losses) / len(self._losses), 5),
            "mtp_loss": round(sum(each.mtp for each in self._losses) / len(self._losses), 5),
            "lr": round(self.recipe.lr_at(self.step - 1), 7),
            "tokens": self._tokens,
            "tokens_per_s": round((self._tokens - self._tokens_before) / (now - self._since)),
            "max_violation": [round(max_violation(load), 3) for load in self._loads],
            "bias_min": [round(float(bias.min()), 4) for bias in biases],
            "bias_max": [round(float(bias.max()), 4) for bias in biases],
        }
        self.log.append(row)
        write_lines(self.log_path, self.log)
        self._losses, self._loads = [], self.network.zero_loads()
        self._since, self._tokens_before = now, self._tokens


def _below(prefix: str, tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The tensors whose names begin with `prefix`, without it, in order."""
    return {name.removeprefix(prefix): tensor for name, tensor in sorted(tensors.items()) if name.startswith(prefix)}


def _added(old: list[torch.Tensor], new: list[torch.Tensor]) -> list[torch.Tensor]:
    return [a + b for a, b in zip(old, new, strict=True)]
