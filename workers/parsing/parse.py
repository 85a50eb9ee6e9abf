"""`parse`: one trace in, its segments and findings out."""

from collections import Counter
from dataclasses import dataclass, replace

from workers.parsing.split import ANSWER, OTHER, THINK, Span, Splitter
from workers.parsing.tags import Role, Tag, find_tags, opened_at_end

Segment = dict[str, object]
MAX_OF_A_KIND = 50  # findings; a degenerate text could hold a hundred thousand


@dataclass(frozen=True, slots=True)
class Found:
    """What is not well-formed: `kind` is a value of webapp.traces.models.FindingKind, `start` and `end` count characters of `field`."""

    kind: str
    field: str
    start: int
    end: int
    note: str = ""


@dataclass(frozen=True, slots=True)
class Parsed:
    """`segments` cover each field without gap or overlap, in the order prompt, reasoning, completion."""

    segments: list[Segment]
    findings: list[Found]


def parse(prompt: str, reasoning: str | None, completion: str, finish_reason: str) -> Parsed:
    """Split a trace into segments and name what is odd about it.

    `reasoning` is the think that its source kept in a field of its own, None where there is no such field; `finish_reason` is
    "stop", "length", "cancelled" or "". Takes time linear in the text's length and never raises on any text.
    """
    prefill = opened_at_end(prompt)
    findings: list[Found] = []
    segments = [_segment("prompt", "prompt", 0, len(prompt))] if prompt else []
    if prefill:
        findings.append(Found("prefilled_think", "prompt", prefill.start, prefill.end, prefill.text))
    if reasoning is not None:
        findings.append(Found("separate_field", "reasoning", 0, len(reasoning)))
        if not reasoning.strip():
            findings.append(Found("empty_think", "reasoning", 0, len(reasoning)))
        segments += [_segment(s.kind, "reasoning", s.start, s.end) for s in _edge_tags(reasoning)]

    tags = find_tags(completion)
    splitter = Splitter(
        completion, tags, opened=prefill if reasoning is None else None, had_think=reasoning is not None
    )
    splitter.run()
    segments += [_segment(s.kind, "completion", s.start, s.end) for s in splitter.spans]
    findings += [Found(kind, "completion", start, end, note) for kind, start, end, note in splitter.findings]
    findings += _whole_text(splitter, completion, finish_reason)
    return Parsed(segments, _bounded(findings))


def _bounded(findings: list[Found]) -> list[Found]:
    """The first findings of each kind; the last one kept says how many more there are."""
    counts = Counter(found.kind for found in findings)
    seen: Counter[str] = Counter()
    kept = []
    for found in findings:
        seen[found.kind] += 1
        more = counts[found.kind] - MAX_OF_A_KIND
        if seen[found.kind] < MAX_OF_A_KIND or more <= 0:
            kept.append(found)
        elif seen[found.kind] == MAX_OF_A_KIND:
            kept.append(replace(found, note=f"{found.note} (and {more:,} more)"))
    return kept


def _whole_text(splitter: Splitter, completion: str, finish_reason: str) -> list[Found]:
    """Findings about the completion as a whole, known only at its end."""
    found = []
    end = len(completion)
    variant = _variant(splitter)
    if variant:
        found.append(Found("tag_variant", "completion", variant.start, variant.end, variant.text))
    if not splitter.think_count:
        found.append(Found("no_think", "completion", 0, end))
    if not any(span.kind == ANSWER for span in splitter.spans):
        found.append(Found("empty_answer", "completion", end, end))
    if finish_reason == "length":
        found.append(Found("truncated", "completion", end, end, "the token limit was reached"))
    return found


def _variant(splitter: Splitter) -> Tag | None:
    """The first tag that is not DeepSeek-R1's; answer tags beside a think are R1-Zero's own form and count only where no think is."""
    thinks = [tag for tag in splitter.tags if tag.role in (Role.OPEN_THINK, Role.CLOSE_THINK)]
    candidates = thinks if thinks or splitter.think_count else splitter.tags
    return next((tag for tag in candidates if tag.is_variant), None)


def _edge_tags(reasoning: str) -> list[Span]:
    """A field of its own is think throughout; think tags that a server left at its edges are `other`."""
    tags = find_tags(reasoning)
    start, end = 0, len(reasoning)
    if tags and tags[0].role is Role.OPEN_THINK and not reasoning[: tags[0].start].strip():
        start = tags[0].end
    if tags and tags[-1].role is Role.CLOSE_THINK and not reasoning[tags[-1].end :].strip():
        end = tags[-1].start
    spans = [Span(OTHER, 0, start), Span(THINK, start, end), Span(OTHER, end, len(reasoning))]
    return [span for span in spans if span.end > span.start]


def _segment(kind: str, field: str, start: int, end: int) -> Segment:
    return {"kind": kind, "field": field, "start": start, "end": end, "token_start": None, "token_end": None}
