"""Tokenizer and template: exact on real text of many scripts, digits apart, DeepSeek's special tokens, R1's turns."""

import json

import jinja2
import pytest
from tokenizers import Tokenizer

from workers.trainers.families import generate
from workers.trainers.text import (
    ASSISTANT,
    BOS,
    CHAT_TEMPLATE,
    END_THINK,
    EOS,
    SPECIAL,
    THINK,
    USER,
    VOCAB_SIZE,
    build_tokenizer,
    completion_text,
    prompt_text,
    save_tokenizer,
)


@pytest.fixture(scope="module")
def tokenizer():
    return build_tokenizer(seed=7, items_per_family=200)


def test_special_tokens_have_deepseeks_spelling_and_the_first_ids(tokenizer):
    assert [tokenizer.token_to_id(token) for token in SPECIAL] == list(range(6))
    assert SPECIAL == (
        "<\uff5cbegin\u2581of\u2581sentence\uff5c>",
        "<\uff5cend\u2581of\u2581sentence\uff5c>",
        "<\uff5cUser\uff5c>",
        "<\uff5cAssistant\uff5c>",
        "<think>",
        "</think>",
    )


def test_skipping_special_tokens_keeps_the_think_tags(tokenizer):
    ids = tokenizer.encode(f"{BOS}{USER}1{ASSISTANT}{THINK}\n2\n{END_THINK}\n\n3{EOS}").ids
    assert tokenizer.decode(ids, skip_special_tokens=True) == f"{USER}1{ASSISTANT}{THINK}\n2\n{END_THINK}\n\n3"


def test_the_size_is_as_stated_and_every_digit_and_spelled_letter_is_one_token(tokenizer):
    assert tokenizer.get_vocab_size() == VOCAB_SIZE
    assert tokenizer.encode("9071").tokens == ["9", "0", "7", "1"]
    assert not [token for token in tokenizer.get_vocab() if any(c.isdigit() for c in token) and len(token) > 1]
    assert len(tokenizer.encode(" q u i z").ids) == 4


def test_real_text_of_any_script_survives(tokenizer, shared_data):
    lines = (shared_data / "traces_seed" / "traces_seed.jsonl").read_text(encoding="utf-8").splitlines()
    texts = [value for line in lines for value in json.loads(line).values() if isinstance(value, str)]
    texts += [
        "九章算術：今有雉兔同籠",
        "γειά 🧮 \u200b ½ ＋１",
        "tab\tnull\x00bell\x07 \r\n  end ",
        "",
        "é e\u0301 한국어 עברית",
    ]
    assert sum(not text.isascii() for text in texts) > 100
    for text in texts:
        assert tokenizer.decode(tokenizer.encode(text).ids, skip_special_tokens=False) == text


def test_the_same_seed_gives_the_same_tokenizer():
    assert build_tokenizer(3, 40).to_str() == build_tokenizer(3, 40).to_str()


def test_a_completion_has_r1_form():
    item = generate("gcd", 1, seed=1)[0]
    text = completion_text(item)
    assert text.startswith(f"{THINK}\n{item.think}\n{END_THINK}\n\n")
    assert text.endswith(f"\\boxed{{{item.answer}}}.{EOS}")


def _render(messages, **more):
    return (
        jinja2.Environment(autoescape=False)
        .from_string(CHAT_TEMPLATE)
        .render(messages=messages, bos_token=BOS, eos_token=EOS, **more)
    )


def test_the_template_opens_a_turn_as_training_did():
    assert _render([{"role": "user", "content": "1 + 1 ="}], add_generation_prompt=True) == prompt_text("1 + 1 =")


def test_the_template_drops_the_think_of_earlier_turns():
    talk = [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "a"},
        {"role": "assistant", "content": f"{THINK}\nsecret\n{END_THINK}\n\nb"},
        {"role": "user", "content": "c"},
    ]
    expected = f"{BOS}Be brief.{USER}a{ASSISTANT}\n\nb{EOS}{USER}c{ASSISTANT}"
    assert _render(talk, add_generation_prompt=True) == expected


def test_what_is_saved_loads_and_carries_the_template(tokenizer, tmp_path):
    save_tokenizer(tokenizer, tmp_path, context=1024)
    again = Tokenizer.from_file(str(tmp_path / "tokenizer.json"))
    assert again.encode("Sort 12, 7").ids == tokenizer.encode("Sort 12, 7").ids
    config = json.loads((tmp_path / "tokenizer_config.json").read_text(encoding="utf-8"))
    assert config["chat_template"] == CHAT_TEMPLATE
    assert (config["bos_token"], config["eos_token"], config["pad_token"]) == (BOS, EOS, EOS)
    assert config["add_bos_token"] is False
