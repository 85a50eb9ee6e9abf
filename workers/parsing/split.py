"""The state machine: reads the tags of one text from left to right and says which stretch is think, answer or other.

Its rules, each met in real traces:
- The first think tag decides the family. Tags of another family are text, unless the family has no closing tag at all.
- Answer tags inside a think are text (models quote their instructions), unless the think never closes and an answer block ends the text.
- A closing tag that nothing opened makes a think of all before it, once; later ones are stray.
- An opening tag inside a think counts as a level only while enough closing tags follow.
- The answer is what follows the last think; inside answer tags where there are any.
"""

from dataclasses import dataclass, field

from workers.parsing.tags import Role, Tag

THINK, ANSWER, OTHER = "think", "answer", "other"
_GAP, _TAG = "gap", "tag"  # until the end is known


@dataclass(slots=True)
class Span:
    kind: str
    start: int
    end: int
    tag: Tag | None = None


@dataclass(slots=True)
class Splitter:
    """Splits one text. `opened` is the tag that stands open before it; `had_think` says that a think was elsewhere already."""

    text: str
    tags: list[Tag]
    opened: Tag | None = None
    had_think: bool = False
    spans: list[Span] = field(default_factory=list)
    findings: list[tuple[str, int, int, str]] = field(default_factory=list)
    _depth: int = 0
    _blocks: int = 0
    _cursor: int = 0
    _block_start: int = 0
    _opener: Tag | None = None
    _closes_left: list[int] = field(default_factory=list)  # i -> closing tags of the family after tag i

    def run(self) -> None:
        """Fill `spans` (covering the text once, in order) and `findings` (kind, start, end, note)."""
        self._choose_family()
        self._blocks = int(self.had_think or self.opened is not None)
        self._depth = int(self.opened is not None)
        for index, tag in enumerate(self.tags):
            if tag.role is Role.OPEN_THINK:
                self._on_open(index, tag)
            elif tag.role is Role.CLOSE_THINK:
                self._on_close(tag)
            elif not self._depth:
                self._cut(_GAP, tag)
        self._end()
        self._name_gaps()

    def _choose_family(self) -> None:
        """Keep the think tags that count: those of the first one's family, or all closing ones when it has none."""
        thinks = [tag for tag in self.tags if tag.role in (Role.OPEN_THINK, Role.CLOSE_THINK)]
        first = self.opened or (thinks[0] if thinks else None)
        family = first.family if first else ""
        lone = not any(tag.role is Role.CLOSE_THINK and tag.family == family for tag in thinks)
        answers = (Role.OPEN_ANSWER, Role.CLOSE_ANSWER)
        self.tags = [
            tag
            for tag in self.tags
            if tag.role in answers or tag.family == family or (lone and tag.role is Role.CLOSE_THINK)
        ]
        left = 0
        for tag in reversed(self.tags):
            self._closes_left.append(left)
            left += tag.role is Role.CLOSE_THINK
        self._closes_left.reverse()

    def _on_open(self, index: int, tag: Tag) -> None:
        if self._depth:
            self._note("nested_think", tag)
            self._cut(THINK, tag)
            self._depth += self._closes_left[index] > self._depth
            return
        if self._blocks:
            self._note("repeated_think", tag)
        elif self.text[: tag.start].strip():
            self.findings.append(("text_before_think", 0, tag.start, ""))
        self._cut(_GAP, tag)
        self._depth, self._opener, self._block_start = 1, tag, tag.end
        self._blocks += 1

    def _on_close(self, tag: Tag) -> None:
        if self._depth:
            self._cut(THINK, tag)
            self._depth -= 1
            if not self._depth:
                self._check_think(tag)
        elif not self._blocks:
            self._note("no_opening_tag", tag)
            self.spans, self._cursor = [], 0  # answer tags before it were part of the think
            self._cut(THINK, tag)
            self._blocks = 1
            self._check_think(tag)
        else:
            self._note("stray_closing_tag", tag)
            self._cut(_GAP, tag)

    def _end(self) -> None:
        if self._depth:
            opener = self._opener
            place = (opener.start, opener.end) if opener else (0, 0)
            self.findings.append(("unclosed_think", *place, ""))
            final = self._final_answer()
            think_end = final[0].start if final else len(self.text)
            if not self.text[self._block_start : think_end].strip():
                self.findings.append(("empty_think", self._block_start, think_end, ""))
            for tag in final:
                self._cut(THINK if self._depth else _GAP, tag)
                self._depth = 0
        self._add(THINK if self._depth else _GAP, self._cursor, len(self.text))

    def _final_answer(self) -> list[Tag]:
        """The answer block that ends a text whose think was never closed: its two tags, or nothing."""
        pair = self.tags[-2:]
        if [tag.role for tag in pair] != [Role.OPEN_ANSWER, Role.CLOSE_ANSWER] or pair[0].start < self._cursor:
            return []
        return [] if self.text[pair[1].end :].strip() else pair

    def _name_gaps(self) -> None:
        last_think = max((i for i, span in enumerate(self.spans) if span.kind == THINK), default=-1)
        after = self.spans[last_think + 1 :]
        tagged = any(span.tag and span.tag.role is Role.OPEN_ANSWER for span in after)
        inside = not tagged
        for span in self.spans[: last_think + 1]:
            span.kind = THINK if span.kind == THINK else OTHER
        for span in after:
            if span.tag and span.tag.role is Role.OPEN_ANSWER:
                inside = True
            elif span.tag and span.tag.role is Role.CLOSE_ANSWER:
                if not inside or not tagged:
                    self._note("stray_closing_tag", span.tag)
                inside = not tagged
            is_answer = span.kind == _GAP and inside and self.text[span.start : span.end].strip()
            span.kind = ANSWER if is_answer else OTHER

    def _check_think(self, tag: Tag) -> None:
        if not self.text[self._block_start : tag.start].strip():
            self.findings.append(("empty_think", self._block_start, tag.start, ""))

    def _cut(self, kind: str, tag: Tag) -> None:
        self._add(kind, self._cursor, tag.start)
        self.spans.append(Span(_TAG, tag.start, tag.end, tag))
        self._cursor = tag.end

    def _add(self, kind: str, start: int, end: int) -> None:
        if end > start:
            self.spans.append(Span(kind, start, end))

    def _note(self, kind: str, tag: Tag) -> None:
        self.findings.append((kind, tag.start, tag.end, tag.text))

    @property
    def think_count(self) -> int:
        """How many thinks there are, those before the text included."""
        return self._blocks
