"""The text that segments point to."""

from collections.abc import Sequence

from workers.parsing.parse import Segment


def answer_text(segments: Sequence[Segment], reasoning: str | None, completion: str) -> str:
    """The answer of a trace, as it stands; several stretches are joined by a line break, so that no two numbers run together."""
    return _text("answer", segments, reasoning, completion)


def think_text(segments: Sequence[Segment], reasoning: str | None, completion: str) -> str:
    """The think of a trace, from the field of its own and from the completion; "" when there is none."""
    return _text("think", segments, reasoning, completion)


def _text(kind: str, segments: Sequence[Segment], reasoning: str | None, completion: str) -> str:
    fields = {"reasoning": reasoning or "", "completion": completion}
    return "\n".join(
        fields[str(s["field"])][int(str(s["start"])) : int(str(s["end"]))] for s in segments if s["kind"] == kind
    )
