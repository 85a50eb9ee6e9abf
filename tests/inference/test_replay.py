"""A known text through the model in chunks, against one plain pass and against what was said when it was sampled."""

import numpy as np
import pytest

import inference.replay
from inference.records import SamplingParams
from tests.inference.engines import DRAFTS, engine, free_blocks

TEXT = [3 + i * i % 50 for i in range(300)]


@pytest.fixture(params=[7, 64, 1024])
def chunk(request, monkeypatch):
    monkeypatch.setattr(inference.replay, "CHUNK", request.param)
    return request.param


@pytest.mark.parametrize("kind", ["v3", DRAFTS, "v2", "moe 16b", "llama", "qwen2"])
def test_a_replay_says_what_one_plain_pass_says(kind, chunk, monkeypatch):
    monkeypatch.setattr(inference.replay, "LOGITS", 61 * 5)  # five rows at a time
    e = engine(kind)
    said, full = e.replay(TEXT), e.forward(TEXT)
    logits = full.logits[0].astype(np.float64)
    logprobs = logits - np.log(np.exp(logits).sum(-1, keepdims=True))
    assert np.isnan(said.logprobs[0])
    assert np.isnan(said.entropies[0])
    assert np.allclose(said.logprobs[1:], logprobs[np.arange(299), TEXT[1:]], atol=2e-4)
    assert np.allclose(said.entropies[1:], -(np.exp(logprobs) * logprobs).sum(-1)[:-1], atol=2e-4)
    assert said.logprobs.dtype == said.entropies.dtype == np.float32
    if kind in ("llama", "qwen2"):
        assert said.routing is None
    else:
        same = np.sort(said.routing.expert_ids, -1) == np.sort(full.routing.expert_ids, -1)
        assert same.shape == (300, 2, 3)
        assert same.mean() > 0.999  # rounding may turn a near tie


def test_a_replay_of_a_sample_agrees_with_the_sample():
    e = engine(DRAFTS)
    prompt = TEXT[:20]
    out = e.generate([prompt], SamplingParams(max_tokens=60, ignore_eos=True), capture="full")[0][0]
    said = e.replay([*prompt, *out.token_ids])
    assert np.allclose(said.logprobs[20:], out.logprobs, atol=1e-4)
    assert np.allclose(said.entropies[20:], out.entropies, atol=1e-4)
    assert (np.sort(said.routing.expert_ids[:-1], -1) == np.sort(out.routing.expert_ids, -1)).all()
    for name in ("open_groups", "swapped", "entropy", "margin"):
        mine, theirs = getattr(said.routing.detail, name)[:-1], getattr(out.routing.detail, name)
        assert np.allclose(mine.astype(float), theirs.astype(float), atol=1e-4)


def test_levels_of_capture():
    e = engine()
    assert e.replay(TEXT[:40]).routing.detail.margin.shape == (40, 2)
    assert e.replay(TEXT[:40], capture=True).routing.detail is None
    assert e.replay(TEXT[:40], capture=False).routing is None
    assert (e.replay(TEXT[:40]).logprobs[1:] == e.replay(TEXT[:40], capture=False).logprobs[1:]).all()


def test_one_token_is_a_text():
    said = engine().replay([5])
    assert said.logprobs.shape == (1,)
    assert said.routing.expert_ids.shape == (1, 2, 3)


def test_a_text_longer_than_the_engines_cache_can_be_replayed():
    e = engine(blocks=3)
    assert len(e.replay(TEXT).logprobs) == 300
    assert free_blocks(e) == 3


@pytest.mark.parametrize(
    ("text", "words"), [([], "is empty"), ([61], "outside 0..60"), ([1] * 4097, "passes the context of 4096")]
)
def test_refuses_a_text_that_it_cannot_run(text, words):
    with pytest.raises(ValueError, match=words):
        engine().replay(text)
