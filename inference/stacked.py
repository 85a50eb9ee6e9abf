"""A decoder's layers as one native call, where they can be one: latent attention, float32 on the CPU, every matrix packed.

The layers stay as they are for prefill; this puts their packed weights, not copies, into a `native.stack.Stack`.
"""

from collections.abc import Sequence
from typing import Protocol

import torch

from inference.attend import BLOCK, Place, Seen
from inference.config import DeepseekConfig
from inference.experts import PackedExperts
from inference.feedforward import MoE, SwiGLU
from inference.gqa import GQA
from inference.linear import Linear, Norm
from inference.mla import MLA
from inference.native.stack import LayerWeights, Passed, Shape, Stack


class Parts(Protocol):
    """What a layer is made of."""

    attention_norm: Norm
    attention: MLA | GQA
    mlp_norm: Norm
    mlp: SwiGLU | MoE


def stack_of(config: DeepseekConfig, layers: Sequence[Parts], final: Norm) -> Stack | None:
    """All `layers` and the norm after them in one; None where a layer has no latent attention or a weight is not packed."""
    rows = [_weights(layer) for layer in layers]
    if not rows or any(row is None for row in rows):
        return None
    return Stack(_shape(config), [row for row in rows if row is not None], final.weight)


def run_stack(
    stack: Stack, x_TD: torch.Tensor, place: Place, pools: Sequence[torch.Tensor], *, detail: bool = False
) -> Passed:
    """Single tokens through the stack's layers."""
    assert isinstance(place.look, Seen)
    return stack(x_TD, place.turn, place.slots, place.look.tables, place.look.lengths, pools, detail=detail)


def _shape(c: DeepseekConfig) -> Shape:
    assert c.kv_lora_rank is not None
    routed = bool(c.n_routed_experts)
    return Shape(
        hidden=c.hidden_size,
        heads=c.num_attention_heads,
        nope=c.qk_nope_head_dim,
        rope=c.qk_rope_head_dim,
        rank=c.kv_lora_rank,
        value=c.v_head_dim,
        q_rank=c.q_lora_rank or 0,
        experts=c.n_routed_experts,
        n_group=c.n_group if routed else 1,
        topk_group=c.topk_group if routed else 1,
        top_k=c.num_experts_per_tok if routed else 0,
        sigmoid=c.scoring_func == "sigmoid",
        group_kind={"greedy": 0, "group_limited_greedy": 1, "noaux_tc": 2}[c.topk_method],
        norm=c.norm_topk_prob,
        inter=c.moe_intermediate_size if routed else 0,
        block_size=BLOCK,
        eps=c.rms_norm_eps,
        latent_eps=c.latent_norm_eps,
        scale=c.softmax_scale,
        gate_scale=c.routed_scaling_factor,
    )


def _weights(layer: Parts) -> LayerWeights | None:
    attention, mlp = layer.attention, layer.mlp
    if not isinstance(attention, MLA) or not attention.kernels:
        return None
    shared, gate = (mlp.shared, mlp.gate) if isinstance(mlp, MoE) else (mlp, None)
    experts = mlp.experts if isinstance(mlp, MoE) else None
    if attention.w_in.packed is None or attention.w_o.packed is None or (shared and shared.packed is None):
        return None
    if experts is not None and not isinstance(experts, PackedExperts):
        return None
    w_in, w_out, width = shared.packed if shared and shared.packed else (None, None, 0)
    return LayerWeights(
        attention_norm=layer.attention_norm.weight,
        w_in=attention.w_in.packed,
        q_norm=attention.q_norm.weight if attention.q_norm else None,
        w_qb=_packed(attention.w_qb),
        kv_norm=attention.kv_norm.weight,
        w_uk=attention.packed_uk,
        w_uv=attention.packed_uv,
        w_o=attention.w_o.packed,
        mlp_norm=layer.mlp_norm.weight,
        gate=_packed(gate),
        bias=mlp.bias_E if isinstance(mlp, MoE) else None,
        experts_in=experts.w_in if experts else None,
        experts_out=experts.w_out if experts else None,
        shared_in=w_in,
        shared_out=w_out,
        shared_inter=width,
    )


def _packed(linear: Linear | None) -> torch.Tensor | None:
    return linear.packed if linear else None
