"""The router once more, slowly: numpy in float64, one token and one group at a time, from the papers' equations. `wrong` names one mistake to make."""

import math

import numpy as np


def route(logits, bias, config, wrong=""):
    """Returns, a token: {expert: weight}, open groups [G], swapped, entropy, margin."""
    return [
        _one(row, np.zeros(len(row)) if bias is None else np.asarray(bias, np.float64), config, wrong)
        for row in np.asarray(logits, np.float64)
    ]


def _one(logits, bias, c, wrong):
    if c.scoring_func == "softmax":
        exp = np.exp(logits - logits.max())
        scores = exp / exp.sum()
    else:
        scores = 1 / (1 + np.exp(-logits))
    choice = scores + bias
    masked, opened = _mask(choice, c, wrong)
    chosen = [int(e) for e in np.argsort(-masked, kind="stable")[: c.num_experts_per_tok]]
    weights = {e: float(choice[e] if wrong == "bias in the weights" else scores[e]) for e in chosen}
    total = sum(weights.values())
    for e in chosen:
        if wrong == "scaled before normalised" and c.norm_topk_prob:
            weights[e] = weights[e] * c.routed_scaling_factor / (total * c.routed_scaling_factor)
            continue
        if c.norm_topk_prob or wrong == "normalised":
            weights[e] /= total
        weights[e] = (
            weights[e] / c.routed_scaling_factor if wrong == "scale divided" else weights[e] * c.routed_scaling_factor
        )
    plain, _ = _mask(scores, c, wrong)
    unbiased = {int(e) for e in np.argsort(-plain, kind="stable")[: c.num_experts_per_tok]}
    share = scores / scores.sum()
    refused = [masked[e] for e in range(len(masked)) if e not in chosen and masked[e] > -math.inf]
    return {
        "weights": weights,
        "open": opened,
        "swapped": len(set(chosen) - unbiased),
        "entropy": float(-sum(p * math.log(p) for p in share if p > 0)),
        "margin": min(masked[e] for e in chosen) - max(refused) if refused else math.inf,
    }


def _mask(choice, c, wrong):
    groups = np.split(choice, c.n_group)
    by_two = (c.topk_method == "noaux_tc") != (wrong == "the other group score")
    worth = [sum(sorted(group)[-2:]) if by_two else max(group) for group in groups]
    best = set(np.argsort(-np.array(worth), kind="stable")[: c.topk_group].tolist())
    closed = 0.0 if wrong == "mask of 0" else -math.inf
    masked = np.concatenate([g if i in best else np.full(len(g), closed) for i, g in enumerate(groups)])
    return masked, np.array([i in best for i in range(c.n_group)])
