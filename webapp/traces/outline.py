"""The outline of a text that a model thought aloud: paragraphs, numbered steps, turning words, answers proposed.

    outline = outline_of(text)
    outline.paragraphs   # [Paragraph(start, end, label, marks)], in order; every mark lies in one of them
    outline.counts       # {"turn": 14, "step": 6, "answer": 2}

Found by how English and Chinese thinks are written, with no model and no dictionary: a turning word counts where a sentence
begins ("Wait, ..."), not inside one ("the trains wait"). Places are characters of `text`. Takes time linear in its length.
Left out: what the words mean, other languages, and headings of Markdown beyond numbered ones.
"""

import re
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

from webapp.traces.visible import pieces

LABEL_CHARS = 56  # letters wide
LONG_PARAGRAPH = 1500  # characters; a longer one is cut at line ends, so that a link lands near what it names
KINDS = ("turn", "step", "answer")

_BLANK = re.compile(r"\n[^\S\n]*\n\s*")
_BEGIN = re.compile(r"(?:\A|[.!?…:;。！？；：\n，,])[\s*_\"'“”‘’(\[（【>#—~-]*")
_LEAD = r"(?:(?:but|oh|ah|no|so|and|ok|okay|well|hm+|uh|yes)[,.…]*[ \t]+){0,2}"
_ENGLISH = re.compile(
    _LEAD
    + r"""(?:
    wait | hold\ on | hm+ | alternatively | however | actually | oops | nevertheless | on\ the\ other\ hand
    | on\ second\ thoughts? | in\ fact | but\ what\ if | what\ if
    | (?:let\ me|let['’]s|i\ should|i\ need\ to|i['’]ll|maybe\ i\ should)\ (?:just\ |also\ |now\ |quickly\ )?
      (?:double[-\ ]?check|check|verify|re-?check|reconsider|rethink|re-?think|think\ again|re-?examine|re-?evaluate|re-?calculate
      |re-?read|confirm|test\ this|try\ again|try\ another|try\ a\ different|start\ over|start\ again|step\ back|backtrack|look\ again)
    | (?:another|a\ different|an\ alternative)\ (?:way|approach|idea|thought|method|possibility)
    | (?:that|this)(?:\ is|['’]s|\ does|\ can|\ seems)?\ ?(?:n['’]t|not)?\ ?(?:be\ |seem\ |look\ )?(?:not\ right|right\?|wrong|incorrect|impossible)
    | i\ (?:made|think\ i\ made|might\ have\ made)\ (?:a|an)\ (?:mistake|error) | my\ mistake
    )\b""",
    re.IGNORECASE | re.VERBOSE,
)
_CHINESE = re.compile(
    r"等等(?=[，,。.！!？?…\s、:：]|$)|等一下|稍等|且慢|不对(?![称应比齐])|但是|不过|然而|可是|或者|其实|实际上|嗯|哦"
    r"|换[个一]?[个种]?(?:思路|角度|方法|方式|办法)|(?:让我|我们?|来)?(?:再|重新)(?:想想|想一想|检查|考虑|思考|审视|计算|验证|看看|算一?[遍次下])"
    r"|让我们?(?:再|重新)?(?:检查|验证|确认|核对)|另一种(?:思路|方法|可能|方式)|(?:我|是不是)?(?:哪里|搞|弄|算)错了|仔细(?:想想|检查)"
)
_CLAUSE = frozenset({"但是", "不过", "然而", "可是", "不对", "其实", "实际上"})  # count after a comma too
_STEP = re.compile(
    r"""^[^\S\n]{0,6}(?:\#{1,6}[^\S\n]*|[-*+][^\S\n]+)?(?:\*\*|__)?(?:
    step[^\S\n]*\#?\d{1,3}\b | \d{1,3}[.)][^\S\n]+(?=\S) | \d{1,3}[.)](?=\*\*) | [(（]\d{1,2}[)）] | \d{1,3}[、．]
    | (?:first|second|third|fourth|fifth|last|final)(?:ly)?, | 第[一二三四五六七八九十\d]{1,3}步 | 步骤[^\S\n]*[一二三四五六七八九十\d]{1,3}
    | [一二三四五六七八九十]{1,3}、 | [①②③④⑤⑥⑦⑧⑨⑩] | 首先 | 其次 | 接下来 | 最后
    )""",
    re.IGNORECASE | re.VERBOSE | re.MULTILINE,
)
_ANSWERS = [
    re.compile(r"\\boxed\s?\{(?:[^{}\n]|\{(?:[^{}\n]|\{[^{}\n]*\})*\}){1,400}\}"),
    re.compile(
        r"answer(?:[ \t]+(?:is|should[ \t]+be|must[ \t]+be|would[ \t]+be|will[ \t]+be)\b|\*{0,2}[ \t]?[:：]\*{0,2})[ \t:]*[^\s:][^\n]{0,60}",
        re.IGNORECASE,
    ),
    re.compile(r"答案\*{0,2}(?:就?是|应该?是|应?为|[:：])\*{0,2}[^\S\n]*[^\s*][^\n]{0,40}"),
    re.compile(r"^#{4}[ \t]+[-+$\d][^\n]{0,60}", re.MULTILINE),
]
_DECORATION = re.compile(r"^[\s#>*_~-]+|\*\*|__|`{3,}")


