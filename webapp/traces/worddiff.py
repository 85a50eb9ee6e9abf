"""Two texts word by word: what they begin with alike, then which words only one of them has.

Common words between two changes are counted as changed when they are few, so that marks cover phrases instead of every other word.
Left out: words beyond `MOST_WORDS` after the parting, since comparing takes time that grows with the product of both lengths; they are
given back unmarked as `rest`.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from difflib import SequenceMatcher

from webapp.traces.partings import common
from webapp.traces.visible import Piece, pieces

MOST_WORDS = 2000  # of each text, after what both begin with
MOST_REST = 20_000  # characters shown behind them
ISLAND = 3  # so many common words between changes count as common
# a word with the white space behind it; a Chinese or Japanese character; a sign. White space alone where none is before it.
_WORD = re.compile(
    r"[\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff]\s*|[^\W\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff]+\s*|[^\w\s]\s*|\s+"
)


@dataclass(frozen=True, slots=True)
class Stretch:
    """Text that both have at this place, or (`only`) that one has; hidden characters as marks."""

    pieces: list[Piece]
    only: bool
    number: int = 0  # of an `only` stretch: the change that it belongs to, from 1


@dataclass(frozen=True, slots=True)
class Side:
    """One text after the common beginning. `rest` was not compared; `cut` of its characters are not shown."""

    stretches: list[Stretch] = field(default_factory=list)
    rest: list[Piece] = field(default_factory=list)
    cut: int = 0


@dataclass(frozen=True, slots=True)
class WordDiff:
    """`at`: characters that both begin with; `begin`: where the word at which they part begins, from which on the sides hold the texts.
    `changes`: places at which they differ. `equal`: they are the same to the end.
    """

    at: int
    begin: int
    left: Side
    right: Side
    changes: int
    equal: bool


def compare(left: str, right: str) -> WordDiff:
    """The words of two texts, compared."""
    at = common([left, right])
    if left == right:
        return WordDiff(at, at, Side(), Side(), 0, True)
    begin = _begin_of_word(left, right, at)
    a, b = _words(left, begin), _words(right, begin)
    sides: tuple[list[Stretch], list[Stretch]] = ([], [])
    changes = 0
    for is_same, (a_from, a_to), (b_from, b_to) in _blocks(a, b):
        changes += not is_same
        for out, words in ((sides[0], a[a_from:a_to]), (sides[1], b[b_from:b_to])):
            if words:
                out.append(Stretch(pieces("".join(words)), not is_same, 0 if is_same else changes))
    return WordDiff(at, begin, _side(sides[0], left, begin, a), _side(sides[1], right, begin, b), changes, False)


def _begin_of_word(left: str, right: str, at: int) -> int:
    """Where the word begins in which they part, so that no word is torn."""
    inside = at > 0 and any(text[at - 1 : at].isalnum() and text[at : at + 1].isalnum() for text in (left, right))
    begin = at
    while inside and begin > max(0, at - 60) and left[begin - 1].isalnum():
        begin -= 1
    return begin


def _words(text: str, begin: int) -> list[str]:
    words = []
    for match in _WORD.finditer(text, begin):
        words.append(match[0])
        if len(words) == MOST_WORDS:
            break
    return words


def _side(stretches: list[Stretch], text: str, begin: int, words: Sequence[str]) -> Side:
    end = begin + sum(map(len, words))
    return Side(stretches, pieces(text[end : end + MOST_REST]), max(0, len(text) - end - MOST_REST))


Block = tuple[bool, tuple[int, int], tuple[int, int]]


def _blocks(a: Sequence[str], b: Sequence[str]) -> list[Block]:
    """Same and changed in turn, each as its range of words in `a` and in `b`."""
    keys_a, keys_b = [word.strip() or word for word in a], [word.strip() or word for word in b]
    matches = SequenceMatcher(None, keys_a, keys_b).get_matching_blocks()
    out: list[Block] = []
    a_at = b_at = 0
    for match in matches:
        at_edge = match.a == 0 == match.b or (match.a + match.size, match.b + match.size) == (len(a), len(b))
        if match.size < ISLAND and not at_edge:
            continue
        if match.a > a_at or match.b > b_at:
            out.append((False, (a_at, match.a), (b_at, match.b)))
        if match.size:
            out.append((True, (match.a, match.a + match.size), (match.b, match.b + match.size)))
        a_at, b_at = match.a + match.size, match.b + match.size
    return out
