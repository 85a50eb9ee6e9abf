"""Letters of words: counting one letter by letter, and spelling a word backward."""

from __future__ import annotations

import random

from .base import Draft, Entry, Family


def write_letter_counting(entry: Entry, rng: random.Random) -> Draft | None:
    """Spell every word and number each hit. Spans that hold a digit or a letter beyond a-z are left out."""
    words: list[str] = entry["metadata"]["span"]
    letter: str = entry["metadata"]["target_letter"]
    if not all(word.isascii() and word.isalpha() and len(word) <= 12 for word in words):
        return None
    count, lines = 0, []
    for word in words:
        spelled = []
        for char in word.lower():
            count += char == letter
            spelled.append(f" {char}={count}" if char == letter else f" {char}")
        lines.append(f"{word}:{''.join(spelled)}")
    lines.append(f"total {count}")
    text = " ".join(words)
    prompt = rng.choice([entry["question"], f'How many "{letter}" are in "{text}"?'])
    level = 1 if len(text) <= 12 else 2 if len(text) <= 20 else 3
    return Draft(prompt, entry["answer"], "\n".join(lines), level, f"{letter} {text.lower()}")


def write_spell_backward(entry: Entry, rng: random.Random) -> Draft | None:
    """Spell the word, read it from the back, then put it together."""
    word: str = entry["metadata"]["word"]
    if not (word.isascii() and word.isalpha() and word.islower()):
        return None
    lines = [f"{word}: {' '.join(word)}", f"backward: {' '.join(word[::-1])}"]
    prompt = rng.choice([entry["question"], f"Spell {word} backward."])
    level = 1 if len(word) <= 4 else 2 if len(word) <= 5 else 3
    return Draft(prompt, entry["answer"], "\n".join(lines), level, word)


LETTER_COUNTING = Family(
    name="letter_counting",
    title="Counting a letter",
    dataset="letter_counting",
    settings={"min_words": 1, "max_words": 4},
    write=write_letter_counting,
    metadata_keys=("span", "target_letter"),
    example_note="one to four common English words",
)
SPELL_BACKWARD = Family(
    name="spell_backward",
    title="Spelling backward",
    dataset="spell_backward",
    settings={"min_word_len": 3, "max_word_len": 7},
    write=write_spell_backward,
    metadata_keys=("word", "word_len"),
    example_note="one English word of three to seven letters, lower case",
)
