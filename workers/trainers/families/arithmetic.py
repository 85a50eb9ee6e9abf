"""Sums with carries and the greatest common divisor, worked digit by digit and by Euclid's steps."""

from __future__ import annotations

import random

from .base import Draft, Entry, Family

PLACES = ("ones", "tens", "hundreds", "thousands", "ten thousands")


def add_lines(a: int, b: int) -> list[str]:
    """Column addition of two non-negative numbers, one line a place."""
    lines, carry = [f"{a}+{b}"], 0
    width = max(len(str(a)), len(str(b)))
    for place in range(width):
        x, y = a // 10**place % 10, b // 10**place % 10
        total = x + y + carry
        parts = f"{x}+{y}+1" if carry else f"{x}+{y}"
        carry = total // 10
        lines.append(f"{PLACES[place]} {parts}={total}" + (", carry" if carry else ""))
    lines.append(f"so {a}+{b}={a + b}")
    return lines


def subtract_lines(a: int, b: int) -> list[str]:
    """Column subtraction of b from a, a >= b >= 0, one line a place."""
    lines, borrow = [f"{a}-{b}"], 0
    for place in range(len(str(a))):
        x, y = a // 10**place % 10, b // 10**place % 10
        parts = f"{x}-{y}-1" if borrow else f"{x}-{y}"
        value = x - y - borrow
        borrow = int(value < 0)
        lines.append(f"{PLACES[place]} {parts}={value}" + (f", borrow, {value + 10}" if borrow else ""))
    lines.append(f"so {a}-{b}={a - b}")
    return lines


def step_lines(total: int, op: str, term: int) -> tuple[list[str], int]:
    """One step of a chain: total op term, where the total may have fallen below zero."""
    result = total + term if op == "+" else total - term
    if total >= 0 and op == "+":
        return add_lines(total, term), result
    if total >= 0 and total >= term:
        return subtract_lines(total, term), result
    if total >= 0:
        return [f"{total}-{term} is below 0", *subtract_lines(term, total), f"so {total}-{term}={result}"], result
    if op == "-":
        return [f"{total}-{term} goes further down", *add_lines(-total, term), f"so {total}-{term}={result}"], result
    high, low = max(term, -total), min(term, -total)
    return [f"{total}+{term} is {term}-{-total}", *subtract_lines(high, low), f"so {total}+{term}={result}"], result


def write_chain_sum(entry: Entry, rng: random.Random) -> Draft:
    """A sum of two or three terms, left to right."""
    expression: str = entry["metadata"]["expression"]
    first, *rest = expression.split(" ")
    total, lines = int(first), []
    for op, term in zip(rest[::2], rest[1::2], strict=True):
        steps, total = step_lines(total, op, int(term))
        lines += steps
    prompt = rng.choice([entry["question"], f"What is {expression}?", f"{expression} ="])
    terms, digits = entry["metadata"]["num_terms"], entry["metadata"]["num_digits"]
    return Draft(prompt, entry["answer"], "\n".join(lines), min(3, max(1, terms + digits - 2)), expression)


def write_gcd(entry: Entry, rng: random.Random) -> Draft:
    """Euclid: the remainder replaces the larger number until it is 0."""
    a, b = entry["metadata"]["numbers"]
    high, low = max(a, b), min(a, b)
    big, small = high, low
    lines, steps = [f"larger {big}, smaller {small}"], 0
    while small:
        times = big // small
        lines.append(f"{big} and {small}: {times}*{small}={times * small}, {big}-{times * small}={big % small}")
        big, small, steps = small, big % small, steps + 1
    lines.append(f"the remainder is 0, so the gcd is {big}")
    prompt = rng.choice([entry["question"], f"What is the greatest common divisor of {a} and {b}?"])
    return Draft(prompt, entry["answer"], "\n".join(lines), min(3, max(1, steps - 1)), f"{low} {high}")


CHAIN_SUM = Family(
    name="chain_sum",
    title="Sums and differences",
    dataset="chain_sum",
    settings={"min_terms": 2, "max_terms": 3, "min_digits": 1, "max_digits": 2},
    write=write_chain_sum,
    metadata_keys=("expression", "num_terms", "num_digits"),
    example_note="two or three whole numbers of up to two digits, with + and -",
    weight=1.4,
)
GCD = Family(
    name="gcd",
    title="Greatest common divisor",
    dataset="gcd",
    settings={"min_numbers": 2, "max_numbers": 2, "min_value": 2, "max_value": 60},
    write=write_gcd,
    metadata_keys=("numbers", "result"),
    example_note="two whole numbers from 2 to 60",
    weight=1.2,
)
