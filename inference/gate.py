"""The router of every generation: one function from logits to the chosen experts and their weights.

MoE-16B, V2-Lite: softmax scores, the K largest, as they are (MoE paper eq. 9-11). V2: groups with the largest single score stay open, scores
times 16 (V2 paper 2.2.2). V3, R1, Moonlight: sigmoid scores, chosen with a correction bias that never weighs, groups by the sum of their two best,
normalised, then scaled (V3 paper eq. 12-16, 2.1.2). Which of these a model does is in its config. Left out: balance losses and token dropping,
which belong to training. All of it in float32, on any device.

Shapes: T tokens, E routed experts, K chosen, G groups, X = E / G experts of a group.
"""

import math
from typing import NamedTuple

import torch

from inference.config import DeepseekConfig

CLOSED = -math.inf  # the score of an expert in a closed group; 0 would win over a negative biased score
TINY = 1e-20  # keeps the normalising division finite, as in transformers


class RouteDetail(NamedTuple):
    """How narrow a choice was, and what the correction bias changed in it."""

    open_groups: torch.Tensor  # bool [T, G]
    swapped: torch.Tensor  # uint8 [T]: experts chosen with the bias that the same rule without it would not choose
    entropy: torch.Tensor  # float32 [T], nats, of the scores over their sum
    margin: (
        torch.Tensor
    )  # float32 [T]: K-th chosen less best refused of the scores that chose, in open groups; inf where none is left


class Routed(NamedTuple):
    """Chosen experts, in no particular order, and what multiplies the output of each."""

    ids: torch.Tensor  # int64 [T, K]
    weights: torch.Tensor  # float32 [T, K]
    detail: RouteDetail | None


def together(routed: list[Routed]) -> Routed:
    """Routing of L layers in one, the layer first: ids and weights [L, T, K], detail likewise."""
    details = [each.detail for each in routed if each.detail is not None]
    detail = RouteDetail(*(torch.stack(each) for each in zip(*details, strict=True))) if details else None
    return Routed(torch.stack([each.ids for each in routed]), torch.stack([each.weights for each in routed]), detail)


def route(
    logits_TE: torch.Tensor, bias_E: torch.Tensor | None, config: DeepseekConfig, *, detail: bool = False
) -> Routed:
    """Choose and weigh experts. `logits_TE` float32; `bias_E` is `e_score_correction_bias` (float32) where the model has one, else None.

    `detail` adds to the result and changes no bit of ids or weights.
    """
    scores_TE = score(logits_TE, config)
    choice_TE = scores_TE if bias_E is None else scores_TE + bias_E
    open_TE = close_groups(choice_TE, config)
    ids_TK = open_TE.topk(config.num_experts_per_tok, -1, sorted=False).indices
    weights_TK = weigh(scores_TE.gather(1, ids_TK), config)
    return Routed(ids_TK, weights_TK, _detail(scores_TE, open_TE, ids_TK, config) if detail else None)


def kernel_rule(config: DeepseekConfig) -> tuple[int, int, int, int, int, bool, float]:
    """The same rule in the words of `native.gate`, which follows it for float32 on the CPU."""
    c = config
    groups = 0 if c.topk_group == c.n_group else 2 if c.topk_method == "noaux_tc" else 1
    scoring = int(c.scoring_func == "sigmoid")
    return scoring, groups, c.n_group, c.topk_group, c.num_experts_per_tok, c.norm_topk_prob, c.routed_scaling_factor


def score(logits_TE: torch.Tensor, config: DeepseekConfig) -> torch.Tensor:
    """Affinities s [T, E]: softmax over all experts, or a sigmoid of each (V3 paper eq. 15)."""
    return torch.softmax(logits_TE, -1) if config.scoring_func == "softmax" else torch.sigmoid(logits_TE)


def close_groups(choice_TE: torch.Tensor, config: DeepseekConfig) -> torch.Tensor:
    """The scores that choose, `CLOSED` outside of the `topk_group` best groups [T, E]."""
    if config.topk_group == config.n_group:
        return choice_TE
    grouped_TGX = choice_TE.view(len(choice_TE), config.n_group, config.n_routed_experts // config.n_group)
    best_TG = group_score(grouped_TGX, config).topk(config.topk_group, -1, sorted=False).indices
    closed_TG = torch.ones(grouped_TGX.shape[:2], dtype=torch.bool, device=choice_TE.device).scatter_(1, best_TG, False)
    return grouped_TGX.masked_fill(closed_TG[..., None], CLOSED).flatten(1)


def group_score(grouped_TGX: torch.Tensor, config: DeepseekConfig) -> torch.Tensor:
    """What a group is chosen by [T, G]: the sum of its two best experts (V3 paper 2.1.2), or its best alone (V2)."""
    if config.topk_method == "noaux_tc":
        return grouped_TGX.topk(2, -1).values.sum(-1)
    return grouped_TGX.amax(-1)


def weigh(chosen_TK: torch.Tensor, config: DeepseekConfig) -> torch.Tensor:
    """Scores of the chosen experts, without the bias, to gate values (V3 paper eq. 13): normalised where the model does so, then scaled."""
    if config.norm_topk_prob:
        chosen_TK = chosen_TK / (chosen_TK.sum(-1, keepdim=True) + TINY)
    return chosen_TK * config.routed_scaling_factor


def _detail(
    scores_TE: torch.Tensor, open_TE: torch.Tensor, ids_TK: torch.Tensor, config: DeepseekConfig
) -> RouteDetail:
    chosen_TE = torch.zeros_like(scores_TE, dtype=torch.bool).scatter_(1, ids_TK, True)
    refused_T = open_TE.masked_fill(chosen_TE, -math.inf).amax(-1)
    swapped_T = torch.zeros(len(ids_TK), dtype=torch.uint8, device=ids_TK.device)
    if config.has_correction_bias:
        plain_TK = close_groups(scores_TE, config).topk(config.num_experts_per_tok, -1, sorted=False).indices
        swapped_T = (~chosen_TE.gather(1, plain_TK)).sum(-1).to(torch.uint8)
    share_TE = scores_TE / scores_TE.sum(-1, keepdim=True)
    return RouteDetail(
        open_groups=open_TE.view(len(open_TE), config.n_group, config.n_routed_experts // config.n_group).amax(-1)
        > -math.inf,
        swapped=swapped_T,
        entropy=torch.special.entr(share_TE).sum(-1),
        margin=open_TE.gather(1, ids_TK).amin(-1) - refused_T,
    )
