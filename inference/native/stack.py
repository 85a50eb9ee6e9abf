"""A decoder's layers with latent attention as one call: at small batches the time goes into asking for kernels, not into them.

The result is the same as from the single kernels, by the bit. The layers' addresses are put into a table once, where shapes are checked; the
`Stack` keeps the weights alive. Left out: attention without latents, prefill, 8-bit weights.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch

PANEL = 16


class Shape(NamedTuple):
    """Numbers that all layers share. `q_rank` is 0 where queries are projected at once; without routers `experts` is 0."""

    hidden: int
    heads: int
    nope: int
    rope: int
    rank: int
    value: int
    q_rank: int
    experts: int
    n_group: int
    topk_group: int
    top_k: int
    sigmoid: bool  # else softmax
    group_kind: int  # as `native.gate`
    norm: bool
    inter: int  # width of a routed expert
    block_size: int
    eps: float
    latent_eps: float
    scale: float  # of scores before softmax
    gate_scale: float


class LayerWeights(NamedTuple):
    """One layer, matrices packed: `w_in` gives queries (or their latent), then [C + R]. A dense layer has no gate and its feed-forward as `shared`."""

    attention_norm: torch.Tensor
    w_in: torch.Tensor
    q_norm: torch.Tensor | None
    w_qb: torch.Tensor | None
    kv_norm: torch.Tensor
    w_uk: torch.Tensor  # pack_heads of [H, C, N]
    w_uv: torch.Tensor  # pack_heads of [H, V, C]
    w_o: torch.Tensor
    mlp_norm: torch.Tensor
    gate: torch.Tensor | None
    bias: torch.Tensor | None
    experts_in: torch.Tensor | None
    experts_out: torch.Tensor | None
    shared_in: torch.Tensor | None
    shared_out: torch.Tensor | None
    shared_inter: int = 0


class Passed(NamedTuple):
    """What came of a pass; L counts the layers with a router. The last four are empty without `detail`."""

    hidden: torch.Tensor  # [T, D]
    ids: torch.Tensor  # int64 [L, T, K]
    weights: torch.Tensor  # [L, T, K]
    open_groups: torch.Tensor  # bool [L, T, G]
    swapped: torch.Tensor  # uint8 [L, T]
    entropy: torch.Tensor  # [L, T]
    margin: torch.Tensor  # [L, T]


class Stack:
    """Layers for `native.available()` machines; `final_norm` is the gain of the norm after the last, or None. Raises ValueError naming a tensor
    that does not fit.
    """

    def __init__(self, shape: Shape, layers: Sequence[LayerWeights], final_norm: torch.Tensor | None) -> None:
        for index, layer in enumerate(layers):
            _check(shape, layer, index)
        self._kept = layers, final_norm
        rows = [[0 if x is None else x.data_ptr() for x in layer[:-1]] + [layer.shared_inter] for layer in layers]
        self._layers = torch.tensor(rows, dtype=torch.int64)
        self._shape = torch.tensor([int(x) for x in shape[:-4]], dtype=torch.int64)
        self._reals = torch.tensor(shape[-4:], dtype=torch.float64)
        self._final = final_norm

    def __call__(  # noqa: PLR0917  # a kernel takes its tensors in order
        self,
        x_TD: torch.Tensor,
        turn: torch.Tensor,
        slots_T: torch.Tensor,
        tables: torch.Tensor,
        lengths_T: torch.Tensor,
        pools: Sequence[torch.Tensor],
        *,
        detail: bool = False,
    ) -> Passed:
        """Single tokens through all layers, each seeing positions 0 .. length - 1 of its row of `tables` int32 [T, blocks]; its own row is written
        into every layer's pool [slots, C + R] first. `turn` complex64 [T, R / 2]; `slots_T`, `lengths_T` int64.
        """
        return Passed(
            *torch.ops.sluice.stack.default(
                x_TD,
                turn,
                slots_T,
                tables,
                lengths_T,
                pools,
                self._layers,
                self._shape,
                self._reals,
                self._final,
                detail,
            )
        )


def _check(s: Shape, layer: LayerWeights, index: int) -> None:
    def packed(n: int, depth: int, *before: int) -> tuple[int, ...]:
        return (*before, -(-n // PANEL), depth, PANEL)

    width, shared = s.heads * (s.nope + s.rope), layer.shared_inter
    expected: dict[str, tuple[int, ...]] = {
        "attention_norm": (s.hidden,),
        "w_in": packed((s.q_rank or width) + s.rank + s.rope, s.hidden),
        "kv_norm": (s.rank,),
        "w_uk": packed(s.rank, s.nope, s.heads),
        "w_uv": packed(s.value, s.rank, s.heads),
        "w_o": packed(s.hidden, s.heads * s.value),
        "mlp_norm": (s.hidden,),
    }
    if s.q_rank:
        expected |= {"q_norm": (s.q_rank,), "w_qb": packed(width, s.q_rank)}
    if layer.gate is not None:
        expected |= {
            "gate": packed(s.experts, s.hidden),
            "experts_in": packed(2 * s.inter, s.hidden, s.experts),
            "experts_out": packed(s.hidden, s.inter, s.experts),
        }
        if layer.bias is not None:
            expected["bias"] = (s.experts,)
    if shared or layer.gate is None:
        expected |= {"shared_in": packed(2 * shared, s.hidden), "shared_out": packed(s.hidden, shared)}
    for name, tensor in zip(layer._fields[:-1], layer[:-1], strict=True):
        _fits(f"layer {index}: {name}", tensor, expected.get(name))


def _fits(name: str, tensor: torch.Tensor | None, shape: tuple[int, ...] | None) -> None:
    if (tensor is None) != (shape is None):
        raise ValueError(f"{name} is {'missing' if tensor is None else 'not expected'}")
    if tensor is None:
        return
    if (
        tensor.shape != shape
        or tensor.dtype != torch.float32
        or not tensor.is_contiguous()
        or tensor.device.type != "cpu"
    ):
        raise ValueError(
            f"{name} must be {shape}, float32 and contiguous on the CPU, got {tuple(tensor.shape)}, {tensor.dtype}"
        )
