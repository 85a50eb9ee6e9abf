"""Multi-token prediction: drafts against a plain reference, and speculative decoding that says what plain decoding says. Every mistake in the wiring shows."""

import numpy as np
import pytest
import torch

from inference import Engine, SamplingParams
from inference.attend import Chunk
from inference.cache import Cache
from inference.sequence import blocks_for
from tests.parity.compare import TOLERANCE, Gap, greedy, greedy_of, text
from tests.parity.reference_mtp import Reference
from tests.parity.shapes import SHAPES

FEW = 5  # tokens in all, so that a random draft is often right
CASES = {
    "groups": {},
    "Moonlight's eps, no query latent": SHAPES["deepseek_v3"]["Moonlight"],
    "yarn": SHAPES["deepseek_v3"]["yarn past its original context"],
    "one layer before it": {"num_hidden_layers": 1, "first_k_dense_replace": 0},
    "few tokens": {"vocab_size": FEW},
}


@pytest.fixture(scope="module", params=CASES)
def made(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp("checkpoint")
    return Reference(folder, CASES[request.param], seed=len(request.param)), folder


@pytest.fixture(scope="module", params=[False, None], ids=["plain", "native"])
def pair(request, made):
    engine = Engine.load(made[1], native=request.param)
    engine.speculates = True
    return made[0], engine


def drafted(engine: Engine, ids: list[int]) -> np.ndarray:
    """Logits [S - 1, V] of the engine's drafts over a known text."""
    model, count = engine._model, len(ids)
    at = torch.arange(count)
    cache = Cache(engine.config, blocks_for(count), torch.float32, "cpu", 1)
    with torch.inference_mode():
        hidden = model.decoder.prefill(torch.tensor(ids), at, at, [Chunk(count, 0, at[:0])], cache)
        chunks = [Chunk(count - 1, 0, at[:0])]
        states = model.mtp.prefill(hidden[:-1], torch.tensor(ids[1:]), at[:-1], at[:-1], chunks, cache=cache)
        return model.decoder.logits(states).numpy()


def vocabulary(engine: Engine) -> int:
    return engine.config.vocab_size


def test_main_model_and_drafts_equal_the_reference(pair):
    model, engine = pair
    ids = text(3, 80, vocabulary(engine))
    assert Gap(engine, *model.main(ids), ids).equal
    assert np.abs(drafted(engine, ids) - model.drafts(ids).numpy()).max() < TOLERANCE


def test_greedy_speculation_says_what_transformers_says_without(pair):
    model, engine = pair
    prompt = text(9, 20, vocabulary(engine))
    assert greedy(engine, prompt, 60) == greedy_of(model.model, prompt, 60)


def test_what_was_accepted_is_what_the_reference_drafts(pair):
    """Greedy: a token counts as accepted where the reference's best guess for it was right and it was the one to be drafted; the token after an accepted one
    comes from the same pass and was not.
    """
    model, engine = pair
    prompt = text(7, 11, vocabulary(engine))
    sample = engine.generate([prompt], SamplingParams(max_tokens=60, temperature=0, ignore_eos=True))[0][0]
    guesses = model.drafts(prompt + sample.token_ids).argmax(-1).tolist()
    expected, place = [False] * 60, 1
    while place < 60:
        expected[place] = guesses[len(prompt) + place - 2] == sample.token_ids[place]
        place += 2 if expected[place] else 1
    assert sample.accepted.dtype == np.bool_
    assert sample.accepted.tolist()[:-1] == expected[:-1]  # the last token is not worth a draft
    if vocabulary(engine) == FEW:
        assert sum(expected) > 5


@pytest.mark.parametrize("wrong", ["hidden first", "token too early", "state before the final norm"])
def test_a_wrong_wiring_is_seen(made, wrong):
    """eh_proj reads the embedding first; the token is the one that follows the state; the state is the one after the final norm."""
    model, folder = made
    engine = Engine.load(folder, native=False)
    ids = text(3, 80, vocabulary(engine))
    assert np.abs(drafted(engine, ids) - model.drafts(ids, wrong).numpy()).max() > 100 * TOLERANCE


def test_a_reader_that_puts_the_state_first_is_seen(made, monkeypatch):
    """The same mistake in the engine: halves of eh_proj's input exchanged."""
    model, folder = made
    engine = Engine.load(folder, native=False)
    ids = text(3, 80, vocabulary(engine))
    right = engine._model.mtp.eh_proj
    monkeypatch.setattr(engine._model.mtp, "eh_proj", lambda both: right(both.roll(both.shape[-1] // 2, -1)))
    assert np.abs(drafted(engine, ids) - model.drafts(ids).numpy()).max() > 100 * TOLERANCE


def test_the_layer_is_left_out_when_asked_and_named(made, caplog):
    model, folder = made
    with caplog.at_level("INFO"):
        engine = Engine.load(folder, mtp=False)
    assert f"model.layers.{model.layers}." in caplog.text
    prompt = text(9, 20, vocabulary(engine))
    assert engine.generate([prompt], SamplingParams(max_tokens=2))[0][0].accepted is None
    assert greedy(engine, prompt, 30) == greedy_of(model.model, prompt, 30)
