"""Files that are whole or absent: written beside their place, then moved into it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import save_file


def write_text(path: Path, text: str) -> None:
    """Replace a text file in one step."""
    partial = path.with_name(path.name + ".part")
    partial.write_text(text, encoding="utf-8")
    partial.replace(path)


def write_json(path: Path, value: Any) -> None:
    """Replace a JSON file in one step."""
    write_text(path, json.dumps(value, ensure_ascii=False, indent=2) + "\n")


def write_lines(path: Path, rows: list[dict[str, Any]]) -> None:
    """Replace a JSONL file in one step."""
    write_text(path, "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))


def read_lines(path: Path) -> list[dict[str, Any]]:
    """The rows of a JSONL file; none if it is absent."""
    if not path.exists():
        return []
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def write_state(path: Path, tensors: dict[str, torch.Tensor], facts: dict[str, Any]) -> None:
    """Replace a state file in one step: safetensors, with what is no tensor as JSON in its metadata."""
    partial = path.with_name(path.name + ".part")
    save_file(
        {name: tensor.contiguous() for name, tensor in tensors.items()}, partial, metadata={"facts": json.dumps(facts)}
    )
    partial.replace(path)


def read_state(path: Path) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
    """What `write_state` wrote."""
    with safe_open(path, framework="pt") as file:
        tensors = {name: file.get_tensor(name).clone() for name in file.keys()}  # noqa: SIM118  # no mapping
        return tensors, json.loads(file.metadata()["facts"])
