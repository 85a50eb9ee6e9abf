"""How much of a text says again what it said before."""

import re

# A word, or one character of a script that writes without spaces, or a sign.
_UNIT = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff]|[^\W\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff]+|[^\w\s]")


def repeated_share(text: str, words: int) -> float:
    """The share (0..1) of the text's runs of `words` units that occurred before in it; 0 for a text with fewer units.

    A unit is a word, a sign, or a Chinese or Japanese character, so that the measure is alike in all scripts.
    """
    units = _UNIT.findall(text)
    runs = len(units) - words + 1
    if runs <= 1:
        return 0.0
    seen = {tuple(units[i : i + words]) for i in range(runs)}
    return 1 - len(seen) / runs