@dataclass(frozen=True, slots=True)
class Mark:
    """One place worth jumping to; `kind` is one of KINDS."""

    kind: str
    start: int
    end: int
    label: str


@dataclass(frozen=True, slots=True)
class Paragraph:
    """A stretch between blank lines. `label`: its first words."""

    start: int
    end: int
    label: str
    marks: list[Mark] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Outline:
    """Paragraphs in order, and how many marks of each kind there are (those of none left out)."""

    paragraphs: list[Paragraph]
    counts: dict[str, int]


def outline_of(text: str) -> Outline:
    """Outline `text`. Never raises on any text; an empty one has no paragraphs."""
    paragraphs = [Paragraph(start, end, label_of(text[start:end])) for start, end in _paragraphs(text)]
    starts = [paragraph.start for paragraph in paragraphs]
    marks = sorted(
        (*_turns(text), *_steps(text), *_answers(text)), key=lambda mark: (mark.start, KINDS.index(mark.kind))
    )
    for mark in marks:
        paragraphs[max(bisect_right(starts, mark.start) - 1, 0)].marks.append(mark)
    counts = Counter(mark.kind for mark in marks)
    return Outline(paragraphs, {kind: counts[kind] for kind in KINDS if counts[kind]})


def label_of(text: str) -> str:
    """The first words of `text` on one line, cut at a word; hidden characters by name, so that a label is what it seems."""
    head = " ".join(_DECORATION.sub("", text[: LABEL_CHARS * 4].lstrip()).split())
    shown = "".join(f"[{piece.text}]" if piece.code else piece.text for piece in pieces(head))
    width = most = 0
    for most, char in enumerate(shown):  # noqa: B007  # how far it went is what is asked
        width += 1 + (char > "\u2e80")  # a Chinese character is as wide as two letters
        if width > LABEL_CHARS:
            break
    else:
        return shown or "…"
    cut = shown[:most]
    space = cut.rfind(" ", most // 2)
    return f"{cut[:space] if space > 0 else cut} …"


def _paragraphs(text: str) -> Iterator[tuple[int, int]]:
    """[start, end) of every paragraph, without the white space around it."""
    position = 0
    for match in _BLANK.finditer(text):
        yield from _cut(text, position, match.start())
        position = match.end()
    yield from _cut(text, position, len(text))


def _cut(text: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    while start < end and text[start].isspace():
        start += 1
    while end > start and text[end - 1].isspace():
        end -= 1
    while end - start > LONG_PARAGRAPH:
        line = text.find("\n", start + LONG_PARAGRAPH // 2, end)
        if line < 0:
            break
        yield start, line
        start = line + 1
    if end > start:
        yield start, end


def _turns(text: str) -> Iterator[Mark]:
    """Turning words where a sentence begins, some of the Chinese ones also where a clause does."""
    last = -1
    for begin in _BEGIN.finditer(text):
        at = begin.end()
        is_clause = begin.group()[:1] in {"，", ","} and "\n" not in begin.group()
        if at <= last or (is_clause and begin.start() == last):  # "但是，不对" is one turn
            continue
        found = _CHINESE.match(text, at) or (None if is_clause else _ENGLISH.match(text, at))
        if found and not (is_clause and found.group() not in _CLAUSE):
            last = found.end()
            yield _mark("turn", text, at, last)


def _steps(text: str) -> Iterator[Mark]:
    for match in _STEP.finditer(text):
        start = match.start() + len(match.group()) - len(match.group().lstrip())
        yield _mark("step", text, start, match.end())


def _answers(text: str) -> Iterator[Mark]:
    """Answers in words and in boxes; a box within the words is no second answer."""
    found = sorted(match.span() for pattern in _ANSWERS for match in pattern.finditer(text))
    last = 0
    for start, end in found:
        if start >= last:
            yield Mark("answer", start, end, label_of(text[start:end]))
            last = end


def _mark(kind: str, text: str, start: int, end: int) -> Mark:
    line = text.find("\n", end, start + LABEL_CHARS * 4)
    return Mark(kind, start, end, label_of(text[start : line if line > 0 else start + LABEL_CHARS * 4]))
