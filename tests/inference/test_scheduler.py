"""Who runs next, and that nobody can see it in what was said."""

from itertools import chain, pairwise

import numpy as np
import pytest

from inference.records import SamplingParams
from tests.inference.engines import DRAFTS, engine, free_blocks, tokens

PROMPTS = [[0, 5, 9, 11], [0, 20, 17], [4 + i % 50 for i in range(70)], [3] * 32]
FREE = {"ignore_eos": True, "temperature": 0.9}


def same_routing(one, other) -> bool:
    """Expert sets and weights of positions, in whatever order the experts stand; rounding may turn a rare near tie."""
    order, order2 = (np.argsort(r.expert_ids, -1) for r in (one, other))
    ids, ids2 = (np.take_along_axis(r.expert_ids, o, -1) for r, o in ((one, order), (other, order2)))
    weights, weights2 = (
        np.take_along_axis(r.gate_weights, o, -1).astype(float) for r, o in ((one, order), (other, order2))
    )
    return (ids == ids2).all() and np.allclose(weights, weights2, atol=0.01)


def as_forward(e, prompt, completion) -> bool:
    """Whether a completion says of itself what one plain pass says of it."""
    full = e.forward([*prompt, *completion.token_ids])
    logits = full.logits[0].astype(np.float64)
    logprobs = logits - np.log(np.exp(logits - logits.max(-1, keepdims=True)).sum(-1, keepdims=True))
    logprobs -= logits.max(-1, keepdims=True)
    said = logprobs[np.arange(len(prompt) - 1, len(logits) - 1), completion.token_ids]
    first = type(full.routing)((), full.routing.expert_ids[:-1], full.routing.gate_weights[:-1])
    return np.allclose(said, completion.logprobs, atol=1e-4) and same_routing(first, completion.routing)


@pytest.mark.parametrize("kind", ["v3", DRAFTS, "v2", "moe 16b"])
@pytest.mark.parametrize("kernels", [False, True], ids=["plain", "native"])
def test_what_is_said_is_what_one_plain_pass_says(kind, kernels):
    e = engine(kind, kernels=kernels)
    outs = e.generate(PROMPTS, SamplingParams(max_tokens=40, n=2, **FREE))
    assert all(as_forward(e, p, c) for p, group in zip(PROMPTS, outs, strict=True) for c in group)


@pytest.mark.parametrize("kind", ["llama", "qwen2"])
def test_dense_models_have_no_routing(kind):
    e = engine(kind)
    out = e.generate(PROMPTS, SamplingParams(max_tokens=20, **FREE), capture="full")[2][0]
    assert out.routing is None
    assert e.forward(PROMPTS[0]).routing.expert_ids.shape[:2] == (4, 0)
    logits = e.forward([*PROMPTS[2], *out.token_ids]).logits[0].astype(np.float64)
    logprobs = logits - np.log(np.exp(logits).sum(-1, keepdims=True))
    assert np.allclose(logprobs[np.arange(69, 89), out.token_ids], out.logprobs, atol=1e-4)


def test_many_samples_of_a_prompt_cost_one_prefill():
    e = engine()
    outs = e.generate([PROMPTS[2]], SamplingParams(max_tokens=10, n=64, **FREE))[0]
    assert e.counts.prefilled == len(PROMPTS[2])
    assert len({tuple(c.token_ids) for c in outs}) == 64
    assert all(as_forward(e, PROMPTS[2], c) for c in outs[::9])


@pytest.mark.parametrize("length", [15, 16, 17, 32, 33])
def test_samples_share_no_block_that_they_write(length):
    e = engine()
    prompt = [2 + i % 50 for i in range(length)]
    assert all(as_forward(e, prompt, c) for c in e.generate([prompt], SamplingParams(max_tokens=40, n=3, **FREE))[0])


@pytest.mark.parametrize("kind", ["v3", DRAFTS])
def test_a_prefix_is_found_again_with_its_routing(kind):
    e = engine(kind)
    params = SamplingParams(max_tokens=10, **FREE)
    e.generate([PROMPTS[2]], params)
    before = e.counts.prefilled
    longer = [*PROMPTS[2], 7, 8, 9]
    out = e.generate([longer], params)[0][0]
    assert e.counts.prefilled - before == len(longer) - 64
    assert e.counts.reused == 64
    assert as_forward(e, longer, out)
    fresh = engine(kind).generate([longer], params)[0][0]
    assert fresh.token_ids == out.token_ids
    assert same_routing(fresh.routing, out.routing)


