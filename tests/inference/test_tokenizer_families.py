"""Tokenizers of every family: the ids, texts and prompts of transformers, and exact ranges of characters."""

import json
import unicodedata
from itertools import pairwise

import pytest
from transformers import PreTrainedTokenizerFast

from inference import Tokenizer
from tests.inference.tokenizers import CHAT, FAMILIES, SPECIAL, build

TEXTS = [
    "plain words, 1234567 + 0.5 = ?\n\n  indented\tand\r\nmore   ",
    "數學 and 漢字かな, naïve ﬁ, 𝒳, 👩‍👩‍👧!",
    "<think>\nWait, isn't it 12?\n</think>\n\nThe answer is \\boxed{12}.",
    "øre, ö, ú and others",
    "a\u0000b\u200f\u202e",
]
MESSAGES = [
    {"role": "user", "content": "How much is 1 + 1?"},
    {"role": "assistant", "content": "<think>\nEasy.\n</think>\n\n2"},
    {"role": "user", "content": " and 2 + 2? "},
]


@pytest.fixture(scope="module")
def corpus(shared_data):
    lines = (shared_data / "traces_seed" / "traces_seed.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line)["raw"] for line in lines[:60]]


@pytest.fixture(scope="module", params=FAMILIES)
def both(request, corpus, tmp_path_factory):
    """Family, ours, theirs."""
    folder = build(tmp_path_factory.mktemp(request.param), request.param, corpus)
    return request.param, Tokenizer.from_path(folder), PreTrainedTokenizerFast.from_pretrained(folder)


@pytest.mark.parametrize("text", TEXTS)
def test_ids_and_texts_are_those_of_transformers(both, text):
    family, ours, theirs = both
    ids = ours.encode(text)
    assert ids == theirs.encode(text, add_special_tokens=False)
    assert ours.decode(ids) == (unicodedata.normalize("NFC", text) if family == "qwen2" else text)


@pytest.mark.parametrize("text", TEXTS)
def test_ranges_cover_the_text(both, text):
    _, ours, _ = both
    ids = ours.encode(text)
    read, spans = ours.decode(ids), ours.token_spans(ids)
    assert (spans[0][0], spans[-1][1]) == (0, len(read))
    assert all(a[0] <= b[0] <= a[1] for a, b in pairwise(spans))
    for token, (begin, end) in zip(ids, spans, strict=True):
        assert ours.token_bytes(token) in read[begin:end].encode()


def test_every_token_has_the_bytes_that_transformers_decodes(both):
    _, ours, theirs = both
    broken = 0
    for token in range(len(theirs)):
        text = ours.token_bytes(token).decode("utf-8", errors="replace")
        broken += "\ufffd" in text
        if theirs.convert_ids_to_tokens(token) not in SPECIAL["deepseek_v1"][1]:  # it reads an added ö as the byte 0xF6
            assert text == theirs.decode([token], clean_up_tokenization_spaces=False)
    assert broken < 200  # single bytes above 0x7F


def test_ids_that_pad_a_vocabulary_say_nothing(both):
    _, ours, theirs = both
    assert ours.token_bytes(len(theirs) + 7) == b""
    assert ours.token_spans([len(theirs) + 7]) == [(0, 0)]


def test_thought_tags_are_one_token_each_and_stay_in_the_text(both):
    """They are added tokens with special: false, which a reader that drops special tokens keeps."""
    family, ours, theirs = both
    if family == "deepseek_v1":
        return
    for tag in ("<think>", "</think>"):
        (token,) = ours.encode(tag)
        assert ours.token_bytes(token) == tag.encode()
        assert theirs.decode([token], skip_special_tokens=True) == tag
        assert ours.encode(f"a{tag}b").count(token) == 1


def test_prompts_are_those_of_transformers_with_one_bos(both):
    family, ours, theirs = both
    text = ours.apply_chat_template(MESSAGES)
    assert text == theirs.apply_chat_template(MESSAGES, tokenize=False, add_generation_prompt=True)
    ids = ours.encode(text)
    assert ids == theirs.apply_chat_template(MESSAGES, add_generation_prompt=True)["input_ids"]
    if family != "qwen2":
        assert ids.count(theirs.bos_token_id) == 1
        assert (
            theirs.encode(text).count(theirs.bos_token_id) == 2
        )  # the trap: text from a template, tokenised with special tokens


def test_the_forced_thought_of_r1_and_what_it_forgets(corpus, tmp_path):
    text = Tokenizer.from_path(build(tmp_path, "deepseek_r1", corpus[:5])).apply_chat_template(MESSAGES)
    assert text.endswith("<｜User｜> and 2 + 2? <｜Assistant｜><think>\n")
    assert "Easy" not in text
    assert text.startswith("<｜begin▁of▁sentence｜><｜User｜>How")


def test_a_template_in_a_file_of_its_own_comes_first(corpus, tmp_path):
    folder = build(tmp_path, "llama3", corpus[:5], template_file=True)
    settings = json.loads((folder / "tokenizer_config.json").read_text())
    (folder / "tokenizer_config.json").write_text(json.dumps({**settings, "chat_template": "old"}))
    theirs = PreTrainedTokenizerFast.from_pretrained(folder)
    text = Tokenizer.from_path(folder).apply_chat_template(MESSAGES)
    assert text == theirs.apply_chat_template(MESSAGES, tokenize=False, add_generation_prompt=True)
    assert "<|start_header_id|>assistant" in text


def test_what_transformers_saves_is_read(corpus, tmp_path):
    theirs = PreTrainedTokenizerFast.from_pretrained(build(tmp_path, "deepseek_r1", corpus[:5]))
    theirs.save_pretrained(tmp_path / "saved")
    assert (tmp_path / "saved" / "chat_template.jinja").is_file()
    ours = Tokenizer.from_path(tmp_path / "saved")
    assert ours.apply_chat_template(MESSAGES) == Tokenizer.from_path(tmp_path).apply_chat_template(MESSAGES)


def test_a_length_that_a_trainer_saved_cuts_no_prompt(corpus, tmp_path):
    folder = build(tmp_path, "qwen2", corpus[:5])
    state = json.loads((folder / "tokenizer.json").read_text())
    state["truncation"] = {"direction": "Right", "max_length": 3, "strategy": "LongestFirst", "stride": 0}
    state["padding"] = {
        "strategy": {"Fixed": 50}, "direction": "Right", "pad_to_multiple_of": None, "pad_id": 0, "pad_type_id": 0, "pad_token": "!",
    }  # fmt: skip
    (folder / "tokenizer.json").write_text(json.dumps(state))
    ours = Tokenizer.from_path(folder)
    assert ours.decode(ours.encode("a longer text")) == "a longer text"


def test_special_tokens_of_older_checkpoints_stand_in_a_file_of_their_own(corpus, tmp_path):
    folder = build(tmp_path, "deepseek_v1", corpus[:5])
    bos, eos = SPECIAL["deepseek_v1"][0]
    (folder / "tokenizer_config.json").write_text(json.dumps({"chat_template": CHAT["deepseek_v1"]}))
    (folder / "special_tokens_map.json").write_text(json.dumps({"bos_token": {"content": bos}, "eos_token": eos}))
    assert Tokenizer.from_path(folder).apply_chat_template(MESSAGES[:1]).startswith(f"{bos}User: How")


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("tiktoken.model", r"would run code of the checkpoint.*convert_tiktoken_to_fast"),  # Moonlight
        ("tokenizer.model", r"has tokenizer\.model but no tokenizer\.json; saving it"),
        ("vocab.json", r"has vocab\.json but no tokenizer\.json; saving it"),
    ],
)
def test_tokenizers_of_other_forms_are_told_from_none(tmp_path, name, words):
    (tmp_path / name).write_bytes(b"IQ== 0\n")
    with pytest.raises(ValueError, match=words):
        Tokenizer.from_path(tmp_path)


def test_a_tokenizer_of_pieces_is_refused(tmp_path):
    from tokenizers import Tokenizer as Backend
    from tokenizers import decoders, models

    backend = Backend(models.BPE({"a": 0}, [], byte_fallback=True))
    backend.decoder = decoders.Sequence([decoders.ByteFallback(), decoders.Fuse()])
    backend.save(str(tmp_path / "tokenizer.json"))
    with pytest.raises(ValueError, match="not byte-level"):
        Tokenizer.from_path(tmp_path)


@pytest.mark.parametrize(
    "content", [b"", b"{}", b"[1]", b"\xff", b'{"model": {"type": "BPE", "vocab": {}, "merges": ["a b"]}}']
)
def test_a_broken_tokenizer_is_named(tmp_path, content):
    (tmp_path / "tokenizer.json").write_bytes(content)
    with pytest.raises(ValueError, match=r"tokenizer\.json is not a tokenizer"):
        Tokenizer.from_path(tmp_path)
