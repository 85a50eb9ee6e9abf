"""Text to tokens and back: encode, decode, chat template, and the character range that each token covers.

Left out: training a tokenizer (workers.trainers does) and tokenizers that are not byte-level; those of this family are. What a tokenizer.json adds
around a text of its own (a first bos token, mostly) is not added: templates write it, and twice is once too often.
"""

import json
from collections.abc import Sequence
from functools import cache
from itertools import accumulate
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer as Backend

from inference.chat import read_template, render
from inference.config import read_json

FILE = "tokenizer.json"
SPECIAL = ("bos_token", "eos_token", "unk_token", "pad_token", "sep_token", "cls_token", "mask_token")
OTHERS = ("tiktoken.model", "tokenizer.model", "vocab.json")  # tokenizers in forms that are not read here
WINDOW = 1024  # bytes


class Tokenizer:
    """A checkpoint's tokenizer.json with its chat template."""

    def __init__(self, backend: Backend, template: str | None, special: dict[str, str]) -> None:
        self._backend = backend
        self._template = template
        self._special = special  # "bos_token" and the like by name, for the template
        self._added = {number: token.content.encode() for number, token in backend.get_added_tokens_decoder().items()}
        self._bytes: dict[int, bytes] = {}

    @classmethod
    def from_path(cls, path: Path) -> "Tokenizer":
        """Read a checkpoint's tokenizer. Raises ValueError when it is absent, not understood, or not byte-level."""
        file = path / FILE
        if not file.is_file():
            raise ValueError(_absence(path))
        try:
            backend = Backend.from_file(str(file))
        except Exception as error:  # the binding raises bare Exception
            raise ValueError(f"{file} is not a tokenizer: {error}") from error
        if "ByteLevel" not in json.dumps(json.loads(backend.to_str())["decoder"]):
            raise ValueError(f"{file} is not byte-level; token ranges cannot be told exactly")
        backend.no_truncation()  # a trainer's habit, saved with the tokenizer; it would cut prompts in silence
        backend.no_padding()
        settings: dict[str, Any] = {}
        for name in ("special_tokens_map.json", "tokenizer_config.json"):
            if (path / name).exists():
                settings |= {key: value for key, value in read_json(path / name).items() if value is not None}
        special = {name: _content(settings[name]) for name in SPECIAL if name in settings}
        return cls(backend, read_template(path, settings), special)

    def encode(self, text: str) -> list[int]:
        """Token ids of `text`; special tokens written in it are read as such, and none is added."""
        return list(self._backend.encode(text, add_special_tokens=False).ids)

    def decode(self, ids: Sequence[int]) -> str:
        """The text of `ids`, special tokens included; bytes that are no UTF-8 become U+FFFD."""
        return b"".join(map(self.token_bytes, ids)).decode("utf-8", errors="replace")

    def apply_chat_template(self, messages: list[dict[str, str]], *, add_generation_prompt: bool = True) -> str:
        """The prompt as the model sees it. Raises ValueError when the checkpoint has no template or it refuses the messages."""
        if self._template is None:
            raise ValueError(
                "this checkpoint has no chat template (chat_template.jinja, or chat_template in tokenizer_config.json)"
            )
        return render(self._template, messages, self._special, add_generation_prompt=add_generation_prompt)

    def token_bytes(self, token: int) -> bytes:
        """The bytes of one token; none for an id that the tokenizer does not know: vocabularies are padded."""
        if token in self._added:
            return self._added[token]
        if token not in self._bytes:
            text = self._backend.id_to_token(token)
            if text is None:
                return b""
            table = _byte_of()
            written = all(character in table for character in text)  # else a token that stands for itself
            self._bytes[token] = bytes(table[character] for character in text) if written else text.encode()
        return self._bytes[token]

    def token_spans(self, ids: Sequence[int]) -> list[tuple[int, int]]:
        """The range of characters of `decode(ids)` that each token touches: ranges never go back and together cover the text.

        A token that holds part of a UTF-8 character has that whole character in its range.
        """
        pieces = [self.token_bytes(token) for token in ids]
        characters = _character_of_byte(b"".join(pieces))
        spans, at = [], 0
        for piece in pieces:
            begin = characters[at] if at < len(characters) else (characters[-1] + 1 if characters else 0)
            at += len(piece)
            spans.append((begin, characters[at - 1] + 1) if piece else (begin, begin))
        return spans


def _character_of_byte(data: bytes) -> list[int]:
    """For each byte the number of the character it belongs to in `data.decode(errors="replace")`."""
    begins = [byte & 0xC0 != 0x80 for byte in data]  # a continuation byte begins nothing
    at = 0
    while at < len(data):
        window = data[at : at + WINDOW]  # a text that is broken everywhere must not be read to its end for each break
        try:
            window.decode("utf-8")
            at += len(window)
        except UnicodeDecodeError as error:
            if error.start and error.end == len(window) < len(data) - at:  # a character that the window may have cut
                at += error.start
                continue
            # each malformed stretch becomes one U+FFFD
            begins[at + error.start : at + error.end] = [True] + [False] * (error.end - error.start - 1)
            at += error.end
    return [number - 1 for number in accumulate(begins)]


@cache
def _byte_of() -> dict[str, int]:
    """GPT-2's table from printable characters to bytes (Radford et al. 2019), which byte-level tokenizers write tokens in."""
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [byte for byte in range(256) if byte not in printable]
    return {chr(b): b for b in printable} | {chr(0x100 + i): b for i, b in enumerate(others)}


def _absence(path: Path) -> str:
    """What to say of a checkpoint without a tokenizer.json."""
    found = [name for name in OTHERS if (path / name).is_file()]
    if "tiktoken.model" in found:
        return (
            f"{path} has tiktoken.model but no {FILE}; reading it would run code of the checkpoint. "
            f"Make a {FILE} of it (transformers.integrations.tiktoken.convert_tiktoken_to_fast) and put it beside."
        )
    if found:
        return f"{path} has {found[0]} but no {FILE}; saving it with transformers' AutoTokenizer writes one"
    return f"{path} lacks {FILE}"


def _content(token: Any) -> str:
    return str(token["content"]) if isinstance(token, dict) else str(token or "")
