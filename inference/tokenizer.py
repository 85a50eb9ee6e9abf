"""Text to tokens and back: encode, decode, chat template, and the character range that each token covers.

Left out: training a tokenizer (workers.trainers does) and tokenizers that are not byte-level; DeepSeek's all are.
"""

import json
from collections.abc import Sequence
from functools import cache
from itertools import accumulate
from pathlib import Path
from typing import Any

from jinja2.exceptions import TemplateError
from jinja2.sandbox import ImmutableSandboxedEnvironment
from tokenizers import Tokenizer as Backend

from inference.config import read_json


class Tokenizer:
    """A checkpoint's tokenizer.json with the chat template of its tokenizer_config.json."""

    def __init__(self, backend: Backend, template: str | None, special: dict[str, str]) -> None:
        self._backend = backend
        self._template = template
        self._special = special  # "bos_token" and "eos_token" by name, for the template
        self._added = {number: token.content.encode() for number, token in backend.get_added_tokens_decoder().items()}
        self._bytes: dict[int, bytes] = {}

    @classmethod
    def from_path(cls, path: Path) -> "Tokenizer":
        """Read a checkpoint's tokenizer. Raises ValueError when it is absent, not understood, or not byte-level."""
        file = path / "tokenizer.json"
        if not file.is_file():
            raise ValueError(f"{path} lacks tokenizer.json")
        try:
            backend = Backend.from_file(str(file))
        except Exception as error:  # the binding raises bare Exception
            raise ValueError(f"{file} is not a tokenizer: {error}") from error
        if "ByteLevel" not in json.dumps(json.loads(backend.to_str())["decoder"]):
            raise ValueError(f"{file} is not byte-level; token ranges cannot be told exactly")
        settings_file = path / "tokenizer_config.json"
        settings = read_json(settings_file) if settings_file.exists() else {}
        special = {name: _content(settings.get(name)) for name in ("bos_token", "eos_token")}
        return cls(backend, settings.get("chat_template"), special)

    def encode(self, text: str) -> list[int]:
        """Token ids of `text`; special tokens written in it are read as such, and none is added."""
        return list(self._backend.encode(text, add_special_tokens=False).ids)

    def decode(self, ids: Sequence[int]) -> str:
        """The text of `ids`, special tokens included; bytes that are no UTF-8 become U+FFFD."""
        return b"".join(map(self.token_bytes, ids)).decode("utf-8", errors="replace")

    def apply_chat_template(self, messages: list[dict[str, str]], *, add_generation_prompt: bool = True) -> str:
        """The prompt as the model sees it. Raises ValueError when the checkpoint has no template or it refuses the messages."""
        if self._template is None:
            raise ValueError("this checkpoint has no chat template in tokenizer_config.json")
        try:
            text = _compiled(self._template).render(
                messages=messages, add_generation_prompt=add_generation_prompt, raise_exception=_raise, **self._special
            )
        except TemplateError as error:
            raise ValueError(f"the chat template refused these messages: {error}") from error
        return str(text)

    def token_bytes(self, token: int) -> bytes:
        """The bytes of one token. Raises ValueError for an id outside the vocabulary."""
        if token in self._added:
            return self._added[token]
        if token not in self._bytes:
            text = self._backend.id_to_token(token)
            if text is None:
                return b""  # vocabularies are padded: an id without a token says nothing
            self._bytes[token] = bytes(_byte_of()[character] for character in text)
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
        try:
            data[at:].decode("utf-8")
            break
        except UnicodeDecodeError as error:  # each malformed stretch becomes one U+FFFD
            begins[at + error.start : at + error.end] = [True] + [False] * (error.end - error.start - 1)
            at += error.end
    return [number - 1 for number in accumulate(begins)]


@cache
def _byte_of() -> dict[str, int]:
    """GPT-2's table from printable characters to bytes (Radford et al. 2019), which byte-level tokenizers write tokens in."""
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [byte for byte in range(256) if byte not in printable]
    return {chr(b): b for b in printable} | {chr(0x100 + i): b for i, b in enumerate(others)}


@cache
def _compiled(template: str) -> Any:
    try:
        return ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True).from_string(template)
    except TemplateError as error:
        raise ValueError(f"the checkpoint's chat template is not valid: {error}") from error


def _raise(message: str) -> None:
    raise TemplateError(message)


def _content(token: Any) -> str:
    return str(token["content"]) if isinstance(token, dict) else str(token or "")
