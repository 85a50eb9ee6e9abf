"""Our engine against transformers' DeepseekV3ForCausalLM on random small checkpoints with a correction bias that is not zero."""

import numpy as np
import pytest
import torch

from inference import Engine, SamplingParams
from tests.parity.checkpoints import SHAPES, make, reference

TOLERANCE = 1e-4  # of a logit, float32


def text(seed: int, length: int, vocabulary: int = 97) -> list[int]:
    return np.random.default_rng(seed).integers(2, vocabulary, length).tolist()


def mixed(routing, n_experts: int) -> np.ndarray:
    """Dense weights [S, L, E] of a routing."""
    out = np.zeros((*routing.expert_ids.shape[:2], n_experts), np.float32)
    np.put_along_axis(out, routing.expert_ids.astype(np.int64), routing.gate_weights.astype(np.float32), 2)
    return out


@pytest.fixture(scope="module", params=range(len(SHAPES)), ids=list(SHAPES))
def pair(request, tmp_path_factory):
    name = list(SHAPES)[request.param]
    folder = tmp_path_factory.mktemp("checkpoint")
    model = make(folder, SHAPES[name], seed=request.param)
    return model, Engine.load(folder)


@pytest.mark.parametrize("length", [1, 7, 90])
def test_forward_equals_the_reference(pair, length):
    model, engine = pair
    ids = text(length, length)
    logits, mixes = reference(model, ids)
    ours = engine.forward(ids)
    assert np.abs(ours.logits[0] - logits.numpy()).max() < TOLERANCE
    dense = mixed(ours.routing, model.config.n_routed_experts)
    for layer, mix in enumerate(mixes):
        assert ((dense[:, layer] > 0) == (mix.numpy() > 0)).all()
        assert np.abs(dense[:, layer] - mix.numpy()).max() < 3e-3  # float16 keeps three digits


def test_cached_ragged_generation_equals_full_passes(pair):
    _, engine = pair
    prompts = [text(1, 3), text(2, 41), text(3, 17)]
    samples = engine.generate(prompts, SamplingParams(max_tokens=40, temperature=1.0, seed=5, n=2, ignore_eos=True))
    for prompt, group in zip(prompts, samples, strict=True):
        for completion in group:
            ids = prompt + completion.token_ids
            full = engine.forward(ids)
            logprobs = torch.log_softmax(torch.from_numpy(full.logits[0]), -1)
            picked = logprobs[len(prompt) - 1 : -1].gather(1, torch.tensor(completion.token_ids)[:, None])[:, 0].numpy()
            assert np.abs(picked - completion.logprobs).max() < TOLERANCE
            entropies = (
                torch.distributions.Categorical(logits=torch.from_numpy(full.logits[0][len(prompt) - 1 : -1]))
                .entropy()
                .numpy()
            )
            assert np.abs(entropies - completion.entropies).max() < TOLERANCE
            routing = completion.routing
            assert routing.expert_ids.shape[0] == len(ids) - 1
            assert (np.sort(routing.expert_ids, -1) == np.sort(full.routing.expert_ids[:-1], -1)).all()


def test_greedy_tokens_equal_those_of_transformers_generate(pair):
    model, engine = pair
    prompt = text(9, 20)
    ours = engine.generate([prompt], SamplingParams(max_tokens=24, temperature=0, ignore_eos=True))[0][0]
    theirs = model.generate(
        torch.tensor([prompt]), max_new_tokens=24, min_new_tokens=24, do_sample=False, eos_token_id=None, pad_token_id=0
    )
    assert ours.token_ids == theirs[0, len(prompt) :].tolist()


def test_bfloat16_stays_near_float32(tmp_path):
    make(tmp_path, {"initializer_range": 0.05}, seed=3)
    ids = text(4, 30)
    exact, rough = (
        Engine.load(tmp_path).forward(ids).logits,
        Engine.load(tmp_path, dtype="bfloat16").forward(ids).logits,
    )
    assert np.abs(exact - rough).max() < 0.05 * np.abs(exact).max()


def test_left_out_groups_cannot_win_with_negative_scores(tmp_path):
    """All biased scores negative: a mask of 0 would choose closed groups, -inf never does."""
    model = make(tmp_path, {}, seed=8)
    for name, buffer in model.named_buffers():
        if name.endswith("e_score_correction_bias"):
            buffer.sub_(3.0)
    model.save_pretrained(tmp_path)
    ids = text(5, 200)
    _, mixes = reference(model, ids)
    dense = mixed(Engine.load(tmp_path).forward(ids).routing, 16)
    for layer, mix in enumerate(mixes):
        assert ((dense[:, layer] > 0) == (mix.numpy() > 0)).all()
