"""What a reader cannot see, made visible: control, bidirectional and zero-width characters as named marks. The raw view also
marks tabs, spaces at the end of a line, spaces other than the common one, and what is written like a special token.

Left out: anything that changes the text. A mark carries the character's code, so the text can be read back exactly.
The browser's twin for token spans is static/js/viewer/visible.js; a test holds both to the same cases.
"""

import re
import unicodedata
from dataclasses import dataclass

# C0 except tab and line feed, DEL, C1, soft hyphen, Arabic letter mark, Mongolian vowel separator, zero width, direction marks,
# line and paragraph separator, embeddings and overrides, invisible operators, isolates, BOM, interlinear marks, tag characters
_HIDDEN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\xad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\U000e0000-\U000e007f]"
)
_JOINERS = "\u200c\u200d"
# for the raw view: all of the above (joiners that do honest work too), tab, odd spaces, the sign that an import puts in the place of
# NUL; white space before a line's end; special tokens: bars within angle brackets, plain or full-width
_RAW = re.compile(
    f"(?P<trail>(?<![ \\t])[ \\t]++(?=\\r?\\n|\\Z))|{_HIDDEN.pattern}|[\\t\xa0\u1680\u2000-\u200a\u202f\u205f\u3000\u2400]"
    r"|(?P<special><[|｜][^|｜<>\s]{1,64}[|｜]>)"
)
_SHORT = {"\r": "CR", "\x1b": "ESC", "\x00": "NUL", "\x07": "BEL", "\x08": "BS", "\x7f": "DEL", "\xad": "SHY", "\u200b": "ZWSP",
          "\u200c": "ZWNJ", "\u200d": "ZWJ", "\u200e": "LRM", "\u200f": "RLM", "\u202a": "LRE", "\u202b": "RLE", "\u202c": "PDF",
          "\u202d": "LRO", "\u202e": "RLO", "\u2066": "LRI", "\u2067": "RLI", "\u2068": "FSI", "\u2069": "PDI", "\ufeff": "BOM",
          "\u2060": "WJ", "\u2028": "LS", "\u2029": "PS",
          "\t": "→", " ": "·", "\xa0": "NBSP", "\u202f": "NNBSP", "\u3000": "IDSP", "\u2400": "NUL?"}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Piece:
    """A stretch of text as it is (`code` is empty), or one hidden character: `text` its short name, `code` its hex number.
    `is_special`: the stretch is written like a special token.
    """

    text: str
    code: str = ""
    name: str = ""
    is_special: bool = False


def pieces(text: str) -> list[Piece]:
    """Cut `text` where a hidden character stands."""
    out: list[Piece] = []
    position = 0
    for match in _HIDDEN.finditer(text):
        start = match.start()
        char = match.group()
        if char in _JOINERS and _joins(text, start):
            continue
        if start > position:
            out.append(Piece(text[position:start]))
        out.append(_mark(char))
        position = match.end()
    if position < len(text):
        out.append(Piece(text[position:]))
    return out


def raw_pieces(text: str) -> list[Piece]:
    """Cut `text` for the raw view: every invisible character is a mark, what is written like a special token is told apart."""
    out: list[Piece] = []
    position = 0
    for match in _RAW.finditer(text):
        if match.start() > position:
            out.append(Piece(text[position : match.start()]))
        if match.group("special"):
            out.append(Piece(match.group(), is_special=True))
        else:
            out += map(_mark, match.group())
        position = match.end()
    if position < len(text):
        out.append(Piece(text[position:]))
    return out


def _mark(char: str) -> Piece:
    code = f"{ord(char):04X}"
    return Piece(_SHORT.get(char, code), code, unicodedata.name(char, f"control character U+{code}"))


def _joins(text: str, at: int) -> bool:
    """Whether a joiner does honest work: between two characters beyond Latin (Persian, Hindi, emoji sequences)."""
    return 0 < at < len(text) - 1 and text[at - 1] > "\u0300" and text[at + 1] > "\u0300"
