"""A stored text as an engine's tokens: stored ids or encoded text, the think in a field of its own, what is refused."""

from types import SimpleNamespace

import numpy as np
import pytest

from tests.workers import checkpoint
from webapp.traces.models import RunKind
from webapp.traces.tokenstore import TokenArrays
from workers.rereading import notes, reread


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory):
    from inference import Tokenizer

    return Tokenizer.from_path(checkpoint.make(tmp_path_factory.mktemp("reread") / "model"))


def trace(prompt, completion, *, reasoning=None, kind=RunKind.IMPORT):
    return SimpleNamespace(prompt=prompt, completion=completion, reasoning=reasoning, run=SimpleNamespace(kind=kind))


def arrays(ids, spans):
    n = len(ids)
    nothing = np.zeros(n, np.float32)
    starts, ends = (np.array(side, np.int32) for side in zip(*spans, strict=True))
    return TokenArrays(np.array(ids, np.int32), starts, ends, nothing, nothing)


def covered(text, whole):
    return "".join(whole[a:b] for a, b in text.spans)


def test_prompt_and_completion_are_covered_by_their_tokens(tokenizer):
    given = trace("What is 1 + 2?", "<think>等等 3</think>3")
    text = reread(given, tokenizer, None)
    assert tokenizer.decode(text.token_ids) == given.prompt + given.completion
    assert text.token_ids[: text.asked] == tokenizer.encode(given.prompt)
    assert text.spans[text.asked][0] == len(given.prompt)
    assert text.spans[-1][1] == len(given.prompt) + len(given.completion)
    assert "chat template" in notes(given, text)["replayed_prompt"]


def test_of_a_generated_trace_the_prompt_is_what_the_model_saw(tokenizer):
    given = trace("<｜User｜>1?<｜Assistant｜>", "1", kind=RunKind.GENERATE)
    text = reread(given, tokenizer, None)
    assert text.asked == 4  # two special tokens and two characters
    assert notes(given, text)["replayed_prompt"] == "as the model saw it"


def test_a_think_in_a_field_of_its_own_goes_between_tags_without_characters(tokenizer):
    given = trace("1?", "one", reasoning="hm")
    text = reread(given, tokenizer, None)
    assert tokenizer.decode(text.token_ids) == "1?<think>\nhm\n</think>\n\none"
    assert covered(text, "1?hmone") == "1?hmone"
    assert [span for span in text.spans if span[0] == span[1]] != []
    assert all(a <= b for (a, _), (b, _) in zip(text.spans, text.spans[1:], strict=False))
    assert "between <think>" in notes(given, text)["replayed_think"]


def test_a_prompt_that_opens_the_think_gets_no_second_tag(tokenizer):
    text = reread(trace("1?<think>\n", "one", reasoning="hm"), tokenizer, None)
    assert tokenizer.decode(text.token_ids).count("<think>") == 1


def test_stored_ids_of_this_tokenizer_are_used_stop_token_included(tokenizer):
    prompt, said = tokenizer.encode("1?"), tokenizer.encode("one")
    spans = [(0, 1), (1, 2), (2, 3), (3, 4), (4, 5), (5, 5)]
    given = trace("1?", "one")
    text = reread(given, tokenizer, arrays([*prompt, *said, 1], spans))
    assert (text.stored, text.asked, text.token_ids[-1]) == (True, 2, 1)
    assert notes(given, text) == {"replayed_tokens": "as they are stored"}


@pytest.mark.parametrize(
    "spans", [[(0, 2), (2, 5)], [(0, 1), (1, 2), (2, 3), (3, 5), (5, 5)]], ids=["fewer", "other ranges"]
)
def test_stored_ids_of_another_tokenizer_are_not(tokenizer, spans):
    text = reread(trace("1?", "one"), tokenizer, arrays(list(range(40, 40 + len(spans))), spans))
    assert not text.stored
    assert tokenizer.decode(text.token_ids) == "1?one"


def test_a_nul_that_was_sampled_is_still_the_stored_token(tokenizer):
    ids = [*tokenizer.encode("1?"), *tokenizer.encode("\x00")]
    text = reread(trace("1?", "\u2400"), tokenizer, arrays(ids, [(0, 1), (1, 2), (2, 3)]))
    assert text.stored


def test_a_text_that_the_tokenizer_changes_is_refused():
    lossy = SimpleNamespace(encode=lambda text: [1], decode=lambda ids: "x", token_spans=lambda ids: [(0, 1)])
    with pytest.raises(ValueError, match="changes the text"):
        reread(trace("1?", "one"), lossy, None)


def test_a_trace_without_text_is_refused(tokenizer):
    with pytest.raises(ValueError, match="no text"):
        reread(trace("", ""), tokenizer, None)
