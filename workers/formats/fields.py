"""Takes known fields out of a row by any of their names; what is left is metadata, so nothing is dropped unseen."""

import re
from collections.abc import Iterable, Sequence

from workers.formats.records import Row, RowError, Value

PROMPT = ("prompt", "input", "query")
PROBLEM = ("problem", "question", "instruction")
ANSWER = ("answer", "gold", "expected_answer", "ground_truth", "target")
COMPLETION = ("completion", "response", "output", "generation", "raw")
REASONING = ("reasoning", "reasoning_content", "thinking")  # the spellings of vLLM, DeepSeek and SGLang, Harmony
VERDICT = ("upstream_correct", "is_correct", "correct")
FINISH_REASONS = {
    "stop": "stop", "eos": "stop", "eos_token": "stop", "end_turn": "stop", "stop_sequence": "stop",
    "length": "length", "max_tokens": "length", "max_length": "length", "cancelled": "cancelled", "abort": "cancelled",
}  # fmt: skip


class Fields:
    """The fields of one row that are still to be taken."""

    def __init__(self, row: Row) -> None:
        self.line = row.line
        self._left = dict(row.value)
        self._lost = list(row.lost)

    @property
    def rest(self) -> Value:
        """What nobody took, unchanged."""
        return self._left

    @property
    def lost(self) -> tuple[str, ...]:
        return tuple(self._lost)

    def lose(self, words: str) -> None:
        """Note that something of the source has no place here."""
        self._lost.append(words)

    def take(self, *names: str) -> object:
        """Remove and return the first of these fields that is there and not null; those that are null say nothing and go as well."""
        name = self._first(names)
        return None if name is None else self._left.pop(name)

    def text(self, *names: str) -> str | None:
        """Like `take`, for a field that must be text. Raises RowError when it is not."""
        name = self._first(names)
        if name is None:
            return None
        value = self._left.pop(name)
        if not isinstance(value, str):
            raise RowError(f"the field {name!r} must be text; it is {type(value).__name__}")
        return value

    def gold(self, *names: str) -> str | None:
        """The gold answer as text. A number is written out; anything else stays in the metadata and is noted."""
        name = self._first(names)
        if name is None:
            return None
        value = self._left[name]
        if isinstance(value, str) and value.strip() == "None":  # what Python writes where there was no answer
            return None
        if isinstance(value, str | int | float) and not isinstance(value, bool):
            del self._left[name]
            return str(value)
        self.lose(f"{name} (not a text, kept as metadata)")
        return None

    def _first(self, names: Sequence[str]) -> str | None:
        """The first of these fields that holds something; drops those that are null."""
        for name in names:
            if name in self._left and self._left[name] is None:
                del self._left[name]
        return next((name for name in names if name in self._left), None)

    def finish_reason(self) -> str:
        """Our word for how the sample ended, "" where it is unknown; a word of the source that is not ours stays in the metadata."""
        value = self._left.get("finish_reason")
        ours = FINISH_REASONS.get(value.lower(), "") if isinstance(value, str) else ""
        if ours == value or value is None:
            self._left.pop("finish_reason", None)
        return ours


def has(value: Value, names: Iterable[str]) -> bool:
    """Whether a row has one of these fields with something in it."""
    return any(value.get(name) is not None for name in names)


def read_messages(value: object, fields: Fields) -> list[dict[str, str]]:
    """A conversation as [{"role", "content"}]; parts of a content are joined, keys beyond these two stay with the caller.

    Raises RowError when it is no conversation.
    """
    if not isinstance(value, list) or not value or not all(isinstance(item, dict) for item in value):
        raise RowError("messages must be a list of objects with role and content")
    messages = []
    for item in value:
        role, content = item.get("role"), item.get("content")
        if not isinstance(role, str):
            raise RowError("a message has no role")
        if isinstance(content, list):
            texts = [
                part.get("text") for part in content if isinstance(part, dict) and isinstance(part.get("text"), str)
            ]
            if len(texts) < len(content):
                fields.lose("messages (parts that are not text)")
            content = "".join(map(str, texts))
        if item.keys() - {"role", "content"}:
            extra = item.keys() - {"role", "content", *REASONING}
            for key in sorted(key for key in extra if item[key] is not None):
                fields.lose(f"messages.{key}"[:80])
        messages.append({"role": role, "content": content if isinstance(content, str) else ""})
    return messages


def prompt_of(messages: Sequence[dict[str, str]]) -> tuple[str, list[dict[str, str]] | None]:
    """What a person reads of a conversation, and the conversation where it is more than one message of a user."""
    if len(messages) == 1 and messages[0]["role"] == "user":
        return messages[0]["content"], None
    return "\n\n".join(f"[{m['role']}]\n{m['content']}" for m in messages), list(messages)


def tag_words(value: object) -> tuple[str, ...]:
    """Tags of a list or a text separated by commas, in the letters that tags may have: `Counting & Probability` -> counting-probability."""
    items = value.split(",") if isinstance(value, str) else value if isinstance(value, list) else []
    words = [re.sub(r"[^a-z0-9_.:]+", "-", str(item).lower()).strip("-_.:")[:40] for item in items]
    return tuple(word for word in words if word)
