"""SFT rows for trainers, made from frozen rows: `messages`, and cold start as prompt and completion. Both in R1 form.

R1 form is `<think>`, line feed, think, line feed, `</think>`, empty line, answer: what DeepSeek-R1 writes, what LLaMA-Factory and
axolotl look for inside the assistant's content, and what TRL passes to the chat template unchanged. White space at the ends of
think and answer is laid out anew; nothing else is. Left out: preference and RL formats.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

OPEN, CLOSE = "<think>", "</think>"
_MESSAGES = pa.list_(pa.struct([("role", pa.string()), ("content", pa.string())]))
# Beside what is trained on: where the row comes from. No name among these means anything to TRL, LLaMA-Factory or axolotl.
_ORIGIN = [
    ("trace_id", pa.int64()),
    ("problem_key", pa.string()),
    ("gold", pa.string()),
    ("verdict", pa.string()),
    ("verifier", pa.string()),
    ("verifier_version", pa.string()),
    ("model", pa.string()),
    ("source", pa.string()),
    ("licence", pa.string()),
    ("completion_tokens", pa.int64()),
]


@dataclass(frozen=True, slots=True)
class Form:
    """A shape of rows: `make` turns a frozen row into one; `file_type` is jsonl or parquet; `words` go into the card."""

    name: str
    file_type: str
    schema: pa.Schema
    make: Callable[[dict[str, Any]], dict[str, Any]]
    words: str


def r1_form(think: str, answer: str) -> str:
    """Think and answer as DeepSeek-R1 writes them; the answer alone where there is no think."""
    think, answer = think.strip(), answer.strip()
    return f"{OPEN}\n{think}\n{CLOSE}\n\n{answer}" if think else answer


def messages_row(row: dict[str, Any]) -> dict[str, Any]:
    """The conversation as asked, ended by the assistant's message in R1 form."""
    said = {"role": "assistant", "content": r1_form(row["think"], row["answer"])}
    return {"messages": [*row["messages"], said], **_origin(row)}


def cold_start_row(row: dict[str, Any]) -> dict[str, Any]:
    """Prompt and completion apart, think and summary once more on their own. Raises ValueError for a row without a think."""
    if not row["think"].strip():
        raise ValueError(
            f"the row of trace {row['trace_id']} has no think, which a cold start needs; select only well-formed traces"
        )
    said = {"role": "assistant", "content": r1_form(row["think"], row["answer"])}
    parts = {"think": row["think"].strip(), "summary": row["answer"].strip()}
    return {"prompt": row["messages"], "completion": [said], **parts, **_origin(row)}


def has_inner_tag(row: dict[str, Any]) -> bool:
    """Whether think or answer hold a think tag as text, which a reader that splits at tags would take for a real one."""
    text = row["think"] + row["answer"]
    return OPEN in text or CLOSE in text


def _origin(row: dict[str, Any]) -> dict[str, Any]:
    return {name: row[name] for name, _ in _ORIGIN}


_SFT_WORDS = (
    "Each row is a conversation in the column `messages`; the assistant's content holds think and answer in R1 form. A trainer that is "
    "told nothing else learns from every token of it, the question included (TRL: `assistant_only_loss=True` to learn from the answer "
    "alone, with a chat template that marks it)."
)
_COLD_WORDS = (
    "Each row has the conversation as asked in `prompt` and the assistant's message in R1 form in `completion`, so a trainer learns from "
    "the completion alone. `think` and `summary` hold its two parts once more, for templates that want them apart. Every row has a "
    "think. This is the cold start of the DeepSeek-R1 recipe: few, clean, readable examples that teach a base model the form."
)
_SFT = pa.schema([("messages", _MESSAGES), *_ORIGIN])
_COLD = pa.schema(
    [("prompt", _MESSAGES), ("completion", _MESSAGES), ("think", pa.string()), ("summary", pa.string()), *_ORIGIN]
)
FORMS = {
    form.name: form
    for form in (
        Form("sft-messages-jsonl", "jsonl", _SFT, messages_row, _SFT_WORDS),
        Form("sft-messages-parquet", "parquet", _SFT, messages_row, _SFT_WORDS),
        Form("cold-start-jsonl", "jsonl", _COLD, cold_start_row, _COLD_WORDS),
        Form("cold-start-parquet", "parquet", _COLD, cold_start_row, _COLD_WORDS),
    )
}
