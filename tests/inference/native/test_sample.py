"""Native sampling against inference/sampling.py."""

import math

import pytest
import torch

from inference import native
from inference.records import SamplingParams
from inference.sampling import sample

pytestmark = pytest.mark.usefixtures("kernels")

FILTERS = [(1.0, 0, 1.0), (0.7, 0, 1.0), (1.3, 5, 1.0), (1.0, 0, 0.9), (0.8, 40, 0.5), (1.0, 1, 1.0), (2.0, 1000, 0.999), (0.0, 0, 1.0), (1.0, 0, 1e-9)]  # fmt: skip


@pytest.mark.parametrize(("temperature", "top_k", "top_p"), FILTERS)
@pytest.mark.parametrize("vocabulary", [1, 3, 512, 1003])
def test_tokens_and_measures_are_the_plain_ones(both_thread_counts, temperature, top_k, top_p, vocabulary):
    logits, draws = torch.randn(300, vocabulary) * 3, torch.rand(300, dtype=torch.float64)
    logits[1, ::2] = -math.inf
    logits[2] = 0
    if vocabulary > 1:
        logits[1, 1] = 0
    else:
        logits[1] = 0
    draws[:4], draws[4] = 0.0, 1 - 2**-53
    tokens, logprobs, entropies = native.sample(logits, temperature, top_k, top_p, draws)
    plain = sample(logits, SamplingParams(temperature=temperature, top_k=top_k, top_p=top_p), draws, kernels=False)
    assert torch.equal(tokens, plain.tokens)
    torch.testing.assert_close(logprobs, plain.logprobs, atol=2e-5, rtol=1e-5)
    torch.testing.assert_close(entropies, plain.entropies, atol=2e-5, rtol=1e-5)
    both_thread_counts(lambda: native.sample(logits, temperature, top_k, top_p, draws)[0])


def test_a_large_vocabulary_is_sorted_no_further_than_needed():
    logits, draws = torch.randn(8, 129_280), torch.rand(8, dtype=torch.float64)
    for top_k, top_p in ((0, 1.0), (0, 0.95), (50, 0.9)):
        plain = sample(logits, SamplingParams(top_k=top_k, top_p=top_p), draws, kernels=False)
        assert torch.equal(native.sample(logits, 1.0, top_k, top_p, draws)[0], plain.tokens)


def test_greedy_takes_the_first_of_equals_and_ignores_the_draw():
    logits = torch.tensor([[0.0, 2.0, 2.0, -math.inf]])
    tokens, logprobs, _ = native.sample(logits, 0.0, 0, 1.0, torch.tensor([0.99], dtype=torch.float64))
    assert tokens.tolist() == [1]
    assert logprobs.item() == pytest.approx(torch.log_softmax(logits, -1)[0, 1].item(), abs=1e-6)


def test_frequencies_are_probabilities():
    logits, count = torch.tensor([1.0, 0.0, -1.0, -math.inf]), 20_000
    draws = (torch.arange(count, dtype=torch.float64) + 0.5) / count
    tokens, _, _ = native.sample(logits.expand(count, 4).contiguous(), 0.5, 0, 1.0, draws)
    found = torch.bincount(tokens, minlength=4) / count
    torch.testing.assert_close(found, torch.softmax(logits / 0.5, -1), atol=1e-4, rtol=0)


def test_draws_must_be_float64():
    with pytest.raises(RuntimeError, match="draws must be float64"):
        native.sample(torch.zeros(1, 4), 1.0, 0, 1.0, torch.zeros(1))
