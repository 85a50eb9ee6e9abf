"""The face of the package: names, refusals, and one check of each verifier through it."""

import pytest

from workers import verification
from workers.verification import VERIFIERS, Outcome, check, version


def test_names_are_those_that_a_problem_may_have():
    from webapp.problems.models import Verifier

    assert set(Verifier.values) - {"none"} == set(VERIFIERS) - {"format"}


@pytest.mark.parametrize("verifier", VERIFIERS)
def test_every_verifier_answers_with_an_outcome_and_has_a_version(verifier):
    args = {"dataset": "gcd", "metadata": {}} if verifier == "reasoning_gym" else {}
    outcome = check(verifier, args, "3", "3")
    assert isinstance(outcome, Outcome)
    assert outcome.value in ("correct", "wrong", "undecidable")
    assert version(verifier)


def test_an_unknown_verifier_is_refused():
    with pytest.raises(ValueError, match="no verifier 'magic'; known: math"):
        check("magic", {}, "3", "3")


def test_a_missing_gold_answer_is_refused():
    with pytest.raises(ValueError, match="needs a gold answer"):
        check("math", {}, None, "3")


def test_the_package_speaks_to_no_database():
    import subprocess
    import sys

    code = (
        "import workers.verification, sys; sys.exit(any(m == 'django' or m.startswith('sympy') for m in sys.modules))"
    )
    root = verification.__path__[0].rsplit("/workers/", 1)[0]
    assert subprocess.run([sys.executable, "-c", code], cwd=root, check=False).returncode == 0
