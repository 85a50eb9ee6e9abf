"""The text form of the tiny model: special tokens, the R1 form of a trace, the chat template and the BPE tokenizer.

The special tokens are DeepSeek's, spelled exactly (full-width bars, lower one-eighth block). As in R1's distilled tokenizers
only the two sentence tokens are marked special, so that decoding with `skip_special_tokens` keeps `</think>` for parsers.
No token is added by the tokenizer itself: the template writes the first one, and a second would shift the model.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from string import ascii_lowercase
from typing import Any

from tokenizers import Tokenizer, decoders, pre_tokenizers
from tokenizers.models import BPE
from tokenizers.trainers import BpeTrainer

from .families import FAMILIES, Item, generate

BOS, EOS = "<｜begin▁of▁sentence｜>", "<｜end▁of▁sentence｜>"
USER, ASSISTANT = "<｜User｜>", "<｜Assistant｜>"
THINK, END_THINK = "<think>", "</think>"
SPECIAL = (BOS, EOS, USER, ASSISTANT, THINK, END_THINK)  # ids 0 to 5, in this order
BOS_ID, EOS_ID = 0, 1
VOCAB_SIZE = 512
LETTER_SHARE = 8  # random words teach merges of no use elsewhere: their family gives one item in so many

CHAT_TEMPLATE = (
    "{{ bos_token }}"
    "{%- for message in messages %}"
    "{%- if message['role'] == 'system' %}{{ message['content'] }}{%- endif %}"
    "{%- endfor %}"
    "{%- for message in messages %}"
    "{%- if message['role'] == 'user' %}{{ '" + USER + "' + message['content'] }}"
    "{%- elif message['role'] == 'assistant' %}"
    "{{ '" + ASSISTANT + "' + message['content'].split('" + END_THINK + "')[-1] + eos_token }}"
    "{%- endif %}"
    "{%- endfor %}"
    "{%- if add_generation_prompt %}{{ '" + ASSISTANT + "' }}{%- endif %}"
)


def prompt_text(prompt: str) -> str:
    """What the model is given: the model itself writes `<think>` next."""
    return f"{BOS}{USER}{prompt}{ASSISTANT}"


def completion_text(item: Item) -> str:
    """The worked trace in R1 form, up to and with the end-of-sentence token."""
    return f"{THINK}\n{item.think}\n{END_THINK}\n\nThe answer is \\boxed{{{item.answer}}}.{EOS}"


def build_tokenizer(seed: int, items_per_family: int = 1000) -> Tokenizer:
    """A byte-level BPE of VOCAB_SIZE tokens, trained on the procedural corpus; every digit stays a token of its own."""
    tokenizer = Tokenizer(BPE())
    digits = pre_tokenizers.Digits(individual_digits=True)
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([digits, pre_tokenizers.ByteLevel(add_prefix_space=False)])
    tokenizer.decoder = decoders.ByteLevel()
    trainer = BpeTrainer(
        vocab_size=VOCAB_SIZE,
        special_tokens=list(SPECIAL),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(_corpus(seed, items_per_family), trainer)
    state = json.loads(tokenizer.to_str())
    for token in state["added_tokens"]:
        token["special"] = token["content"] in (BOS, EOS)
    return Tokenizer.from_str(json.dumps(state))


def _corpus(seed: int, items_per_family: int) -> Iterable[str]:
    for name in FAMILIES:
        share = LETTER_SHARE if name == "letter_counting" else 1
        for item in generate(name, items_per_family // share, seed, split="train"):
            yield f"{item.prompt}\n{item.think}\n\nThe answer is \\boxed{{{item.answer}}}."
    for _ in range(items_per_family):  # a spelled letter is one token, however rare the letter
        yield " " + " ".join(ascii_lowercase)


def save_tokenizer(tokenizer: Tokenizer, folder: Path, context: int) -> None:
    """Write tokenizer.json and tokenizer_config.json (with the chat template) as transformers reads them."""
    tokenizer.save(str(folder / "tokenizer.json"))
    config: dict[str, Any] = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "bos_token": BOS,
        "eos_token": EOS,
        "pad_token": EOS,
        "add_bos_token": False,
        "add_eos_token": False,
        "clean_up_tokenization_spaces": False,
        "model_max_length": context,
        "chat_template": CHAT_TEMPLATE,
    }
    text = json.dumps(config, ensure_ascii=False, indent=2)
    (folder / "tokenizer_config.json").write_text(text + "\n", encoding="utf-8")
