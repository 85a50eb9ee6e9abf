"""Sampling through the engine: seeds, stops, batches, streams, cancellation, refusals."""

from itertools import chain

import numpy as np
import pytest
import torch

from inference import Engine, SamplingParams

PROMPTS = [[0, 5, 9, 11], [0, 200, 17], list(range(4, 70))]


@pytest.fixture(scope="module")
def engine(checkpoint):
    return Engine.load(checkpoint)


def tokens(outs):
    return [[c.token_ids for c in group] for group in outs]


def test_a_sample_is_the_same_whatever_else_is_in_the_batch(engine):
    params = SamplingParams(max_tokens=30, temperature=0.9, seed=3, n=3, ignore_eos=True)
    together = engine.generate(PROMPTS, params)
    alone = [engine.generate([prompt], params)[0] for prompt in PROMPTS]
    assert tokens(together) == tokens(alone)


def test_the_stored_seed_reproduces_one_sample_alone(engine):
    params = SamplingParams(max_tokens=20, seed=8, n=4, ignore_eos=True)
    third = engine.generate([PROMPTS[0]], params)[0][2]
    again = engine.generate([PROMPTS[0]], SamplingParams(max_tokens=20, ignore_eos=True), seeds=[[third.seed]])[0][0]
    assert again.token_ids == third.token_ids


def test_samples_of_one_prompt_differ(engine):
    group = engine.generate([PROMPTS[0]], SamplingParams(max_tokens=20, n=8, ignore_eos=True))[0]
    assert len({tuple(c.token_ids) for c in group}) == 8


def test_another_seed_gives_another_sample(engine):
    one, two = (engine.generate([PROMPTS[0]], SamplingParams(max_tokens=20, seed=s, ignore_eos=True)) for s in (1, 2))
    assert tokens(one) != tokens(two)


def test_capture_changes_nothing(engine):
    params = SamplingParams(max_tokens=25, seed=1, n=2, ignore_eos=True)
    engine.forget()  # what an earlier test left in the cache
    on = engine.generate(PROMPTS, params, capture=True)
    off = engine.generate(PROMPTS, params, capture=False)
    for a, b in zip(chain(*on), chain(*off), strict=True):
        assert a.token_ids == b.token_ids
        assert (a.logprobs == b.logprobs).all()
        assert b.routing is None


def test_routing_has_a_row_for_every_position_that_went_through(engine):
    completion = engine.generate([PROMPTS[1]], SamplingParams(max_tokens=7, ignore_eos=True))[0][0]
    routing = completion.routing
    assert routing.layers == (1, 2)
    assert routing.expert_ids.shape == routing.gate_weights.shape == (len(PROMPTS[1]) + 7 - 1, 2, 3)
    assert routing.expert_ids.dtype == np.uint8
    assert routing.gate_weights.dtype == np.float16
    assert np.allclose(routing.gate_weights.astype(float).sum(-1), 2.5, atol=0.01)  # normalised, then scaled


def test_a_stop_token_ends_the_sample_and_is_its_last_token(engine):
    free = engine.generate([PROMPTS[0]], SamplingParams(max_tokens=40, seed=4, ignore_eos=True))[0][0]
    stop = free.token_ids[11]
    first = free.token_ids.index(stop)
    ended = engine.generate(
        [PROMPTS[0]], SamplingParams(max_tokens=40, seed=4, ignore_eos=True, stop_token_ids=(stop,))
    )[0][0]
    assert ended.token_ids == free.token_ids[: first + 1]
    assert ended.finish_reason == "stop"
    assert free.finish_reason == "length"


def test_rows_that_stop_early_leave_the_others_unchanged(engine):
    params = SamplingParams(max_tokens=60, temperature=1.0, seed=2, n=6, stop_token_ids=tuple(range(4, 40)))
    together = engine.generate(PROMPTS, params)
    assert len({len(c.token_ids) for c in chain(*together)}) > 3  # the batch really narrowed
    assert tokens(together) == [tokens([engine.generate([p], params)[0]])[0] for p in PROMPTS]


def test_greedy_takes_the_likeliest_token(engine):
    out = engine.generate([PROMPTS[2]], SamplingParams(max_tokens=5, temperature=0, ignore_eos=True))[0][0]
    assert out.token_ids[0] == int(engine.forward(PROMPTS[2]).logits[0, -1].argmax())


def test_temperature_near_zero_is_greedy(engine):
    cold = engine.generate([PROMPTS[2]], SamplingParams(max_tokens=12, temperature=1e-4, ignore_eos=True))
    assert tokens(cold) == tokens(
        engine.generate([PROMPTS[2]], SamplingParams(max_tokens=12, temperature=0, ignore_eos=True))
    )