def test_what_was_not_captured_is_not_found_by_who_captures():
    e = engine()
    params = SamplingParams(max_tokens=4, **FREE)
    e.generate([PROMPTS[2]], params, capture=False)
    out = e.generate([PROMPTS[2]], params, capture=True)[0][0]
    assert e.counts.reused == 0
    assert as_forward(e, PROMPTS[2], out)


@pytest.mark.parametrize("kind", ["v3", DRAFTS])
@pytest.mark.parametrize(("blocks", "kernels"), [(8, False), (9, False), (9, True), (12, True)])
def test_who_gave_way_goes_on_as_if_nothing_had_been(kind, blocks, kernels):
    params = SamplingParams(max_tokens=40, n=3, seed=2, **FREE)
    plenty, scarce = engine(kind, kernels=kernels), engine(kind, blocks=blocks, kernels=kernels)
    wanted, got = plenty.generate(PROMPTS, params), scarce.generate(PROMPTS, params)
    assert tokens(got) == tokens(wanted)
    assert scarce.counts.preempted > 0
    assert plenty.counts.preempted == 0
    assert free_blocks(scarce) == blocks
    assert all(as_forward(plenty, p, c) for p, group in zip(PROMPTS, got, strict=True) for c in group)


def test_a_text_as_long_as_the_cache_runs():
    e = engine(blocks=5)
    out = e.generate([PROMPTS[2]], SamplingParams(max_tokens=10, n=2, **FREE))[0]
    assert all(len(c.token_ids) == 10 for c in out)


@pytest.mark.parametrize("kind", ["v3", DRAFTS])
def test_prompts_may_go_through_in_pieces(kind):
    params = SamplingParams(max_tokens=20, n=2, **FREE)
    whole, pieces = engine(kind), engine(kind)
    pieces.budget = 16
    assert tokens(pieces.generate(PROMPTS, params)) == tokens(whole.generate(PROMPTS, params))


def test_a_place_that_is_free_is_taken_in_the_next_step():
    e = engine()
    e.rows = 2
    params = SamplingParams(max_tokens=12, seed=1, n=2, temperature=0.9, stop_token_ids=tuple(range(2, 12)))
    steps = list(e.stream(PROMPTS, params))
    assert max(len(step.rows) for step in steps) == 2
    begun, ended = set(), 0
    for step, after in pairwise(steps):
        begun |= set(step.rows)
        ended += len(step.finished)
        if step.finished and len(begun) < 8:
            assert set(after.rows) - begun  # somebody new
    assert ended > 2
    e.rows = 256
    assert {(f.prompt, f.sample): f.completion.token_ids for s in steps for f in s.finished} == {
        (p, s): c for p, group in enumerate(tokens(e.generate(PROMPTS, params))) for s, c in enumerate(group)
    }


def test_those_who_run_are_not_kept_waiting_for_ever():
    e = engine()
    e.budget = 16
    first = SamplingParams(max_tokens=30, **FREE)
    prompts = [[5, 6], [4 + i % 50 for i in range(600)]]
    e.rows = 2
    steps = list(e.stream(prompts, first))
    begins = next(i for i, step in enumerate(steps) if (1, 0) in step.rows)
    assert begins >= 4  # 38 passes for the long one: the short one had turns between them


def test_tokens_of_a_stream_come_in_order():
    e = engine()
    params = SamplingParams(max_tokens=15, n=3, **FREE)
    seen: dict = {}
    for step in e.stream(PROMPTS, params):
        for row, token in zip(step.rows, step.token_ids, strict=True):
            seen.setdefault(row, []).append(token)
    wanted = tokens(engine().generate(PROMPTS, params))
    assert seen == {(p, s): ids for p, group in enumerate(wanted) for s, ids in enumerate(group)}


def test_cancelling_ends_what_runs_and_what_waits():
    e = engine()
    e.rows = 2
    asked = iter([False, False, True])
    steps = list(e.stream(PROMPTS, SamplingParams(max_tokens=50, n=2, **FREE), should_stop=lambda: next(asked)))
    ended = {(f.prompt, f.sample): f.completion for step in steps for f in step.finished}
    assert len(ended) == 8
    assert {c.finish_reason for c in ended.values()} == {"cancelled"}
    assert sorted(len(c.token_ids) for c in ended.values()) == [0] * 6 + [3, 3]
    assert all((c.routing is None) == (not c.token_ids) for c in ended.values())
    assert free_blocks(e) == 400


