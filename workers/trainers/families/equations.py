"""Linear equations in one unknown, solved step by step and checked by putting the value back."""

from __future__ import annotations

import random
import re

from .base import Draft, Entry, Family


def read_equation(equation: str, variable: str) -> tuple[int, int, int]:
    """(coefficient, constant, right side) of `7*x + 5 = 26` in any order of its terms."""
    left, right = equation.split(" = ")
    coefficient = constant = 0
    for sign, term in re.findall(r"(^|[+-] )(-?\S+)", left):
        factor = -1 if sign == "- " else 1
        if term.endswith(variable):
            digits = term.removesuffix(variable).removesuffix("*")
            coefficient += factor * int({"": "1", "-": "-1"}.get(digits, digits))
        else:
            constant += factor * int(term)
    return coefficient, constant, int(right)


def solve_lines(a: int, b: int, c: int, v: str) -> list[str]:
    """Steps that solve a*v + b = c with a != 0, written so that every division is by a positive number."""
    if a < 0:  # b - |a|*v = c: the unknown's part is what lies between b and c
        a, right = -a, b - c
        moved = f"{b}-{c}" if c >= 0 else f"{b}+{-c}"
        name = v if a == 1 else f"{a}*{v}"
        lines = [f"{name}={moved}={right}"]
    else:
        right, name = c - b, v if a == 1 else f"{a}*{v}"
        lines = [f"{name}={c}-{b}={right}"] if b > 0 else [f"{name}={c}+{-b}={right}"] if b < 0 else []
    if a != 1:
        lines.append(f"{v}={right}/{a}={right // a}")
    return lines


def write_simple_equations(entry: Entry, _: random.Random) -> Draft:
    """Isolate the unknown, divide, and check by substitution."""
    variable: str = entry["metadata"]["variable"]
    a, b, c = read_equation(entry["metadata"]["equation"], variable)
    value = int(entry["answer"])
    lines = [entry["metadata"]["equation"], *solve_lines(a, b, c, variable)]
    part = abs(a) * value
    checks = [f"{abs(a)}*{value}={part}"] if abs(a) != 1 else []
    checks += [f"{b}-{part}={c}"] if a < 0 else [f"{part}+{b}={c}"] if b > 0 else [f"{part}-{-b}={c}"] if b < 0 else []
    lines.append(f"wait, check: {', '.join(checks) or f'{value} is alone'}, right")
    level = 1 if abs(a) == 1 or b == 0 else 2 if part < 30 else 3
    return Draft(entry["question"], entry["answer"], "\n".join(lines), level, f"{a} {b} {c}")


SIMPLE_EQUATIONS = Family(
    name="simple_equations",
    title="Equations in one unknown",
    dataset="simple_equations",
    settings={"min_terms": 2, "max_terms": 2, "min_value": 1, "max_value": 9, "operators_weights": [0.46, 0.46, 0.08]},
    write=write_simple_equations,
    metadata_keys=("equation", "variable"),
    example_note="a*x + b = c with whole numbers up to 9 for a, b and x",
)
