"""Reads a Hugging Face checkpoint directory, strictly: every tensor that the model needs is there once, in the right shape and kind, and every
tensor that is there is used or known to be left out. Safetensors only; nothing is ever unpickled.

All headers are checked before a weight is allocated. Then weights stream: each is read when the model asks for it, straight into aligned memory of
its own, so the model is never in memory twice and sums do not depend on where a tensor lay in its file.
"""

import hashlib
from pathlib import Path
from types import TracebackType
from typing import Self

import torch

from inference.config import DeepseekConfig
from inference.fp8 import Q_DTYPE, Fp8Weight
from inference.header import shown
from inference.inventory import SCALE, Inventory, take_stock
from inference.shapes import mtp_shapes
from inference.shards import Shards

DTYPES = {"F32": torch.float32, "BF16": torch.bfloat16, "F16": torch.float16, "F8_E4M3": Q_DTYPE}
HASHED = {
    "config.json", "generation_config.json", "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "chat_template.jinja",
}  # fmt: skip


class Weights:
    """A checkpoint's tensors, each given once: `weights(name)`. A context: leaving it closes the files and refuses a forgotten tensor."""

    def __init__(
        self, shards: Shards, inventory: Inventory, config: DeepseekConfig, dtype: torch.dtype, device: str, *, expand_fp8: bool
    ) -> None:  # fmt: skip
        self._shards, self._inventory, self._config = shards, inventory, config
        self._dtype, self._device, self._expand = dtype, device, expand_fp8
        self._optional = mtp_shapes(config).keys() if inventory.has_mtp else ()
        self.left = dict.fromkeys(inventory.shapes)  # names that were not asked for yet, in order

    @property
    def has_mtp(self) -> bool:
        """Whether tensors of the MTP layers are among them: False where the files have none, and where they were not wanted."""
        return self._inventory.has_mtp

    def __call__(self, name: str) -> torch.Tensor | Fp8Weight:
        """Read one tensor, in the engine's dtype (the router's in float32: a rounded correction bias changes the choice), or in 8 bit.

        Raises KeyError for a name that the model does not have or that was given before, ValueError for numbers that are none.
        """
        del self.left[name]
        try:
            return self._read(name)
        finally:
            if not self.left:
                self.close()

    def _read(self, name: str) -> torch.Tensor | Fp8Weight:
        raw = self._raw(name)
        if name not in self._inventory.eight_bit:
            return raw.to(torch.float32 if ".mlp.gate." in name else self._dtype).to(self._device)
        assert self._config.fp8_block is not None  # take_stock has seen to it
        scale = self._raw(name + SCALE).to(torch.float32)
        weight = Fp8Weight(raw.to(self._device), scale.to(self._device), self._config.fp8_block)
        return weight.dense(self._dtype) if self._expand else weight

    def _raw(self, name: str) -> torch.Tensor:
        """As it stands in its file."""
        info = self._shards.places[name].info
        tensor = torch.empty(info.shape, dtype=DTYPES[info.dtype])
        self._shards.read(name, tensor.view(torch.uint8).numpy().reshape(-1).data)
        if not _finite(tensor):
            raise ValueError(
                f"{self._shards.places[name].path}: {shown(name)} holds NaN or infinity; the file is damaged"
            )
        return tensor

    def close(self) -> None:
        """Close the files; doing it again does nothing."""
        self._shards.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
        forgotten = [name for name in self.left if name not in self._optional]
        assert error is not None or not forgotten, f"the model did not ask for {forgotten[:8]}"


def open_weights(
    path: Path, config: DeepseekConfig, dtype: torch.dtype, *, device: str = "cpu", expand_fp8: bool = False, mtp: bool = True
) -> Weights:  # fmt: skip
    """Check a whole checkpoint, allocating nothing, and open it for reading. Weights in 8 bit stay so unless `expand_fp8`; MTP layers are left
    out unless `mtp`. Raises ValueError naming every file or tensor that is missing, extra, misshapen, cut off or of the wrong kind.
    """
    shards = Shards(path)
    try:
        inventory = take_stock(shards, config, mtp=mtp)
    except BaseException:
        shards.close()
        raise
    return Weights(shards, inventory, config, dtype, device, expand_fp8=expand_fp8)


def checkpoint_hash(path: Path) -> str:
    """SHA-256 over names and contents of the files that decide what the model says."""
    digest = hashlib.sha256()
    for file in sorted([*path.glob("*.safetensors"), *path.glob("*.json"), *path.glob("*.jinja")]):
        if file.name in HASHED or file.suffix == ".safetensors":
            digest.update(file.name.encode() + b"\0")
            with file.open("rb") as stream:
                digest.update(hashlib.file_digest(stream, "sha256").digest())
    return digest.hexdigest()


def _finite(tensor: torch.Tensor) -> bool:
    """Whether every number is one, without a copy of the tensor."""
    if tensor.dtype == Q_DTYPE:  # NaN is 0x7F or 0xFF, and there is no infinity
        largest = (tensor.view(torch.int8).max() == 0x7F, tensor.view(torch.uint8).max() == 0xFF)
        return not any(largest)
    return bool(torch.isfinite(torch.stack(torch.aminmax(tensor))).all())
