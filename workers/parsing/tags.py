"""The tags that models put around think and answer, and where they stand in a text. Linear in the text's length.

Tags inside a closed code fence or an inline code span are quotations and are left out. A fence that is never closed hides nothing:
models leave fences open far more often than they quote a closing tag. Where one is left open, the fences after it may be paired out of
step, so a closing tag that has a line to itself counts then.
"""

import re
from bisect import bisect_right
from dataclasses import dataclass
from enum import Enum


class Role(Enum):
    OPEN_THINK = "open think"
    CLOSE_THINK = "close think"
    OPEN_ANSWER = "open answer"
    CLOSE_ANSWER = "close answer"


@dataclass(frozen=True, slots=True)
class Tag:
    """One tag: its role, its family (a think closes with a tag of the family that opened it) and where it stands."""

    role: Role
    family: str
    start: int
    end: int
    text: str

    @property
    def is_variant(self) -> bool:
        """Whether it is spelled other than DeepSeek-R1's `<think>` and `</think>`."""
        return self.text not in {"<think>", "</think>"}


THINK_NAMES = ("think", "thinking", "thought", "thoughts", "reasoning")
# Full-width brackets come from models that write Chinese punctuation; ◁think▷ is Kimi's, [THINK] Mistral's, the bars OpenThoughts'.
_TAG = re.compile(
    rf"[<＜◁](?P<slash>/?)(?P<name>{'|'.join(THINK_NAMES)}|answer)[>＞▷]"
    r"|<\|(?P<edge>begin|end)_of_(?P<part>thought|solution)\|>",
    re.IGNORECASE,
)
_SQUARE = re.compile(r"\[(?P<slash>/?)THINK\]")  # in capitals only: [think] is prose
_FENCE = re.compile(r"^[ \t]{0,3}(?P<mark>`{3,}|~{3,})(?P<info>[^\n`]*)$", re.MULTILINE)
_BLANK_REST = re.compile(r"[ \t]*(?:\n|\Z)")
_INLINE = re.compile(r"(?<!`)(?P<mark>`{1,2})(?!`)[^`\n]+(?P=mark)(?!`)")


def find_tags(text: str) -> list[Tag]:
    """Return the tags of `text` in order, without those that code quotes."""
    found = [_from_match(m) for m in _TAG.finditer(text)] + [_from_square(m) for m in _SQUARE.finditer(text)]
    if not found:
        return []
    found.sort(key=lambda tag: tag.start)
    code, in_step = _code_spans(text)
    starts = [start for start, _ in code]
    return [
        tag for tag in found if not _covered(tag, code, starts) or (not in_step and _ends_think_on_own_line(tag, text))
    ]


def opened_at_end(prompt: str) -> Tag | None:
    """Return the opening think tag that `prompt` ends with (white space may follow), as templates that prefill write it."""
    tail = prompt[-200:]
    tags = find_tags(tail)
    if not tags or tags[-1].role is not Role.OPEN_THINK or tail[tags[-1].end :].strip():
        return None
    last, shift = tags[-1], len(prompt) - len(tail)
    return Tag(last.role, last.family, last.start + shift, last.end + shift, last.text)


def _from_match(match: re.Match[str]) -> Tag:
    if match["edge"]:
        closes = match["edge"].lower() == "end"
        is_answer = match["part"].lower() == "solution"
        family = "begin_of_thought"
    else:
        closes = bool(match["slash"])
        family = match["name"].lower()
        is_answer = family == "answer"
    if is_answer:
        role = Role.CLOSE_ANSWER if closes else Role.OPEN_ANSWER
    else:
        role = Role.CLOSE_THINK if closes else Role.OPEN_THINK
    return Tag(role, family, match.start(), match.end(), match.group())


def _from_square(match: re.Match[str]) -> Tag:
    role = Role.CLOSE_THINK if match["slash"] else Role.OPEN_THINK
    return Tag(role, "[think]", match.start(), match.end(), match.group())


def _code_spans(text: str) -> tuple[list[tuple[int, int]], bool]:
    """Ranges of closed fences and, outside of them, of inline code, ascending and disjoint; and whether every fence was closed."""
    spans: list[tuple[int, int]] = []
    opened: re.Match[str] | None = None
    in_step = True
    for fence in _FENCE.finditer(text):
        if opened is not None and _closes(fence, opened):
            spans.append((opened.start(), fence.end()))
            opened = None
        elif opened is None or fence["info"].strip():  # a fence with a language opens, also where one was left open
            in_step = in_step and opened is None
            opened = fence
    in_step = in_step and opened is None
    fence_starts = [start for start, _ in spans]
    fences = list(spans)
    for inline in _INLINE.finditer(text):
        index = bisect_right(fence_starts, inline.start()) - 1
        if index < 0 or inline.start() >= fences[index][1]:
            spans.append(inline.span())
    return sorted(spans), in_step


def _closes(fence: re.Match[str], opened: re.Match[str]) -> bool:
    return (
        not fence["info"].strip()
        and fence["mark"][0] == opened["mark"][0]
        and len(fence["mark"]) >= len(opened["mark"])
    )


def _ends_think_on_own_line(tag: Tag, text: str) -> bool:
    if tag.role is not Role.CLOSE_THINK:
        return False
    return text[tag.start - 1 : tag.start] in {"", "\n"} and bool(_BLANK_REST.match(text, tag.end))


def _covered(tag: Tag, code: list[tuple[int, int]], starts: list[int]) -> bool:
    index = bisect_right(starts, tag.start) - 1
    return index >= 0 and tag.end <= code[index][1]
