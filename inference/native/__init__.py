"""Float32 kernels for decoding on the CPU: small batches, packed weights, one call where torch takes ten.

Plain torch stays the reference; ask `available()` first. Left out: other dtypes and devices, gradients. A row's result does not depend on the
rows beside it nor on the number of threads, by a bit. Tensors are float32 and contiguous on the CPU unless said; a wrong shape or dtype is a
RuntimeError that names the argument.

Shapes: T tokens, D hidden, K inputs, N outputs, P = ceil(N / 16) panels.
"""

# ruff: noqa: PLR0917  # a kernel takes its tensors in order

import functools
import logging

import torch

log = logging.getLogger(__name__)


@functools.cache
def available() -> bool:
    """Whether the kernels run here; builds and loads them on the first call. False says why in the log and never raises."""
    from inference.native.build import BuildError, build  # noqa: PLC0415  # so that `python -m` finds it not yet imported

    try:
        torch.ops.load_library(str(build()))  # type: ignore[no-untyped-call]
    except (BuildError, OSError) as error:
        log.warning("no native kernels: %s", error)
        return False
    return True


def pack(weight_NK: torch.Tensor) -> torch.Tensor:
    """A projection's weight in the order that `linear` reads: [P, K, 16], zeros past N."""
    out: torch.Tensor = torch.ops.sluice.pack.default(weight_NK)
    return out


def linear(
    x_TK: torch.Tensor,
    packed: torch.Tensor,
    n: int,
    bias_N: torch.Tensor | None = None,
    residual_TN: torch.Tensor | None = None,
) -> torch.Tensor:
    """The product x W^T + bias + residual, [T, N]; rows of x may be strided."""
    out: torch.Tensor = torch.ops.sluice.linear.default(x_TK, packed, n, bias_N, residual_TN)
    return out


def rms_norm(x_TD: torch.Tensor, gain_D: torch.Tensor, eps: float) -> torch.Tensor:
    """Root-mean-square norm of each row, times the gain, [T, D]; rows of x may be strided."""
    out: torch.Tensor = torch.ops.sluice.rms_norm.default(x_TD, gain_D, eps)
    return out


def latents(
    joined: torch.Tensor,
    gain_C: torch.Tensor,
    eps: float,
    turn: torch.Tensor,
    slots_T: torch.Tensor,
    pool: torch.Tensor,
) -> None:
    """Write the normed latent and the rotated shared key of each token into its row of `pool` [slots, C + R].

    `joined` [T, C + R], its rows may be strided; `turn` complex64 [T, R / 2] turns pairs (0, 1), (2, 3), ...; `slots_T` int64.
    """
    torch.ops.sluice.latents.default(joined, gain_C, eps, turn, slots_T, pool)


def rotate_queries(q: torch.Tensor, heads: int, nope: int, turn: torch.Tensor) -> torch.Tensor:
    """Queries [T, H (N + R)], rows may be strided, to [T, H, N + R] with the last R of each head turned by `turn` complex64 [T, R / 2]."""
    out: torch.Tensor = torch.ops.sluice.rotate_queries.default(q, heads, nope, turn)
    return out


def swiglu(
    x_TD: torch.Tensor,
    packed_in: torch.Tensor,
    packed_out: torch.Tensor,
    inter: int,
    residual_TD: torch.Tensor | None = None,
) -> torch.Tensor:
    """down(silu(gate x) * up x) + residual, [T, D]. `packed_in` is `pack` of gate and up stacked [2I, D], `packed_out` of down [D, I]."""
    out: torch.Tensor = torch.ops.sluice.swiglu.default(x_TD, packed_in, packed_out, inter, residual_TD)
    return out


