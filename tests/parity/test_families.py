"""Our engine against transformers' own classes, family by family: LLM and R1-Distill (llama, qwen2), V2, V3 and Moonlight. Random small checkpoints whose
biases and norm gains are not trivial.
"""

import numpy as np
import pytest
from transformers import AutoModelForCausalLM

from inference import Engine
from tests.parity.checkpoints import make, reference
from tests.parity.compare import LENGTHS, Gap, cached_equals_full, greedy, greedy_of, off_by_token, rough, text
from tests.parity.shapes import SHAPES

CASES = [(family, name) for family in SHAPES if family != "deepseek" for name in SHAPES[family]]


@pytest.fixture(scope="module", params=CASES, ids=lambda case: f"{case[0]}: {case[1]}")
def made(request, tmp_path_factory):
    family, name = request.param
    folder = tmp_path_factory.mktemp("checkpoint")
    return make(folder, SHAPES[family][name], seed=CASES.index(request.param), family=family), folder


@pytest.fixture(scope="module", params=[False, None], ids=["plain", "native"])
def pair(request, made):
    model, folder = made
    return model, Engine.load(folder, native=request.param)


@pytest.mark.parametrize("length", LENGTHS)
def test_forward_equals_the_reference(pair, length):
    model, engine = pair
    ids = text(length, length)
    gap = Gap(engine, *reference(model, ids), ids)
    assert gap.equal, gap


def test_cached_ragged_generation_equals_full_passes(pair):
    cached_equals_full(pair[1])


def test_greedy_tokens_equal_those_of_transformers_generate(pair):
    model, engine = pair
    assert greedy(engine, text(9, 20)) == greedy_of(model, text(9, 20))


@pytest.mark.parametrize("family", ["llama", "qwen2", "deepseek_v2", "deepseek_v3"])
def test_bfloat16_stays_near_float32_as_transformers_does(tmp_path, family):
    """By the bound of compare.py; and the typical token is off by no more than half as much again as in transformers, with the same weights."""
    model = make(tmp_path, {"initializer_range": 0.05}, seed=3, family=family)
    ids = text(4, 80)
    logits, mixes = reference(model, ids)
    theirs = AutoModelForCausalLM.from_pretrained(tmp_path, dtype="bfloat16", attn_implementation="eager").eval()
    off_theirs = off_by_token(reference(theirs, ids)[0].numpy(), logits.numpy())
    off_ours = rough(Engine.load(tmp_path, dtype="bfloat16"), logits, mixes, ids)
    assert np.median(off_ours) < 1.5 * np.median(off_theirs)
