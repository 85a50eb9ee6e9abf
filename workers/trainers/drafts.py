"""How often the MTP guesses what the main model would say: what a second token a pass could save, before an engine tries it.

Teacher-forced on worked held-out traces: at every position both are given the trace's own tokens, and the guess for token
i + 2, made from the state at i and token i + 1, is held against the main model's likeliest token after i + 1. A guess is
counted only where token i + 1 is itself of the completion, as no engine drafts before it has sampled one. That is greedy
acceptance had the model written the trace; sampling at a temperature accepts less. Left out: any measure of speed.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from tokenizers import Tokenizer
from torch.nn import functional

from .balance import max_violation
from .batching import encode_item, pad
from .families import FAMILIES, Item
from .network import Pass, TrainedNetwork
from .shape import Shape


@dataclass(frozen=True)
class Guesses:
    """Of one trace: guesses made, those equal to the main model's likeliest token, those equal to the trace's; summed nats."""

    made: int
    agreed: int
    right: int
    nats: float


def load_network(folder: Path) -> TrainedNetwork:
    """The checkpoint of a folder in training form."""
    network = TrainedNetwork(Shape.of(json.loads((folder / "config.json").read_text(encoding="utf-8"))), seed=0)
    network.model.load_state_dict(load_file(str(folder / "model.safetensors")))
    return network


def compare(out: Pass, targets_S: torch.Tensor, weights_S: torch.Tensor) -> Guesses:
    """The guesses of a pass over one row, given the row's targets and which of them are of the completion."""
    assert out.drafts is not None  # noqa: S101  the caller chose a network with an MTP
    made = (weights_S[1:] > 0) & (weights_S[:-1] > 0)
    drafts, wanted = out.drafts[0][made], targets_S[1:][made]
    guessed, said = drafts.argmax(-1), out.logits[0, 1:][made].argmax(-1)
    nats = functional.cross_entropy(drafts, wanted, reduction="sum")
    return Guesses(len(wanted), int((guessed == said).sum()), int((guessed == wanted).sum()), float(nats))


@torch.no_grad()
def measure(folder: Path, items: Sequence[Item]) -> dict[str, Any]:
    """Agreement over the items' worked traces, as accuracy.json holds it. Raises ValueError for a checkpoint without an MTP."""
    network, tokenizer = load_network(folder), Tokenizer.from_file(str(folder / "tokenizer.json"))
    if not network.model.mtp:
        raise ValueError(f"{folder} holds a checkpoint without an MTP: nothing drafts")
    guesses: dict[str, list[Guesses]] = {name: [] for name in FAMILIES}
    load_E = torch.zeros(network.shape.n_routed_experts, dtype=torch.int64)
    for item in items:
        rows = pad([encode_item(tokenizer, item)])  # one trace a pass: padding would count as load
        out = network.forward(torch.from_numpy(rows.inputs))
        guesses[item.family].append(compare(out, torch.from_numpy(rows.targets[0]), torch.from_numpy(rows.weights[0])))
        load_E += out.loads[-1]
    return {
        **_summary([each for family in guesses.values() for each in family]),
        "families": {name: _summary(family) for name, family in guesses.items() if family},
        "least_share": round(float(load_E.min() / load_E.sum()), 5),
        "max_violation": round(max_violation(load_E), 3),
    }


def _summary(guesses: Sequence[Guesses]) -> dict[str, Any]:
    made = sum(each.made for each in guesses)
    return {
        "guesses": made,
        "agreement": round(sum(each.agreed for each in guesses) / made, 4),
        "right": round(sum(each.right for each in guesses) / made, 4),
        "loss": round(sum(each.nats for each in guesses) / made, 4),
    }
