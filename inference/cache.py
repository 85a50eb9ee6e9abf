"""What is kept of tokens that went through: latents (or keys and values) of every layer, and where they were routed, in slots of blocks.

A token's slot is block * 16 + position % 16. Routing lies by slot beside the latents, so whoever shares a prefix finds its routing too.
Nothing is cleared: which slots mean something is for whoever hands out blocks to know (blocks.py). Memory is taken from the system only
as slots are written.
"""

from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray

from inference import native
from inference.attend import BLOCK
from inference.config import DeepseekConfig
from inference.gate import Routed
from inference.records import RoutingDetail

Capture = Literal[False, True, "full"]
Rows = NDArray[np.int64]


class Cache:
    """`layers[i]` [slots, cache_width] of decoder layer i; the layers of multi-token prediction come last."""

    def __init__(self, config: DeepseekConfig, n_blocks: int, dtype: torch.dtype, device: str, mtp: int = 0) -> None:
        self.config, self.slots = config, n_blocks * BLOCK
        shape = (self.slots, config.cache_width)
        self.layers = [torch.empty(shape, dtype=dtype, device=device) for _ in range(config.num_hidden_layers + mtp)]
        self.level: Capture = False
        self._ids: NDArray[Any] | None = None
        self._weights: NDArray[np.float16] | None = None
        self._detail: tuple[NDArray[Any], ...] | None = None  # in the order of RoutingDetail's fields

    def capture(self, level: Capture) -> None:
        """Record routing of the passes that follow; arrays are made when they are first wanted."""
        self.level = level if self.config.router_layers else False
        shape = (self.slots, len(self.config.router_layers))
        if self.level and self._ids is None:
            kind: type[np.uint8 | np.uint16] = np.uint8 if self.config.n_routed_experts <= 256 else np.uint16
            self._ids = np.empty((*shape, self.config.num_experts_per_tok), kind)
            self._weights = np.empty((*shape, self.config.num_experts_per_tok), np.float16)
            self._tensors = torch.from_numpy(self._ids), torch.from_numpy(self._weights)
        if self.level == "full" and self._detail is None:
            groups = np.empty((*shape, self.config.n_group), np.bool_)
            self._detail = (groups, np.empty(shape, np.uint8), np.empty(shape, np.float32), np.empty(shape, np.float32))

    def record(self, slots: torch.Tensor, routed: Routed, *, kernels: bool = False) -> None:
        """Write the routing of a pass, all router layers together [L, T, ...], of the tokens at `slots` int64 [T]. `kernels` where they made it:
        at one token a pass, numpy's two assignments would take a tenth of it.
        """
        if not self.level or self._ids is None or self._weights is None:
            return
        if kernels:
            native.record(slots, routed.ids, routed.weights, *self._tensors)
        else:
            at = slots.cpu().numpy()
            self._ids[at] = routed.ids.transpose(0, 1).cpu().numpy()
            self._weights[at] = routed.weights.transpose(0, 1).cpu().numpy()
        if self.level == "full" and self._detail is not None and routed.detail is not None:
            at = slots.cpu().numpy()
            for mine, rows in zip(self._detail, routed.detail, strict=True):
                mine[at] = rows.transpose(0, 1).cpu().numpy()

    def routing(self, slots: Rows) -> tuple[NDArray[Any], NDArray[np.float16], RoutingDetail | None]:
        """Expert ids uint8 or uint16 [S, L, K], gate weights of that shape, and the detail where the level is "full", of the tokens at `slots`."""
        if self._ids is None or self._weights is None:
            shape = (len(slots), 0, self.config.num_experts_per_tok)
            return np.zeros(shape, np.uint8), np.zeros(shape, np.float16), None
        detail = None
        if self.level == "full" and self._detail is not None:
            detail = RoutingDetail(*(array[slots] for array in self._detail))
        return self._ids[slots], self._weights[slots], detail

    def copy(self, source: Rows, target: Rows) -> None:
        """Copy all that is kept of the tokens at `source` to the slots `target`."""
        here, there = torch.from_numpy(source), torch.from_numpy(target)
        for layer in self.layers:
            layer[there.to(layer.device)] = layer[here.to(layer.device)]
        kept = (self._ids, self._weights, *(self._detail or ()))
        for array in kept:
            if array is not None:
                array[target] = array[source]

    def bytes(self) -> int:
        """What one full cache takes, routing left out."""
        return sum(layer.numel() * layer.element_size() for layer in self.layers)
