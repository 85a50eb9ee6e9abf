"""The process in which SymPy and reasoning-gym run: it may hang, grow or die, and the pool kills it (pool.py).

Started as a script in isolated mode with an empty environment; it imports nothing of ours. One JSON request a line on
standard input, one JSON reply a line. It ends when its input does, and by its own alarm should the parent be gone.
Left out: any decision. It reports what the libraries said; mathematics.py and gym.py decide.
"""

import ast
import json
import os
import re
import resource
import signal
import sys
import warnings
from collections.abc import Callable
from functools import lru_cache
from typing import Any

MEMORY = 3 * 1024**3  # bytes of address space; what needs more is killed and undecidable


def confine() -> None:
    """Limit memory, forbid files and core dumps."""
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))


def compare(gold: list[str], answer: list[str]) -> dict[str, Any]:
    """Parse each way of writing gold and answer until one can be read, and ask Math-Verify whether they are the same."""
    from math_verify import verify  # noqa: PLC0415  a second, and the gym needs none of it

    golds, answers = read_first(gold), read_first(answer)
    reply: dict[str, Any] = {"gold": shown(golds), "answer": shown(answers), "equal": False, "error": ""}
    for g in golds:
        for a in answers:
            try:
                reply["equal"] = bool(
                    verify(g, a, allow_set_relation_comp=True, timeout_seconds=None, raise_on_error=True)
                )
            except Exception as error:  # noqa: BLE001  whatever a symbolic library raises is "could not tell"
                reply["error"] = f"{type(error).__name__}: {error}"[:300]
            if reply["equal"]:
                return {**reply, **facts(g, a)}
    return {**reply, **(facts(golds[0], answers[0]) if golds and answers else {})}


def read_first(ways: list[str]) -> list[Any]:
    """What Math-Verify reads in the first of `ways` that holds mathematics."""
    from math_verify import parse  # noqa: PLC0415

    for way in ways:
        found: list[Any] = parse(way, parsing_timeout=None)
        if any(not isinstance(item, str) for item in found):
            return found
    return parse(ways[0], parsing_timeout=None) if ways else []


def shown(items: list[Any]) -> str:
    """The last reading as text; Math-Verify puts the text it read after the expression."""
    texts = [item for item in items if isinstance(item, str)]
    return (texts or [str(item) for item in items] or [""])[-1][:2000]


def facts(gold: Any, answer: Any) -> dict[str, Any]:
    """The relative difference of two numbers at 30 digits, whether one of them is written as a decimal, and whether the
    answer is an equation between numbers that does not hold.
    """
    result: dict[str, Any] = {
        "relative": None,
        "rounded": has_decimal(gold) or has_decimal(answer),
        "false_equation": False,
    }
    numbers = [value(item) for item in (gold, answer)]
    if numbers[0] is not None and numbers[1] is not None:
        size = max(abs(numbers[0]), abs(numbers[1]))
        result["relative"] = float(abs(numbers[0] - numbers[1]) / size) if size else 0.0
    if getattr(answer, "is_Equality", False) and not answer.free_symbols:
        left, right = value(answer.lhs), value(answer.rhs)
        result["false_equation"] = left is not None and right is not None and left != right
    return result


def has_decimal(item: Any) -> bool:
    """Whether a decimal stands in the expression."""
    from sympy import Float  # noqa: PLC0415

    return bool(item.has(Float)) if hasattr(item, "has") else False


def value(item: Any) -> Any:
    """A number at 30 significant digits; None for what is not a finite number."""
    if not getattr(item, "is_number", False):
        return None
    try:
        number = item.evalf(30, maxn=400)
    except Exception:  # noqa: BLE001
        return None
    return number if number.is_number and number.is_finite else None


def score(dataset: str, entry: dict[str, Any], answer: str) -> dict[str, Any]:
    """What a reasoning-gym dataset's own scorer gives the answer; `error` where it fails or there is no such dataset."""
    try:
        return {"score": float(scorer(dataset).score_answer(answer, entry)), "error": ""}
    except Exception as error:  # noqa: BLE001  the scorer's failure is the reply
        return {"score": None, "error": f"{type(error).__name__}: {error}"[:300]}


@lru_cache(maxsize=128)
def scorer(dataset: str) -> Any:
    """The dataset whose scorer is asked; making it generates nothing."""
    import reasoning_gym  # noqa: PLC0415

    made = reasoning_gym.create_dataset(dataset, size=1, seed=0)
    defuse()
    return made


_ARITHMETIC = re.compile(r"[0-9a-fA-Fx()+\-*<>&|^~ ]{1,400}")


def defuse() -> None:
    """Some scorers call eval on the answer; in their modules the name now stands for something that reads literals only."""

    def harmless(text: Any, *_: Any) -> Any:
        if isinstance(text, str) and _ARITHMETIC.fullmatch(text) and "**" not in text:
            return eval(text, {"__builtins__": {}})  # noqa: S307  digits and operators only, see above
        return ast.literal_eval(text)

    for name, module in list(sys.modules.items()):
        if name.startswith("reasoning_gym."):
            module.__dict__["eval"] = harmless


def warm(kind: str) -> dict[str, Any]:
    """Do the imports that requests of this kind need, so that the first one's time is its own."""
    if kind == "score":
        import reasoning_gym  # noqa: F401, PLC0415
    else:
        compare(["$1$"], ["$1$"])
    return {}


_KINDS: dict[str, Callable[..., dict[str, Any]]] = {"compare": compare, "score": score, "warm": warm}


def serve() -> None:
    """Answer requests until the input ends."""
    replies = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # what a library prints must not look like a reply
    for line in sys.stdin:
        request = json.loads(line)
        signal.setitimer(signal.ITIMER_REAL, request["seconds"])  # the default action ends this process
        try:
            reply = _KINDS[request["kind"]](**request["with"])
        except (RecursionError, MemoryError) as error:
            reply = {"error": f"{type(error).__name__}"}
        signal.setitimer(signal.ITIMER_REAL, 0)
        replies.write(json.dumps(reply) + "\n")
        replies.flush()


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    confine()
    sys.set_int_max_str_digits(10_000)
    serve()
