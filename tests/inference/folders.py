"""Checkpoints written to disk, whole or wrong in one named way, in as many shards as a test wants."""

import json
import struct
from collections.abc import Callable
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file

from inference.config import DeepseekConfig
from inference.fp8 import Q_DTYPE, Fp8Weight, scale_shape
from inference.inventory import PROJECTION, SCALE
from inference.loader import Weights, open_weights
from inference.shapes import expected_shapes, mtp_shapes
from tests.inference.configs import SMALL

FP8 = {
    "quant_method": "fp8",
    "fmt": "e4m3",
    "activation_scheme": "dynamic",
    "weight_block_size": [16, 32],
}


def values(model_type: str, **changes) -> dict:
    """A small config.json of a generation."""
    return {**SMALL[model_type], **changes}


def tensors(config: DeepseekConfig, seed: int = 0, *, mtp: bool = True) -> dict[str, torch.Tensor]:
    """Random weights of a config, float32."""
    draw = torch.Generator().manual_seed(seed)
    shapes = expected_shapes(config) | (mtp_shapes(config) if mtp else {})
    return {name: torch.randn(shape, generator=draw) for name, shape in shapes.items()}


def quantise(weight: torch.Tensor, block: tuple[int, int]) -> Fp8Weight:
    """A matrix in 8 bit as DeepSeek stores it: the edge is padded with zeros, each block divided by its largest number / 448."""
    (rows, columns), (down, right) = weight.shape, scale_shape(weight.shape, block)
    padded = torch.zeros(down * block[0], right * block[1])
    padded[:rows, :columns] = weight
    blocks = padded.view(down, block[0], right, block[1])
    scale = blocks.abs().amax((1, 3)).clamp(min=1e-4) / 448
    q = (blocks / scale[:, None, :, None]).view_as(padded)[:rows, :columns]
    return Fp8Weight(q.to(Q_DTYPE), scale, block)


def in_eight_bit(made: dict[str, torch.Tensor], block: tuple[int, int] = (16, 32)) -> dict[str, torch.Tensor]:
    """The same weights as a checkpoint in 8 bit has them: projections and their scales, all else as it was."""
    out = {}
    for name, tensor in made.items():
        if PROJECTION.fullmatch(name) and "eh_proj" not in name:
            weight = quantise(tensor, block)
            out |= {name: weight.q, name + SCALE: weight.scale}
        else:
            out[name] = tensor
    return out


def save(folder: Path, config: dict, made: dict[str, torch.Tensor], shards: int = 1) -> Path:
    """Write a checkpoint; tensors are dealt out to the shards in turn, so that scales land apart from their weights."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps(config))
    if shards == 1:
        save_file(made, folder / "model.safetensors")
        return folder
    place = {name: f"model-{i % shards + 1:05}-of-{shards:05}.safetensors" for i, name in enumerate(made)}
    for file in sorted(set(place.values())):
        save_file({name: made[name] for name in made if place[name] == file}, folder / file)
    write_index(folder, place)
    return folder


def write_index(folder: Path, place: dict[str, str]) -> None:
    (folder / "model.safetensors.index.json").write_text(json.dumps({"metadata": {}, "weight_map": place}))


def read_index(folder: Path) -> dict[str, str]:
    return json.loads((folder / "model.safetensors.index.json").read_text())["weight_map"]


def write_raw(path: Path, header: bytes, data: bytes = b"") -> Path:
    path.write_bytes(struct.pack("<Q", len(header)) + header + data)
    return path


def shard_of(folder: Path, name: str) -> Path:
    return folder / read_index(folder)[name]


def rewrite(file: Path, change: Callable[[dict[str, torch.Tensor]], object]) -> None:
    """Let `change` alter the tensors of one file."""
    made = load_file(file)
    change(made)
    save_file(made, file, metadata={"format": "pt"})


def opened(folder: Path, dtype: torch.dtype = torch.float32, **options) -> Weights:
    return open_weights(folder, DeepseekConfig.from_path(folder), dtype, **options)


def everything(folder: Path, dtype: torch.dtype = torch.float32, **options) -> dict[str, torch.Tensor | Fp8Weight]:
    with opened(folder, dtype, **options) as weights:
        return {name: weights(name) for name in list(weights.left)}


def sharded(folder: Path) -> tuple[Path, DeepseekConfig, dict[str, torch.Tensor]]:
    """A checkpoint in 16 shards: its folder, config and tensors."""
    config = DeepseekConfig.from_hf(values("deepseek_v3"))
    made = tensors(config)
    return save(folder, values("deepseek_v3"), made, shards=16), config, made


def eight_bit(folder: Path, change: Callable[[dict[str, torch.Tensor]], object] = len, shards: int = 7):
    """The same in 8 bit, scales apart from their weights; `change` alters the tensors before they are written."""
    config = DeepseekConfig.from_hf(values("deepseek_v3", quantization_config=FP8))
    made = in_eight_bit(tensors(config))
    change(made)
    return save(folder, values("deepseek_v3", quantization_config=FP8), made, shards=shards), config, made
