"""Lists of numbers: sorting by repeated minimum, and filtering by comparison digit by digit."""

from __future__ import annotations

import random

from .base import Draft, Entry, Family


def write_number_sorting(entry: Entry, rng: random.Random) -> Draft:
    """Take the smallest (largest) of what is left until nothing is left, then count the result."""
    numbers = [int(float(text)) for text in entry["metadata"]["original_numbers"]]
    ascending = entry["metadata"]["direction"] == "ascending"
    pick, word = (min, "smallest") if ascending else (max, "largest")
    left, done, lines = list(numbers), [], []
    while left:
        value = pick(left)
        lines.append(f"left {' '.join(map(str, left))}: {word} {value}")
        left.remove(value)
        done.append(value)
    lines.append(f"wait, check: {len(numbers)} numbers in, {len(done)} out")
    answer = str([str(value) for value in done])
    listed = ", ".join(map(str, numbers))
    order = entry["metadata"]["direction"]
    head = rng.choice([f"Sort these numbers in {order} order: {listed}.", f"Put {listed} in {order} order."])
    level = len(numbers) - 2
    prompt = f"{head} Answer with a list such as ['1', '2']."
    return Draft(prompt, answer, "\n".join(lines), level, f"{order} {listed}")


def compare_digits(a: str, b: str) -> tuple[str, str]:
    """Words for how a compares with b (no sign, no leading zero) and the outcome: smaller, larger or equal."""
    if len(a) != len(b):
        sign = "<" if len(a) < len(b) else ">"
        return f"{len(a)}{sign}{len(b)} digits", "smaller" if sign == "<" else "larger"
    seen = []
    for x, y in zip(a, b, strict=True):
        sign = "=" if x == y else "<" if x < y else ">"
        seen.append(f"{x}{sign}{y}")
        if sign != "=":
            return ", ".join(seen), "smaller" if sign == "<" else "larger"
    return ", ".join(seen), "equal"


def write_number_filtering(entry: Entry, _: random.Random) -> Draft:
    """Compare each number with the bound, decide, then list what stayed."""
    bound: str = entry["metadata"]["filter_value"]
    verb, size = entry["metadata"]["operation"].split("_")
    wanted = {way: (way == size) == (verb == "keep") for way in ("larger", "smaller", "equal")}
    rule = ", ".join(f"{way} {'stay' if stays else 'go'}" for way, stays in wanted.items())
    kept, lines = [], [f"{verb} {size}: {rule}"]
    for text in entry["metadata"]["original_numbers"]:
        how, outcome = compare_digits(text, bound)
        lines.append(f"{text} to {bound}: {how}, {outcome} {'stay' if wanted[outcome] else 'go'}")
        kept += [text] if wanted[outcome] else []
    lines.append(f"stay: {' '.join(kept) if kept else 'none'}")
    level = len(lines) - 3
    return Draft(entry["question"], entry["answer"], "\n".join(lines), level, entry["question"])


NUMBER_SORTING = Family(
    name="number_sorting",
    title="Sorting",
    dataset="number_sorting",
    settings={
        "min_numbers": 3,
        "max_numbers": 5,
        "min_decimals": 0,
        "max_decimals": 0,
        "min_value": 1,
        "max_value": 99,
    },
    write=write_number_sorting,
    metadata_keys=("original_numbers", "direction", "sorted_numbers"),
    example_note="three to five whole numbers from 1 to 99, ascending or descending",
)
NUMBER_FILTERING = Family(
    name="number_filtering",
    title="Comparing with a bound",
    dataset="number_filtering",
    settings={
        "min_numbers": 2,
        "max_numbers": 4,
        "min_decimals": 0,
        "max_decimals": 0,
        "min_value": 1.0,
        "max_value": 400.0,
    },
    write=write_number_filtering,
    metadata_keys=("original_numbers", "filter_value", "operation", "result"),
    example_note="keep or remove the numbers of a list that are larger or smaller than a bound, whole numbers from 1 to 400",
)
