"""Text, tokens, and the characters that each token covers."""

import json
import random
import time
from itertools import pairwise

import pytest

from inference import Tokenizer
from inference.tokenizer import WINDOW


@pytest.fixture(scope="module")
def tokenizer(checkpoint):
    return Tokenizer.from_path(checkpoint)


@pytest.mark.parametrize("text", ["", "plain", "é", "數學 and 𝒳", "👩‍👩‍👧", "a\u200fb\u0000c", "<bos>in<eos>text"])
def test_text_survives(tokenizer, text):
    assert tokenizer.decode(tokenizer.encode(text)) == text


def test_every_real_trace_survives_and_is_covered(tokenizer, shared_data):
    for line in (shared_data / "traces_seed" / "traces_seed.jsonl").read_text().splitlines()[::9]:
        text = json.loads(line)["raw"][:3000] or "."
        ids = tokenizer.encode(text)
        assert tokenizer.decode(ids) == text
        spans = tokenizer.token_spans(ids)
        assert spans[0][0] == 0
        assert spans[-1][1] == len(text)
        assert all(a[0] <= b[0] <= a[1] for a, b in pairwise(spans))


def test_tokens_that_split_a_character_share_it(tokenizer):
    assert tokenizer.token_spans(tokenizer.encode("a數b")) == [(0, 1), (1, 2), (1, 2), (1, 2), (2, 3)]


def test_broken_bytes_become_one_replacement_a_stretch(tokenizer):
    ids = tokenizer.encode("數")[:2] + tokenizer.encode("z")
    assert tokenizer.decode(ids) == "\ufffdz"
    assert tokenizer.token_spans(ids) == [(0, 1), (0, 1), (1, 2)]


@pytest.mark.parametrize("shift", range(5))
def test_characters_across_the_border_of_a_window_stay_whole(tokenizer, shift):
    text = "x" * (WINDOW - 4 + shift) + "數𝒳é" * WINDOW
    spans = tokenizer.token_spans(tokenizer.encode(text))
    assert spans == [(i, i + 1) for i, character in enumerate(text) for _ in character.encode()]


@pytest.mark.parametrize("seed", range(3))
def test_noise_is_ranged_in_time_and_as_it_is_decoded(tokenizer, seed):
    draw, begin = random.Random(seed), time.monotonic()
    ids = [draw.choice(range(4, 260)) for _ in range(200_000)]
    text, spans = tokenizer.decode(ids), tokenizer.token_spans(ids)
    assert spans[-1][1] == len(text)
    assert all(a[0] <= b[0] <= a[1] for a, b in pairwise(spans))
    for at in range(0, len(ids), 997):
        character = text[spans[at][0]]
        assert character == "\ufffd" or tokenizer.token_bytes(ids[at]) in character.encode()
    assert time.monotonic() - begin < 10


def test_special_tokens_are_text_with_a_range(tokenizer):
    assert tokenizer.token_spans(tokenizer.encode("<bos>x")) == [(0, 5), (5, 6)]


def test_chat_template_writes_the_prompt_and_doubles_no_bos(tokenizer):
    text = tokenizer.apply_chat_template([{"role": "user", "content": "1 + 1?"}])
    assert text == "<bos><U>1 + 1?<A>"
    assert tokenizer.encode(text).count(0) == 1


def test_template_that_refuses_says_so(tokenizer):
    with pytest.raises(ValueError, match="unknown role judge"):
        tokenizer.apply_chat_template([{"role": "judge", "content": ""}])


def test_template_cannot_reach_out_of_its_sandbox(checkpoint, tmp_path):
    for name in ("tokenizer.json",):
        (tmp_path / name).write_bytes((checkpoint / name).read_bytes())
    attack = "{{ messages.__class__.__mro__[1].__subclasses__() }}"
    (tmp_path / "tokenizer_config.json").write_text(json.dumps({"chat_template": attack}))
    with pytest.raises(ValueError, match="chat template"):
        Tokenizer.from_path(tmp_path).apply_chat_template([])


def test_absent_tokenizer_is_named(tmp_path):
    with pytest.raises(ValueError, match=r"lacks tokenizer.json"):
        Tokenizer.from_path(tmp_path)
