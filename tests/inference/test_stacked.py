"""A whole decoder as one native call against the plain layers."""

import pytest
import torch

from inference import native
from inference.attend import BLOCK
from inference.cache import Cache
from inference.stacked import stack_of
from tests.inference.models import config, decoder

LENGTH = 40


def stack(model):
    return stack_of(model.config, model.layers, model.norm)


@pytest.mark.parametrize("kind", ["v3", "v3 with a query latent and mtp", "v2"])
@pytest.mark.parametrize(
    "changes", [{}, {"n_shared_experts": 0}, {"first_k_dense_replace": 3}, {"first_k_dense_replace": 0}]
)
def test_single_tokens_are_the_plain_layers(kind, changes):
    assert native.available()
    c = config(kind, **changes)
    plain, fused = decoder(c), stack(decoder(c, kernels=True))
    tables = torch.tensor([[5, 0, 3], [2, 6, 1]], dtype=torch.int32)
    caches = [Cache(c, 8, torch.float32, "cpu") for _ in range(2)]
    tokens = torch.randint(2, 61, (LENGTH, 2), generator=torch.Generator().manual_seed(1))
    for place in range(LENGTH):
        positions = torch.tensor([place, place // 2])
        slots = tables.gather(1, (positions // BLOCK)[:, None]).long()[:, 0] * BLOCK + positions % BLOCK
        expected = plain.decode(tokens[place], positions, slots, tables, caches[0])
        at = plain.single(positions, slots, tables)
        out = fused(plain.embedding[tokens[place]], at.turn, slots, tables, at.look.lengths, caches[1].layers)
        assert (out.hidden - expected).abs().max() < 1e-4
        for mine, theirs in zip(caches[1].layers, caches[0].layers, strict=True):
            assert (mine[slots] - theirs[slots]).abs().max() < 1e-4
    assert out.ids.shape == (len(c.router_layers), 2, c.num_experts_per_tok)


@pytest.mark.parametrize("kind", ["moe 16b", "llama"])
def test_layers_without_latents_stay_apart(kind):
    assert stack(decoder(config(kind), kernels=native.available())) is None


def test_plain_layers_stay_apart():
    assert stack(decoder(config("v3"))) is None
