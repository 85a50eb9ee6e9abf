"""Letters of words: counting one, letter by letter."""

from __future__ import annotations

import random

from .base import Draft, Entry, Family


def write_letter_counting(entry: Entry, rng: random.Random) -> Draft | None:
    """Read every word letter by letter and number each hit.

    The prompt spells the words with spaces, so that letters are tokens: a model of this size did not learn the spelling of
    many-letter tokens in the time it has. Spans that hold a digit or a letter beyond a-z are left out.
    """
    words: list[str] = entry["metadata"]["span"]
    letter: str = entry["metadata"]["target_letter"]
    if not all(word.isascii() and word.isalpha() and len(word) <= 8 for word in words):
        return None
    count, lines = 0, []
    for word in words:
        spelled = []
        for char in word.lower():
            count += char == letter
            spelled.append(f" {char}={count}" if char == letter else f" {char}")
        lines.append("".join(spelled).lstrip())
    lines.append(f"total {count}")
    text = " / ".join(" ".join(word.lower()) for word in words)
    question = entry["question"].partition(" in the text: ")[0]
    prompt = rng.choice([f'{question} in the spelled text: "{text}"?', f'How many "{letter}" are in "{text}"?'])
    letters = sum(map(len, words))
    level = 1 if letters <= 5 else 2 if letters <= 9 else 3
    return Draft(prompt, entry["answer"], "\n".join(lines), level, f"{letter} {' '.join(words).lower()}")


LETTER_COUNTING = Family(
    name="letter_counting",
    title="Counting a letter",
    dataset="letter_counting",
    settings={"min_words": 1, "max_words": 2},
    write=write_letter_counting,
    metadata_keys=("span", "target_letter"),
    example_note='one or two common English words, spelled with a space between letters and " / " between words',
)
