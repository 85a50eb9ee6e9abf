"""Letters of words: counting one, letter by letter."""

from __future__ import annotations

import random

from .base import Draft, Entry, Family


def write_letter_counting(entry: Entry, rng: random.Random) -> Draft | None:
    """Spell every word and number each hit. Spans that hold a digit or a letter beyond a-z are left out."""
    words: list[str] = entry["metadata"]["span"]
    letter: str = entry["metadata"]["target_letter"]
    if not all(word.isascii() and word.isalpha() and len(word) <= 10 for word in words):
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
    level = 1 if len(text) <= 7 else 2 if len(text) <= 13 else 3
    return Draft(prompt, entry["answer"], "\n".join(lines), level, f"{letter} {text.lower()}")


LETTER_COUNTING = Family(
    name="letter_counting",
    title="Counting a letter",
    dataset="letter_counting",
    settings={"min_words": 1, "max_words": 3},
    write=write_letter_counting,
    metadata_keys=("span", "target_letter"),
    example_note="one to three common English words",
)