def test_logprobs_are_of_the_untempered_distribution(engine):
    out = engine.generate([PROMPTS[0]], SamplingParams(max_tokens=1, temperature=0.3, ignore_eos=True))[0][0]
    logits = engine.forward(PROMPTS[0]).logits[0, -1].astype(np.float64)
    logprobs = logits - np.log(np.exp(logits - logits.max()).sum()) - logits.max()
    assert out.logprobs[0] == pytest.approx(logprobs[out.token_ids[0]], abs=1e-4)
    assert out.entropies[0] == pytest.approx(-(np.exp(logprobs) * logprobs).sum(), abs=1e-4)


def test_stream_gives_the_tokens_of_generate(engine):
    params = SamplingParams(max_tokens=15, seed=6, n=2, ignore_eos=True)
    seen: dict = {}
    for step in engine.stream(PROMPTS, params):
        for row, token in zip(step.rows, step.token_ids, strict=True):
            seen.setdefault(row, []).append(token)
    assert seen == {
        (p, s): c.token_ids for p, group in enumerate(engine.generate(PROMPTS, params)) for s, c in enumerate(group)
    }


def test_a_stopped_stream_ends_every_sample_as_cancelled(engine):
    asked = iter([False, False, True])
    steps = list(
        engine.stream(PROMPTS, SamplingParams(max_tokens=50, ignore_eos=True), should_stop=lambda: next(asked))
    )
    assert len(steps) == 3
    assert [f.completion.finish_reason for f in steps[-1].finished] == ["cancelled"] * 3
    assert all(len(f.completion.token_ids) == 3 for f in steps[-1].finished)


def test_a_request_repeats_bit_for_bit(engine):
    params = SamplingParams(max_tokens=25, seed=9, n=2, ignore_eos=True)
    outs = []
    for _ in range(2):
        engine.forget()
        outs.append(engine.generate(PROMPTS, params))
    for a, b in zip(*outs, strict=True):
        assert all(x.token_ids == y.token_ids and (x.logprobs == y.logprobs).all() for x, y in zip(a, b, strict=True))


def test_a_stream_leaves_its_caller_outside_of_inference_mode(engine):
    stream = engine.stream([PROMPTS[0]], SamplingParams(max_tokens=3, ignore_eos=True))
    next(stream)
    assert not torch.is_inference_mode_enabled()
    stream.close()
    assert engine.generate([PROMPTS[0]], SamplingParams(max_tokens=1))  # closing it halfway harms nothing


def test_caches_grow_past_a_block(engine):
    long = engine.generate([[0, 7]], SamplingParams(max_tokens=300, seed=1, ignore_eos=True))[0][0]
    full = engine.forward([0, 7, *long.token_ids])
    assert (np.sort(full.routing.expert_ids[:-1], -1) == np.sort(long.routing.expert_ids, -1)).mean() > 0.999


def test_no_prompts_give_no_completions(engine):
    assert engine.generate([], SamplingParams()) == []


@pytest.mark.parametrize(
    ("prompts", "params", "words"),
    [
        ([[]], {}, "prompt 0 is empty"),
        ([[0], [260]], {}, "prompt 1 has a token outside 0..259"),
        ([[0] * 500], {"max_tokens": 13}, "passes the context of 512"),
    ],
)
def test_refuses_prompts_that_it_cannot_run(engine, prompts, params, words):
    with pytest.raises(ValueError, match=words):
        engine.generate(prompts, SamplingParams(**params))


@pytest.mark.parametrize(
    "bad", [{"max_tokens": 0}, {"temperature": -1}, {"top_p": 0}, {"top_k": -1}, {"n": 0}, {"seed": -1}]
)
def test_refuses_settings_that_mean_nothing(bad):
    with pytest.raises(ValueError, match=next(iter(bad))):
        SamplingParams(**bad)


def test_facts_come_from_the_config(engine):
    facts = engine.facts()
    assert (facts["layers"], facts["router_layers"], facts["n_routed_experts"], facts["top_k"]) == (3, [1, 2], 16, 3)
    assert facts["cache_bytes_per_token"] == 3 * (24 + 8) * 2


def test_facts_of_the_official_v3_config():
    from inference import facts
    from inference.config import DeepseekConfig

    v3 = {
        "model_type": "deepseek_v3", "vocab_size": 129280, "hidden_size": 7168, "intermediate_size": 18432, "moe_intermediate_size": 2048,
        "num_hidden_layers": 61, "num_attention_heads": 128, "n_routed_experts": 256, "n_shared_experts": 1, "num_experts_per_tok": 8,
        "n_group": 8, "topk_group": 4, "first_k_dense_replace": 3, "q_lora_rank": 1536, "kv_lora_rank": 512, "qk_nope_head_dim": 128,
        "qk_rope_head_dim": 64, "v_head_dim": 128, "rms_norm_eps": 1e-6, "max_position_embeddings": 163840, "routed_scaling_factor": 2.5,
    }  # fmt: skip
    known = facts(DeepseekConfig.from_hf(v3))
    assert round(known["parameters"] / 1e9, 3) == 671.026
    assert known["cache_bytes_per_token"] == 70_272
