"""What a reader cannot see, made visible: control, bidirectional and zero-width characters as named marks.

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
_SHORT = {"\r": "CR", "\x1b": "ESC", "\x00": "NUL", "\x07": "BEL", "\x08": "BS", "\x7f": "DEL", "\xad": "SHY", "\u200b": "ZWSP",
          "\u200c": "ZWNJ", "\u200d": "ZWJ", "\u200e": "LRM", "\u200f": "RLM", "\u202a": "LRE", "\u202b": "RLE", "\u202c": "PDF",
          "\u202d": "LRO", "\u202e": "RLO", "\u2066": "LRI", "\u2067": "RLI", "\u2068": "FSI", "\u2069": "PDI", "\ufeff": "BOM",
          "\u2060": "WJ", "\u2028": "LS", "\u2029": "PS"}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Piece:
    """A stretch of text as it is (`code` is empty), or one hidden character: `text` its short name, `code` its hex number."""

    text: str
    code: str = ""
    name: str = ""


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
        code = f"{ord(char):04X}"
        out.append(Piece(_SHORT.get(char, code), code, unicodedata.name(char, f"control character U+{code}")))
        position = match.end()
    if position < len(text):
        out.append(Piece(text[position:]))
    return out


def _joins(text: str, at: int) -> bool:
    """Whether a joiner does honest work: between two characters beyond Latin (Persian, Hindi, emoji sequences)."""
    return 0 < at < len(text) - 1 and text[at - 1] > "\u0300" and text[at + 1] > "\u0300"
