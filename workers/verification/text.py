"""Finding the final answer in an answer's text, and the form in which two texts are compared.

Reads the answer only: the caller has left the think out. Left out: mathematics (mathematics.py, child.py).
"""

import re

MAX_STATED = 200  # characters after "answer is" that may be an answer
MAX_STATED_WORDS = 4  # without a figure among them

_ANSWER_TAG = re.compile(r"<(answer|final_answer)>", re.IGNORECASE)
_BOXED = re.compile(r"\\(?:boxed|fbox)\s*\{")
_BETWEEN_BOXES = re.compile(
    r"(?:[\s$,;.&]|\\quad|\\qquad|\\text\s*\{[^{}]{0,20}\}|\\\\|\\\[|\\\]|\\\(|\\\)|and|or)*(?:[a-z]{1,15}\s+and\s+)?"
)
_SAID = re.compile(r"(?:final\s+answer|answer)\s*(?:is|:)|####", re.IGNORECASE)
_SENTENCE_END = re.compile(r"\.(?=\s+[A-Z<]|\s*$)|\n")
# Full-width forms of ASCII (U+FF01..U+FF5E). Not NFKC: that would turn 2² into 22.
_FULL_WIDTH = {0xFF01 + i: 0x21 + i for i in range(94)} | {0x2212: 0x2D}  # and the minus sign
_WRAPPERS = re.compile(r"\\(?:text|textbf|textit|textrm|mathrm|mathbf|mathit|mbox|boxed|operatorname)\s*\{([^{}]*)\}")
_NOISE = re.compile(r"\\(?:left|right|displaystyle|limits|quad|qquad|[,!;:> ])(?![a-zA-Z])|\$|\\[\[\]()]|~")


def final_part(answer: str) -> str:
    """The text inside the last `<answer>` (or `<final_answer>`) tag, closed or not; the whole text where there is none."""
    tags = list(_ANSWER_TAG.finditer(answer))
    if not tags:
        return answer.strip()
    inside = answer[tags[-1].end() :]
    end = inside.lower().find(f"</{tags[-1].group(1).lower()}>")
    return (inside if end < 0 else inside[:end]).strip()


def last_boxes(text: str) -> list[str]:
    r"""Contents of the last group of `\boxed{…}`: boxes with nothing but commas, "and" and the like between them.

    A last box that is never closed reaches to the end of its line.
    """
    boxes: list[tuple[int, int, str]] = []  # start, end, content
    position = 0
    while match := _BOXED.search(text, position):
        end = _closing_brace(text, match.end())
        content = text[match.end() : end] if end is not None else text[match.end() :].split("\n", 1)[0]
        position = end + 1 if end is not None else len(text)
        boxes.append((match.start(), position, content.strip().rstrip("$").strip() if end is None else content.strip()))
    group = boxes[-1:]
    for box in reversed(boxes[:-1]):
        if not _BETWEEN_BOXES.fullmatch(text[box[1] : group[0][0]]):
            break
        group.insert(0, box)
    return [content for _, _, content in group]


def has_closed_box(text: str) -> bool:
    r"""Whether a `\boxed{…}` was written to its end."""
    return any(_closing_brace(text, match.end()) is not None for match in _BOXED.finditer(text))


def _closing_brace(text: str, start: int) -> int | None:
    depth = 1
    for i in range(start, len(text)):
        if text[i] == "{" and text[i - 1] != "\\":
            depth += 1
        elif text[i] == "}" and text[i - 1] != "\\":
            depth -= 1
            if depth == 0:
                return i
    return None


def stated(text: str) -> str | None:
    """What follows the last `####`, "answer is" or "Answer:" in its sentence, when that is after the last box and short."""
    said = list(_SAID.finditer(text))
    if not said or _BOXED.search(text, said[-1].end()):
        return None
    rest = text[said[-1].end() :].lstrip(" \t:*")
    end = _SENTENCE_END.search(rest)
    found = (rest[: end.start()] if end else rest).strip().strip("*").strip()
    has_figures = re.search(r"\d|\\", found) is not None
    if not found or len(found) > MAX_STATED or (not has_figures and _BOXED.search(text)):  # "so our answer is correct"
        return None
    return found if has_figures or len(found.split()) <= MAX_STATED_WORDS else None


def half_width(text: str) -> str:
    """Full-width ASCII, as Chinese and Japanese text has it, and the minus sign made plain."""
    return text.translate(_FULL_WIDTH)


def unwrapped(text: str) -> str:
    r"""The text without `\text{…}` and its like around parts of it."""
    for _ in range(3):  # they nest, but not deeply
        text = _WRAPPERS.sub(r"\1", text)
    return text


def normal(text: str) -> str:
    """The form in which two answers are the same text: layout commands, maths delimiters, spaces and a full stop taken away."""
    text = unwrapped(half_width(text).strip())
    text = re.sub(r"\\[dt]frac(?![a-zA-Z])", r"\\frac", text)
    text = re.sub(r"\\(?:mathrm|text)\s+", "", text)
    text = _NOISE.sub("", text)
    text = re.sub(r"\s+", "", text).removesuffix(".")
    return re.sub(r"\^\{(\w)\}", r"^\1", text)
