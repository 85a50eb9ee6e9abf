"""Verifiers: is an answer what the gold answer says? Each gives correct, wrong or undecidable, and why.

A plain library: no rows, no Celery. The caller passes the answer without the think. Left out: programs (no sandbox here),
and the rule for a trace that never came to an answer, which is the stage's (workers/verify.py).
"""

from collections.abc import Callable, Mapping
from importlib.metadata import version as package_version
from typing import Any

from workers.verification.form import check_format
from workers.verification.gym import check_gym
from workers.verification.mathematics import check_math
from workers.verification.outcome import Outcome
from workers.verification.plain import check_exact, check_numeric

__all__ = ["VERIFIERS", "Outcome", "check", "version"]

_Check = Callable[[Mapping[str, Any], str, str], Outcome]
# Raise a number when the same answer could get another verdict: traces are then judged again, the old verdicts stay.
VERIFIERS: dict[str, tuple[str, str, _Check]] = {  # name: own version, package that decides with it, function
    "math": ("2", "math-verify", check_math),
    "exact": ("1", "", check_exact),
    "numeric": ("1", "", check_numeric),
    "reasoning_gym": ("2", "reasoning-gym", check_gym),
    "format": ("1", "", lambda args, _gold, completion: check_format(args, completion)),
}


def check(verifier: str, args: Mapping[str, Any], gold: str | None, answer: str) -> Outcome:
    """Judge an answer (for `format`: a whole completion). Raises ValueError for an unknown verifier or a missing gold answer."""
    if verifier not in VERIFIERS:
        raise ValueError(f"there is no verifier {verifier!r}; known: {', '.join(VERIFIERS)}")
    if gold is None and verifier != "format" and not (verifier == "reasoning_gym" and args.get("entry")):
        raise ValueError(f"verifier {verifier!r} needs a gold answer")
    return VERIFIERS[verifier][2](args, gold or "", answer)


def version(verifier: str) -> str:
    """The version that a verdict carries: our own, and that of the package which decides with it."""
    own, package, _ = VERIFIERS[verifier]
    return f"{own}+{package}-{package_version(package)}" if package else own
