"""A random small checkpoint for tests of the engine that need no reference."""

import json
from pathlib import Path

import pytest
from tokenizers import Tokenizer, decoders, models, pre_tokenizers

from tests.parity.checkpoints import make

TEMPLATE = (
    "{{ bos_token }}{% for m in messages %}{% if m.role == 'user' %}<U>{{ m.content }}{% elif m.role == 'system' %}"
    "{{ m.content }}{% else %}{{ raise_exception('unknown role ' + m.role) }}{% endif %}{% endfor %}<A>"
)


def byte_tokenizer(folder: Path) -> None:
    """Every byte a token, behind four special ones."""
    specials = ["<bos>", "<eos>", "<U>", "<A>"]
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {token: number for number, token in enumerate([*specials, *alphabet])}
    backend = Tokenizer(models.BPE(vocabulary, []))
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    backend.add_special_tokens(specials)
    backend.save(str(folder / "tokenizer.json"))
    settings = {"bos_token": "<bos>", "eos_token": {"content": "<eos>"}, "chat_template": TEMPLATE}
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("small")
    make(folder, {"vocab_size": 260, "initializer_range": 0.3}, seed=0)
    byte_tokenizer(folder)
    return folder
