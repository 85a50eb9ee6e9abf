"""reasoning-gym's scorers on real entries, and texts that a scorer would run as a program."""

import json
import warnings

import pytest

from workers.verification import check
from workers.verification.gym import is_algebra


@pytest.fixture(scope="module")
def entry():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import reasoning_gym

        made = {
            name: reasoning_gym.create_dataset(name, size=1, seed=5)[0]
            for name in ("number_sorting", "gcd", "countdown", "spiral_matrix", "n_queens")
        }
    return {name: json.loads(json.dumps(value)) for name, value in made.items()}


def gym(name, entry, answer):
    return check("reasoning_gym", {"dataset": name, "metadata": entry["metadata"]}, entry["answer"], answer)


@pytest.mark.parametrize("name", ["number_sorting", "gcd", "countdown", "spiral_matrix"])
def test_the_gold_answer_is_correct(entry, name):
    outcome = gym(name, entry[name], f"So: <answer>{entry[name]['answer']}</answer>")
    assert (outcome.value, outcome.score, outcome.method) == ("correct", 1.0, "score")
    assert outcome.extracted == entry[name]["answer"]


def test_a_score_between_is_wrong_and_kept(entry):
    outcome = gym("spiral_matrix", entry["spiral_matrix"], "9 9 9")
    assert outcome.value == "wrong"
    assert 0 <= outcome.score < 1
    assert outcome.message.startswith("score ")


def test_a_stored_entry_is_used_as_it_is(entry):
    outcome = check("reasoning_gym", {"dataset": "gcd", "entry": entry["gcd"]}, None, entry["gcd"]["answer"])
    assert outcome.value == "correct"


@pytest.mark.parametrize(
    "args",
    [
        {},
        {"dataset": "no_such_dataset", "metadata": {}},
        {"dataset": "gcd", "entry": ["x"]},
    ],
)
def test_a_scorer_that_fails_is_undecidable(args):
    outcome = check("reasoning_gym", args, "3", "1+2")
    assert (outcome.value, outcome.score) == ("undecidable", None)
    assert outcome.message


PROGRAM = "__import__('pathlib').Path('{path}').write_text('x') and ['1']"


@pytest.mark.parametrize("name", ["spiral_matrix", "n_queens", "countdown", "number_sorting"])
def test_an_answer_is_never_run(entry, name, tmp_path):
    """These scorers call eval (or SymPy's, which is eval) on the answer; number_sorting does so on the gold answer."""
    target = tmp_path / "ran"
    program = PROGRAM.format(path=target)
    assert gym(name, entry[name], program).value in ("wrong", "undecidable")
    assert (
        check("reasoning_gym", {"dataset": name, "metadata": entry[name]["metadata"]}, program, "['1']").value
        != "correct"
    )
    assert not target.exists()


@pytest.mark.parametrize(("piece", "expected"), [
    ("3*x**2 + sin(x) + C", True), ("(7-3)*25", True), ("x.__class__", False), ("open(1)", False), ("x.y", False),
    ("[1]", False), ("'a'", False), ("9**9**9", False), ("9**(99999)", False), ("lambda: 1", False),
])  # fmt: skip
def test_what_counts_as_algebra(piece, expected):
    assert is_algebra(piece) is expected


@pytest.mark.parametrize("name", ["number_sorting", "gcd"])
def test_the_bundled_models_own_form_is_read(entry, name):
    outcome = gym(name, entry[name], f"The answer is \\boxed{{{entry[name]['answer']}}}.")
    assert (outcome.value, outcome.extracted) == ("correct", entry[name]["answer"])
