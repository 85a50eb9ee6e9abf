"""From logits to tokens, against distributions worked out by hand."""

import numpy as np
import pytest
import torch

from inference.records import SamplingParams
from inference.sampling import choose, measure, sample_seed, uniforms

LOGITS = torch.log(torch.tensor([[0.5, 0.25, 0.15, 0.1]]))


def shares(params: SamplingParams, count: int = 20_000) -> np.ndarray:
    draws = torch.from_numpy(uniforms(1, count))
    picked = choose(LOGITS.expand(count, -1), params, draws)
    return np.bincount(picked.numpy(), minlength=4) / count


@pytest.mark.parametrize(
    ("params", "expected"),
    [
        ({"temperature": 1.0}, [0.5, 0.25, 0.15, 0.1]),
        ({"temperature": 0.5}, [0.25, 0.0625, 0.0225, 0.01]),
        ({"top_k": 2}, [0.5, 0.25, 0, 0]),
        ({"top_p": 0.6}, [0.5, 0.25, 0, 0]),
        ({"top_p": 0.5}, [1, 0, 0, 0]),
        ({"top_k": 3, "top_p": 0.9}, [0.5, 0.25, 0.15, 0]),
        ({"top_p": 1e-9}, [1, 0, 0, 0]),
    ],
)
def test_shares_follow_the_filtered_distribution(params, expected):
    wanted = np.array(expected) / np.sum(expected)
    assert np.abs(shares(SamplingParams(**params)) - wanted).max() < 0.012  # 3.4 standard errors of 20,000 draws


def test_a_filtered_token_is_never_drawn():
    assert shares(SamplingParams(top_k=2))[2:].sum() == 0


@pytest.mark.parametrize("draw", [0.0, 1 - 2**-53])
def test_extreme_draws_stay_in_the_vocabulary(draw):
    logits = torch.tensor([[0.0, 1.0, -torch.inf]])
    picked = choose(logits, SamplingParams(), torch.tensor([draw], dtype=torch.float64))
    assert picked.item() in (0, 1)


def test_entropy_of_a_certain_token_is_zero():
    _, entropy = measure(torch.tensor([[0.0, -torch.inf, -torch.inf]]))
    assert entropy.item() == 0


def test_entropy_of_even_odds():
    _, entropy = measure(torch.zeros(1, 8))
    assert entropy.item() == pytest.approx(np.log(8))


def test_seeds_depend_on_all_that_they_should():
    seeds = {sample_seed(s, p, i) for s in (0, 1) for p in ([1, 2], [1, 3]) for i in (0, 1)}
    assert len(seeds) == 8


def test_draws_are_a_prefix_of_longer_draws():
    assert (uniforms(9, 5) == uniforms(9, 50)[:5]).all()
