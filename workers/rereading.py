"""A stored trace as tokens of an engine, with the characters that each covers: what a replay feeds.

Prompt and completion are encoded each by itself, as a generation does, so that no token lies over the border. Where the source kept the think in a
field of its own, it goes between the tags that DeepSeek's template writes; tokens of those have no characters of their own. Left out: a chat template
that the source does not tell; its prompt is read as its text.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from django.utils.translation import gettext as _

from webapp.traces.models import RunKind, Trace
from webapp.traces.tokenstore import TokenArrays

if TYPE_CHECKING:
    from inference import Tokenizer

OPENING, CLOSING = "<think>\n", "\n</think>\n\n"
NUL_SIGN = "\u2400"  # stands in a stored text for NUL


@dataclass(slots=True)
class Reread:
    """Token ids of a text, their ranges in prompt + reasoning + completion joined, how many are the prompt's, whether they are those that were stored."""

    token_ids: list[int]
    spans: list[tuple[int, int]]
    asked: int
    stored: bool = False

    def add(self, tokenizer: "Tokenizer", text: str, base: int, *, covers: bool = True) -> None:
        """Append the tokens of `text`, which begins at character `base`. Raises ValueError for a text that the tokenizer does not give back."""
        ids = tokenizer.encode(text)
        if tokenizer.decode(ids) != text:
            raise ValueError(_("the engine's tokenizer changes the text, so its tokens have no place in it"))
        self.token_ids += ids
        self.spans += [(base + a, base + b) if covers else (base, base) for a, b in tokenizer.token_spans(ids)]


def reread(trace: Trace, tokenizer: "Tokenizer", stored: TokenArrays | None) -> Reread:
    """The tokens of `trace`: those that are `stored` where they are of this tokenizer, else its text encoded. Raises ValueError as `Reread.add` does,
    and for a trace without text.
    """
    known = _stored(trace, tokenizer, stored) if stored is not None else None
    if known is not None:
        return known
    out = Reread([], [], 0)
    at = len(trace.prompt)
    out.add(tokenizer, trace.prompt, 0)
    out.asked = len(out.token_ids)
    if trace.reasoning is not None:
        if not trace.prompt.rstrip().endswith(OPENING.strip()):
            out.add(tokenizer, OPENING, at, covers=False)
        out.add(tokenizer, trace.reasoning, at)
        at += len(trace.reasoning)
        out.add(tokenizer, CLOSING, at, covers=False)
    out.add(tokenizer, trace.completion, at)
    if not out.token_ids:
        raise ValueError(_("the trace has no text"))
    return out


def _stored(trace: Trace, tokenizer: "Tokenizer", stored: TokenArrays) -> Reread | None:
    """The stored tokens, if this tokenizer makes of them the very text and ranges that are stored; else None."""
    if trace.reasoning is not None:
        return None
    ids, base = stored.token_id.tolist(), len(trace.prompt)
    asked = int(np.searchsorted(stored.text_start, base, side="left"))
    whole = base + len(trace.completion)
    ended = len(ids) > asked and int(stored.text_start[-1]) == whole  # a stop token: sampled, but no text
    said = ids[asked : len(ids) - ended]
    if tokenizer.decode(ids[:asked]) != trace.prompt:
        return None
    if tokenizer.decode(said).replace("\x00", NUL_SIGN) != trace.completion:
        return None
    spans = tokenizer.token_spans(ids[:asked]) + [(base + a, base + b) for a, b in tokenizer.token_spans(said)]
    if ended:
        spans.append((whole, whole))
    there = np.stack((stored.text_start, stored.text_end), axis=1)
    return Reread(ids, spans, asked, stored=True) if np.array_equal(there, np.array(spans, np.int32)) else None


def notes(trace: Trace, text: Reread) -> dict[str, object]:
    """What a replay's provenance says of how the text was read."""
    if text.stored:
        return {"replayed_tokens": "as they are stored"}
    exact = trace.run.kind == RunKind.GENERATE
    prompt = (
        "as the model saw it"
        if exact
        else "as its text; the chat template of the model that wrote the trace is unknown"
    )
    said: dict[str, object] = {"replayed_tokens": "of the engine's tokenizer", "replayed_prompt": prompt}
    if trace.reasoning is not None:
        said["replayed_think"] = "a field of its own, put between <think> and </think>"
    return said
