"""Drafts save passes and change nothing."""

from itertools import chain
from pathlib import Path

import numpy as np
import pytest

from inference.engine import Engine
from inference.records import SamplingParams
from tests.inference.engines import DRAFTS, engine, tokens

PROMPTS = [[0, 5, 3], [0, 2, 7, 6], [2 + i % 6 for i in range(70)], [3] * 32]
FEW = {"vocab_size": 8}  # so few tokens that many drafts are right


@pytest.mark.parametrize(
    "how",
    [
        {"temperature": 0},
        {"temperature": 1.0},
        {"temperature": 0.6, "top_p": 0.9},
        {"temperature": 1.2, "top_k": 4},
    ],
    ids=["greedy", "sampled", "top_p", "top_k"],
)
@pytest.mark.parametrize("changes", [{}, FEW, {**FEW, "kernels": True}], ids=["many tokens", "few tokens", "native"])
def test_tokens_with_drafts_are_those_without(how, changes):
    e = engine(DRAFTS, **changes)
    params = SamplingParams(max_tokens=50, n=3, seed=5, ignore_eos=True, **how)
    drafted, plain = e.generate(PROMPTS, params), e.generate(PROMPTS, params, speculate=False)
    assert tokens(drafted) == tokens(plain)
    for a, b in zip(chain(*drafted), chain(*plain), strict=True):
        assert np.allclose(a.logprobs, b.logprobs, atol=1e-4)
        assert np.allclose(a.entropies, b.entropies, atol=1e-4)
        assert b.accepted is None
        order, order2 = a.routing.expert_ids.argsort(-1), b.routing.expert_ids.argsort(-1)
        assert (
            np.take_along_axis(a.routing.expert_ids, order, -1) == np.take_along_axis(b.routing.expert_ids, order2, -1)
        ).all()


def test_an_accepted_draft_saves_a_pass():
    e = engine(DRAFTS, **FEW)
    out = e.generate([PROMPTS[0]], SamplingParams(max_tokens=200, ignore_eos=True))[0][0]
    accepted = int(out.accepted.sum())
    assert out.accepted.dtype == np.bool_
    assert len(out.accepted) == 200
    assert not out.accepted[0]
    assert 20 < accepted < 180
    assert e.counts.passes == e.counts.drafted
    assert e.counts.accepted == accepted
    second = (out.accepted[:-1] & ~out.accepted[1:]).sum()  # after a right draft comes a token that nobody drafted
    assert second >= accepted - 1
    assert e.counts.passes in (200 - 1 - accepted, 200 - accepted)


def test_a_right_draft_at_the_end_gives_no_token_too_many():
    e = engine(DRAFTS, **FEW)
    for length in range(1, 12):
        params = SamplingParams(max_tokens=length, n=8, ignore_eos=True)
        assert all(len(c.token_ids) == length for c in e.generate([PROMPTS[0]], params)[0])


def test_a_stop_token_that_had_been_drafted_ends_the_sample():
    e = engine(DRAFTS, **FEW)
    params = SamplingParams(max_tokens=60, n=20, seed=3, stop_token_ids=(4, 5))
    drafted = e.generate(PROMPTS, params)
    assert tokens(drafted) == tokens(e.generate(PROMPTS, params, speculate=False))
    ends = [c for c in chain(*drafted) if c.finish_reason == "stop"]
    assert any(c.accepted[-1] for c in ends)
    assert all(c.token_ids[-1] in (1, 4, 5) and not {1, 4, 5} & set(c.token_ids[:-1]) for c in ends)


def test_a_stream_gives_both_tokens_of_a_pass_in_order():
    e = engine(DRAFTS, **FEW)
    params = SamplingParams(max_tokens=40, n=2, ignore_eos=True)
    seen: dict = {}
    twice = 0
    for step in e.stream(PROMPTS, params):
        twice += len(step.rows) > len(set(step.rows))
        for row, token in zip(step.rows, step.token_ids, strict=True):
            seen.setdefault(row, []).append(token)
    wanted = tokens(e.generate(PROMPTS, params, speculate=False))
    assert seen == {(p, s): ids for p, group in enumerate(wanted) for s, ids in enumerate(group)}
    assert twice > 5


def test_acceptance_is_a_fact_of_the_sample_alone():
    """Also where its prompt was found in the cache, went through in pieces, or the sample gave way."""
    params = SamplingParams(max_tokens=40, n=3, seed=2, ignore_eos=True)
    wanted = [c.accepted for c in chain(*engine(DRAFTS, **FEW).generate(PROMPTS, params))]
    again, pieces, scarce = engine(DRAFTS, **FEW), engine(DRAFTS, **FEW), engine(DRAFTS, blocks=9, **FEW)
    again.generate([[*PROMPTS[2][:64], 7, 7, 7], PROMPTS[2]], params)
    pieces.budget = 16
    for e in (again, pieces, scarce):
        got = [c.accepted for c in chain(*e.generate(PROMPTS, params))]
        assert all((a == b).all() for a, b in zip(got, wanted, strict=True))
    assert again.counts.reused > 0
    assert scarce.counts.preempted > 0


def test_pairs_of_tokens_are_distributed_as_the_model_says():
    """Chi-square over the first three tokens after a prompt: the second and third are where drafts come in."""
    e = engine(DRAFTS, **FEW)
    prompt, count = [0, 5, 3], 4_000
    outs = e.generate([prompt], SamplingParams(max_tokens=3, n=count, seed=11, ignore_eos=True))[0]
    assert 0.1 < np.mean([c.accepted[1:].mean() for c in outs]) < 0.9
    seen = np.zeros((8, 8, 8))
    for c in outs:
        seen[tuple(c.token_ids)] += 1
    expected = np.zeros((8, 8, 8))

    def following(ids):
        logits = e.forward(ids).logits[0, -1].astype(np.float64)
        return np.exp(logits - logits.max()) / np.exp(logits - logits.max()).sum()

    first = following(prompt)
    for a in range(8):
        second = following([*prompt, a])
        for b in range(8):
            expected[a, b] = count * first[a] * second[b] * following([*prompt, a, b])
    often = expected >= 5
    cells = [*zip(seen[often], expected[often], strict=True), (seen[~often].sum(), expected[~often].sum())]
    square = sum((s - x) ** 2 / x for s, x in cells)
    freedom = len(cells) - 1
    assert square < freedom + 4 * np.sqrt(2 * freedom)  # four standard deviations; the seed is fixed


def test_a_request_that_does_not_say_drafts_on_no_cpu():
    model = engine(DRAFTS, **FEW)._model
    e = Engine(Path("random"), model.decoder, model.mtp, None, model.cache)
    params = SamplingParams(max_tokens=20, ignore_eos=True)
    assert e.generate([PROMPTS[0]], params)[0][0].accepted is None
    assert e.generate([PROMPTS[0]], params, speculate=True)[0][0].accepted.any()
