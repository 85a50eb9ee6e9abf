"""From logits to tokens. Each sample draws from its own counter-based stream, so batch-mates cannot change it."""

import hashlib
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from inference import native
from inference.records import SamplingParams


class Sampled(NamedTuple):
    """A token a row, with what the untempered distribution says of it."""

    tokens: torch.Tensor  # int64 [B]
    logprobs: torch.Tensor  # float32 [B]
    entropies: torch.Tensor  # float32 [B]


def sample_seeds(seed: int, prompt: Sequence[int], n: int) -> list[int]:
    """The seeds of a prompt's samples, below 2^63: SHA-256 of the request's seed, the sample's number and the prompt's tokens."""
    tokens = ",".join(map(str, prompt))
    digests = (hashlib.sha256(f"{seed}:{sample}:{tokens}".encode()).digest() for sample in range(n))
    return [int.from_bytes(digest[:8], "big") >> 1 for digest in digests]


def sample_seed(seed: int, prompt: Sequence[int], sample: int) -> int:
    """The seed of one sample: the last of `sample_seeds`."""
    return sample_seeds(seed, prompt, sample + 1)[sample]


def uniforms(seed: int, count: int) -> NDArray[np.float64]:
    """`count` draws from [0, 1): the t-th is spent on the t-th token (Philox 4x64, Salmon et al. 2011)."""
    return np.random.Generator(np.random.Philox(key=seed)).random(count)


def sample(logits_BV: torch.Tensor, params: SamplingParams, draws_B: torch.Tensor, *, kernels: bool) -> Sampled:
    """The one way from logits float32 [B, V] and draws float64 [B] to tokens: each spends its own draw. `kernels`: in one native call."""
    if kernels:
        return Sampled(*native.sample(logits_BV, params.temperature, params.top_k, params.top_p, draws_B))
    tokens_B = choose(logits_BV, params, draws_B)
    logprobs_BV, entropies_B = measure(logits_BV)
    return Sampled(tokens_B, logprobs_BV.gather(1, tokens_B[:, None])[:, 0], entropies_B)


def measure(logits_BV: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Log-probabilities float32 [B, V] and entropy in nats [B] of the untempered distribution."""
    logprobs_BV = torch.log_softmax(logits_BV, -1)
    # exp(-inf) * -inf is NaN; a token of no probability adds nothing to the entropy
    terms_BV = logprobs_BV.exp() * logprobs_BV.clamp_min(-1e30)
    return logprobs_BV, -terms_BV.sum(-1)


def choose(logits_BV: torch.Tensor, params: SamplingParams, draws_B: torch.Tensor) -> torch.Tensor:
    """Token ids int64 [B]: greedy at temperature 0, else the inverse of the filtered distribution's cumulative sum at `draws_B`."""
    if params.temperature == 0:
        return logits_BV.argmax(-1)
    probs_BV = torch.softmax(logits_BV.double() / params.temperature, -1)
    if params.top_k or params.top_p < 1:
        return _choose_filtered(probs_BV, params, draws_B)
    return _invert(probs_BV.cumsum(-1), draws_B)


def _choose_filtered(probs_BV: torch.Tensor, params: SamplingParams, draws_B: torch.Tensor) -> torch.Tensor:
    """top_k first, then top_p over what is left, the most likely token always in (the order of Hugging Face and vLLM)."""
    sorted_BV, order_BV = torch.sort(probs_BV, stable=True, dim=-1, descending=True)
    if 0 < params.top_k < sorted_BV.shape[-1]:
        sorted_BV = sorted_BV[:, : params.top_k]
    sums_BV = sorted_BV.cumsum(-1)
    before_BV = sums_BV - sorted_BV
    kept_BV = torch.where(before_BV < params.top_p * sums_BV[:, -1:], sorted_BV, 0.0)
    place_B = _invert(kept_BV.cumsum(-1), draws_B)
    return order_BV.gather(1, place_B[:, None])[:, 0]


def _invert(sums_BV: torch.Tensor, draws_B: torch.Tensor) -> torch.Tensor:
    """First place whose cumulative sum exceeds the draw times the total."""
    total_B = sums_BV[:, -1]
    place_B = torch.searchsorted(sums_BV, (draws_B * total_B)[:, None], right=True)[:, 0]
    # a draw so near 1 that rounding passes the total takes the last token that has probability
    last_B = (sums_BV < total_B[:, None]).sum(-1)
    return torch.minimum(place_B, last_B)