def experts(
    x_TD: torch.Tensor,
    ids_TK: torch.Tensor,
    weights_TK: torch.Tensor,
    packed_in: torch.Tensor,
    packed_out: torch.Tensor,
    inter: int,
    base_TD: torch.Tensor | None = None,
    shared: tuple[torch.Tensor, torch.Tensor, int] | None = None,
) -> torch.Tensor:
    """A whole feed-forward with experts: base + shared(x) + sum over the chosen of weight * expert(x), [T, D], added in that order.

    `ids_TK` int64. `packed_in`, `packed_out` hold each expert's as in `swiglu`, the expert first; `shared` is the shared expert's two and its width.
    """
    shared_in, shared_out, shared_inter = shared or (None, None, 0)
    out: torch.Tensor = torch.ops.sluice.experts.default(
        x_TD, ids_TK, weights_TK, packed_in, packed_out, inter, base_TD, shared_in, shared_out, shared_inter
    )
    return out


def pack_heads(weight_HNK: torch.Tensor) -> torch.Tensor:
    """Each head's weight as `pack` gives it, [H, P, K, 16]."""
    return torch.stack([pack(weight_NK.contiguous()) for weight_NK in weight_HNK])


def mla_decode(
    q: torch.Tensor,
    packed_uk: torch.Tensor,
    packed_uv: torch.Tensor,
    pool: torch.Tensor,
    tables: torch.Tensor,
    lengths_T: torch.Tensor,
    block_size: int,
    scale: float,
    value: int | None = None,
) -> torch.Tensor:
    """Absorbed latent attention of single tokens (V2 paper, appendix C): [T, H V].

    `q` [T, H, N + R], rotated; `packed_uk` is `pack_heads` of W_uk [H, C, N], `packed_uv` of W_uv [H, V, C]; `pool` [slots, C + R]; `tables`
    int32 [T, blocks]; `lengths_T` int64: positions 0 .. length - 1 are looked at and nothing past them is read. `value` is V, needed where it
    is no multiple of 16.
    """
    width = packed_uv.shape[1] * 16 if value is None else value
    out: torch.Tensor = torch.ops.sluice.mla_decode.default(
        q, packed_uk, packed_uv, pool, tables, lengths_T, block_size, scale, width
    )
    return out


def gate(
    logits_TE: torch.Tensor,
    bias_E: torch.Tensor | None,
    scoring: int,
    group_kind: int,
    n_group: int,
    topk_group: int,
    top_k: int,
    norm: bool,
    scale: float,
    *,
    detail: bool = False,
) -> tuple[torch.Tensor, ...]:
    """Ids int64 [T, K] and weights [T, K], the best first and of equals the lower id, as inference/gate.py.

    `scoring` 0 softmax, 1 sigmoid; `group_kind` 0 no groups, 1 a group's best expert, 2 the sum of its two best. With `detail` four more: open
    groups bool [T, G], swapped uint8 [T], entropy [T], margin [T]; they change no bit of ids and weights.
    """
    out: tuple[torch.Tensor, ...] = torch.ops.sluice.gate.default(
        logits_TE, bias_E, scoring, group_kind, n_group, topk_group, top_k, norm, scale, detail
    )
    return out if detail else out[:2]


def sample(
    logits_BV: torch.Tensor, temperature: float, top_k: int, top_p: float, draws_B: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Tokens int64 [B], their log-probabilities and the entropies in nats [B] of the untempered distribution, as inference/sampling.py; `draws_B`
    float64 in [0, 1) are spent on them, or ignored at temperature 0.
    """
    out: tuple[torch.Tensor, torch.Tensor, torch.Tensor] = torch.ops.sluice.sample.default(
        logits_BV, temperature, top_k, top_p, draws_B
    )
    return out


def record(
    slots_T: torch.Tensor,
    ids_LTK: torch.Tensor,
    weights_LTK: torch.Tensor,
    to_ids: torch.Tensor,
    to_weights: torch.Tensor,
) -> None:
    """Write a pass's routing into rows `slots_T` int64 of `to_ids` uint8 or uint16 and `to_weights` float16, both [slots, L, K]."""
    torch.ops.sluice.record.default(slots_T, ids_LTK, weights_LTK, to_ids, to_weights)
