"""Our engine against a plain MoE-16B of our own, which transformers has no class for."""

import numpy as np
import pytest

from inference import Engine
from tests.parity.compare import LENGTHS, Gap, cached_equals_full, greedy, rough, text
from tests.parity.reference_moe_16b import Reference
from tests.parity.shapes import SHAPES


@pytest.fixture(scope="module", params=SHAPES["deepseek"])
def made(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp("checkpoint")
    model = Reference(SHAPES["deepseek"][request.param], seed=len(request.param))
    model.save(folder)
    return model, folder


@pytest.fixture(scope="module", params=[False, None], ids=["plain", "native"])
def pair(request, made):
    return made[0], Engine.load(made[1], native=request.param)


@pytest.mark.parametrize("length", LENGTHS)
def test_forward_equals_the_reference(pair, length):
    model, engine = pair
    ids = text(length, length)
    gap = Gap(engine, *model(ids), ids)
    assert gap.equal, gap


def test_cached_ragged_generation_equals_full_passes(pair):
    cached_equals_full(pair[1])


def test_greedy_tokens_are_the_references(pair):
    model, engine = pair
    ids = text(9, 20)
    for token in greedy(engine, ids, 12):
        assert token == int(model(ids)[0][-1].argmax())
        ids = [*ids, token]


def test_weights_add_up_to_less_than_one_where_they_are_not_normalised(pair):
    model, engine = pair
    total = engine.forward(text(5, 30)).routing.gate_weights.astype(np.float32).sum(-1)
    if model.values["norm_topk_prob"]:
        assert np.abs(total - 1).max() < 2e-3
    else:
        assert total.max() < 1


def test_bfloat16_stays_near_float32(tmp_path):
    model = Reference({}, seed=3, spread=0.05)
    model.save(tmp_path)
    ids = text(4, 80)
    rough(Engine.load(tmp_path, dtype="bfloat16"), *model(ids), ids)
