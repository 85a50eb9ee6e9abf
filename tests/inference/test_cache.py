"""Routing lies by slot beside the latents."""

import numpy as np
import pytest
import torch

from inference.attend import Chunk
from inference.cache import Cache
from tests.inference.models import config, decoder

NOTHING = torch.zeros(0, dtype=torch.int64)


def run(level, kind: str = "v3") -> tuple[Cache, torch.Tensor, torch.Tensor]:
    model = decoder(config(kind))
    cache, at = Cache(model.config, 8, torch.float32, "cpu"), torch.randperm(128)[:20]
    cache.capture(level)
    with torch.inference_mode():
        tokens = torch.randint(2, 61, (20,), generator=torch.Generator().manual_seed(5))
        hidden = model.prefill(tokens, torch.arange(20), at, [Chunk(20, 0, NOTHING)], cache)
    return cache, at, hidden


def test_routing_is_found_at_the_slots_it_was_written_to():
    (one, at, _), (other, elsewhere, _) = run(True), run(True)
    assert (at != elsewhere).any()
    for here, there in zip(one.routing(at.numpy())[:2], other.routing(elsewhere.numpy())[:2], strict=True):
        assert np.array_equal(here, there)


def test_weights_sum_to_the_scale_where_they_are_normalised():
    cache, at, _ = run(True)
    ids, weights, detail = cache.routing(at.numpy())
    assert ids.shape == weights.shape == (20, 2, 3)
    assert ids.dtype == np.uint8
    assert weights.sum(-1) == pytest.approx(2.5, abs=0.01)
    assert detail is None


def test_the_full_level_changes_no_bit():
    plain, at, hidden = run(False)
    full, there, same = run("full")
    assert torch.equal(hidden, same)
    assert all(torch.equal(a[at], b[there]) for a, b in zip(plain.layers, full.layers, strict=True))


def test_the_full_level_gives_detail():
    cache, at, _ = run("full")
    detail = cache.routing(at.numpy())[2]
    assert detail.open_groups.shape == (20, 2, 3)
    assert (detail.open_groups.sum(-1) == 2).all()
    assert detail.swapped.shape == detail.entropy.shape == detail.margin.shape == (20, 2)
    assert (detail.swapped > 0).any()
    assert (detail.entropy > 0).all()
    assert (detail.margin >= 0).all()


def test_a_dense_model_has_routing_of_no_layer():
    cache, at, _ = run("full", "llama")
    ids, weights, detail = cache.routing(at.numpy())
    assert ids.shape[1] == weights.shape[1] == 0
    assert detail is None


def test_copying_slots_takes_latents_and_routing():
    cache, at, _ = run("full")
    free = np.setdiff1d(np.arange(128), at.numpy())[:20]
    cache.copy(at.numpy(), free)
    for layer in cache.layers:
        assert torch.equal(layer[at], layer[torch.from_numpy(free)])
    one, other = cache.routing(at.numpy()), cache.routing(free)
    assert np.array_equal(one[0], other[0])
    assert np.array_equal(one[2].margin, other[2].margin)


def test_a_cache_of_latents_is_as_wide_as_the_config_says():
    cache = Cache(config("v3"), 4, torch.bfloat16, "cpu", mtp=1)
    assert cache.bytes() == 4 * 16 * 4 * (24 + 8) * 2  # blocks, tokens, layers with the MTP one, latent and rope, bytes