def test_a_closed_stream_gives_its_blocks_back():
    e = engine()
    stream = e.stream(PROMPTS, SamplingParams(max_tokens=50, n=2, **FREE))
    next(stream)
    assert free_blocks(e) < 400
    stream.close()
    assert free_blocks(e) == 400


@pytest.mark.parametrize("other", [False, "full"])
def test_two_streams_of_an_engine_do_not_meet(other):
    params = SamplingParams(max_tokens=20, n=2, **FREE)
    e = engine(DRAFTS)
    one, two = e.stream(PROMPTS, params), e.stream(PROMPTS[::-1], params, capture=other, speculate=False)
    finished: dict = {0: {}, 1: {}}
    for steps in zip(one, two, strict=False):
        for side, step in enumerate(steps):
            finished[side].update({(f.prompt, f.sample): f.completion for f in step.finished})
    for side, rest in ((0, one), (1, two)):
        finished[side].update({(f.prompt, f.sample): f.completion for step in rest for f in step.finished})
    wanted = engine(DRAFTS).generate(PROMPTS, params)
    for p, s in finished[0]:
        assert finished[0][p, s].token_ids == wanted[p][s].token_ids == finished[1][3 - p, s].token_ids
        assert as_forward(e, PROMPTS[p], finished[0][p, s])
    if other == "full":
        assert all(c.routing.detail is not None for c in finished[1].values())


def test_a_stream_that_finds_no_room_beside_another_says_so():
    e = engine(blocks=6)
    held = e.stream([PROMPTS[2]], SamplingParams(max_tokens=20, **FREE))
    next(held)
    with pytest.raises(ValueError, match="other requests hold the engine's cache"):
        e.generate([PROMPTS[2][::-1]], SamplingParams(max_tokens=20, **FREE))
    assert sum(len(step.rows) for step in held) == 19


@pytest.mark.parametrize("kind", ["v3", DRAFTS])
@pytest.mark.parametrize("kernels", [False, True], ids=["plain", "native"])
def test_capture_changes_no_bit(kind, kernels):
    e = engine(kind, kernels=kernels)
    params = SamplingParams(max_tokens=25, n=2, **FREE)
    outs = {}
    for level in (False, True, "full"):
        e.forget()
        outs[level] = list(chain(*e.generate(PROMPTS, params, capture=level)))
    for off, on, full in zip(*outs.values(), strict=True):
        assert off.token_ids == on.token_ids == full.token_ids
        assert (off.logprobs == on.logprobs).all()
        assert (off.logprobs == full.logprobs).all()
        assert (off.entropies == full.entropies).all()
        assert off.routing is None
        assert on.routing.detail is None
        assert (on.routing.expert_ids == full.routing.expert_ids).all()
        assert (on.routing.gate_weights == full.routing.gate_weights).all()
        assert full.routing.detail.margin.shape == full.routing.expert_ids.shape[:2]
        assert full.routing.detail.open_groups.shape == (*full.routing.expert_ids.shape[:2], e.config.n_group)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"capture": "all"}, 'capture must be False, True or "full"'),
        ({"speculate": True}, "has no MTP layer"),
        ({"seeds": [[1, 2]]}, "seeds must be 1 rows of 1"),
    ],
)
def test_refuses_what_it_cannot_do(changes, words):
    with pytest.raises(ValueError, match=words):
        engine().generate([[1, 2]], SamplingParams(), **changes)


@pytest.mark.parametrize("kind", ["v3", DRAFTS])
def test_a_stream_whose_room_another_took_says_so_and_the_other_goes_on(kind):
    e = engine(kind, blocks=6)
    one, two = (e.stream([prompt], SamplingParams(max_tokens=60, **FREE)) for prompt in ([5] * 10, [6] * 10))
    said = [sum(len(next(stream).rows) for stream in (one, two)) for _ in range(4)]
    assert min(said) >= 2
    with pytest.raises(ValueError, match="other requests hold the engine's cache"):
        for _ in zip(one, two, strict=False):
            pass
    rest = [sum(len(step.rows) for step in stream) for stream in (one, two)]
    assert sorted(map(bool, rest)) == [False, True]
    assert free_blocks(e) == 6


def test_a_text_longer_than_the_cache_is_refused_at_the_door():
    e = engine(blocks=5)
    with pytest.raises(ValueError, match="prompt 1 has 70 tokens; with 11 more it passes the cache of 80"):
        e.stream([[1], PROMPTS[2]], SamplingParams(max_tokens=11))
