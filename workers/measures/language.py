"""The share of a text's words in given languages, code and mathematics left out (the R1 reports' language consistency).

First by script, which tells Chinese within English word by word; then, for words in a script that the languages share with
others, by a detector over stretches of text. Left out: words of one letter, which are variables as often as words.
"""

import re
import unicodedata
from functools import lru_cache
from typing import Any

MIN_WORDS = 12  # fewer say nothing about a language
STRETCH = 60  # words that are looked at together
SURE = 0.9  # of the detector's confidence; real prose reaches it in a dozen words, rows of labels and figures do not
# What a stretch may be mistaken for; the languages asked for are added. All 75 would cost memory and tell no more.
COMMON = ("ar", "de", "en", "es", "fr", "hi", "id", "it", "ja", "ko", "nl", "pl", "pt", "ru", "sv", "tr", "vi", "zh")
SCRIPTS = {  # languages that are not written in Latin letters, by the first word of their letters' Unicode names
    **dict.fromkeys(("be", "bg", "kk", "mk", "mn", "ru", "sr", "uk"), ("CYRILLIC",)),
    **dict.fromkeys(("ar", "fa", "ur"), ("ARABIC",)),
    **dict.fromkeys(("hi", "mr"), ("DEVANAGARI",)),
    "bn": ("BENGALI",), "el": ("GREEK",), "gu": ("GUJARATI",), "he": ("HEBREW",), "hy": ("ARMENIAN",), "ja": ("CJK", "HIRAGANA", "KATAKANA"),
    "ka": ("GEORGIAN",), "ko": ("HANGUL", "CJK"), "pa": ("GURMUKHI",), "ta": ("TAMIL",), "te": ("TELUGU",), "th": ("THAI",), "zh": ("CJK",),
}  # fmt: skip

_NOT_PROSE = re.compile(
    r"```.*?(?:```|$)|`[^`\n]*`|\$\$.*?\$\$|\$[^$\n]*\$|\\\(.*?\\\)|\\\[.*?\\\]|\\begin\{(\w+\*?)\}.*?\\end\{\1\}|\\[A-Za-z]+|<[^<>\n]{1,40}>",
    re.DOTALL,
)
_WORD = re.compile(
    r"[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af\uf900-\ufaff]|[^\W\d_\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af\uf900-\ufaff]{2,}"
)


def language_share(text: str, languages: tuple[str, ...]) -> float | None:
    """The share (0..1) of the words of `text` in `languages` (ISO 639-1); None where too few words say anything.

    A Chinese, Japanese or Korean character counts as a word. What the detector is not sure about counts as in the languages.
    """
    words = _WORD.findall(_NOT_PROSE.sub(" ", text))
    if len(words) < MIN_WORDS:
        return None
    scripts = {script for code in languages for script in SCRIPTS.get(code, ("LATIN",))}
    native = [word for word in words if _script(word[0]) in scripts]
    foreign = len(words) - len(native)
    for start in range(0, len(native), STRETCH):
        stretch = native[start : start + STRETCH]
        if len(stretch) >= MIN_WORDS and _is_foreign(stretch, languages):
            foreign += len(stretch)
    return 1 - foreign / len(words)


def _is_foreign(stretch: list[str], languages: tuple[str, ...]) -> bool:
    joined = "".join(stretch) if len(stretch[0]) == 1 else " ".join(stretch)
    best = _detector(languages).compute_language_confidence_values(joined)[0]
    return bool(best.value >= SURE) and best.language.iso_code_639_1.name.lower() not in languages


@lru_cache(maxsize=65536)
def _script(letter: str) -> str:
    name = unicodedata.name(letter, "").split(" ", 1)[0]
    return {"FULLWIDTH": "LATIN", "HALFWIDTH": "KATAKANA", "IDEOGRAPHIC": "CJK"}.get(name, name)


@lru_cache(maxsize=4)
def _detector(languages: tuple[str, ...]) -> Any:
    from lingua import Language, LanguageDetectorBuilder  # noqa: PLC0415  only selections by language need its models

    codes = {*COMMON, *languages}
    known = [language for language in Language.all() if language.iso_code_639_1.name.lower() in codes]
    # low accuracy: as good on stretches of this length (the same 32 of 525 real traces below 0.9), with 40 instead of 330 MB
    return LanguageDetectorBuilder.from_languages(*known).with_low_accuracy_mode().build()
