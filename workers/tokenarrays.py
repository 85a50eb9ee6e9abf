"""From an engine's completion to what the token store keeps: text, character ranges, and arrays over prompt and completion."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from webapp.traces.tokenstore import TokenArrays

if TYPE_CHECKING:
    from inference import Completion, Tokenizer


@dataclass(frozen=True, slots=True, eq=False)
class Arranged:
    """A completion's text without its stop token, the ranges of all tokens in prompt + text, and the arrays to be stored."""

    text: str
    spans: list[tuple[int, int]]
    arrays: TokenArrays


def arrange(tokenizer: "Tokenizer", prompt: str, prompt_ids: list[int], completion: "Completion") -> Arranged:
    """Lay a completion out. The stop token is stored as a token of no characters: it was sampled, but it is not text."""
    stopped = completion.finish_reason == "stop"
    said = completion.token_ids[:-1] if stopped else completion.token_ids
    # PostgreSQL stores no NUL; as in imports its visible sign, one character for one, stands for it
    text = tokenizer.decode(said).replace("\x00", "\u2400")
    base = len(prompt)
    spans = tokenizer.token_spans(prompt_ids) + [(base + a, base + b) for a, b in tokenizer.token_spans(said)]
    if stopped:
        spans.append((base + len(text), base + len(text)))
    unknown = np.full(len(prompt_ids), np.nan, np.float32)
    routing = completion.routing
    arrays = TokenArrays(
        token_id=np.array([*prompt_ids, *completion.token_ids], np.int32),
        text_start=np.array([a for a, _ in spans], np.int32),
        text_end=np.array([b for _, b in spans], np.int32),
        logprob=np.concatenate((unknown, completion.logprobs)),
        entropy=np.concatenate((unknown, completion.entropies)),
        expert_ids=_with_last_row(routing.expert_ids) if routing else None,
        gate_weights=_with_last_row(routing.gate_weights) if routing else None,
    )
    return Arranged(text, spans, arrays)


def _with_last_row(rows: np.ndarray) -> np.ndarray:
    """The last token never went through the model: a row that means nothing keeps all arrays of one length."""
    return np.concatenate((rows, np.zeros((1, *rows.shape[1:]), rows.dtype)))
