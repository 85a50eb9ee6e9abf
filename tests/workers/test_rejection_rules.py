"""The rules alone, on facts made up for each case."""

import pytest

from webapp.curation import recipes
from workers.rejection_rules import Decision, Facts, Measured, apply_measured, apply_plain


def fact(trace_id, problem="p", **changes):
    plain = {
        "trace_id": trace_id, "run_id": 1, "problem_key": problem, "sample_index": trace_id, "verdict": "correct", "label": "", "finish_reason": "stop",
        "completion_tokens": 10, "think_chars": 20, "answer_chars": 5, "mean_logprob": -0.5,
    }  # fmt: skip
    return Facts(**{**plain, **changes})


def decide(facts, measured=None, **document):
    recipe, decision = recipes.parse({"version": 1, **document}), Decision()
    left = apply_plain(facts, recipe, decision)
    texts = {f.trace_id: Measured(None, None, str(f.trace_id)) for f in facts} | (measured or {})
    apply_measured(left, texts, recipe, decision)
    return decision


SIZES = [
    fact(1, completion_tokens=30, think_chars=90, mean_logprob=-0.5),
    fact(2, completion_tokens=20, think_chars=80, mean_logprob=-0.1),
    fact(3, completion_tokens=40, think_chars=10, mean_logprob=None),
]


@pytest.mark.parametrize(("prefer", "order"), [("shortest", [2, 1, 3]), ("longest", [3, 1, 2]), ("logprob", [2, 1, 3])])
@pytest.mark.parametrize("k", [1, 2, 3])
def test_k_best_by_preference(prefer, order, k):
    assert sorted(decide(SIZES, k_per_problem=k, prefer=prefer).kept) == sorted(order[:k])


def test_without_token_counts_length_is_in_characters():
    facts = [*SIZES, fact(4, completion_tokens=None, think_chars=50)]
    assert decide(facts, k_per_problem=1, prefer="shortest").kept == [3]


def test_random_depends_on_the_seed_and_on_nothing_else_that_is_there():
    facts = [fact(i, problem=f"p{i // 8}") for i in range(80)]
    drawn = decide(facts, k_per_problem=2, prefer="random", seed=1).kept
    assert decide(list(reversed(facts)), k_per_problem=2, prefer="random", seed=1).kept == drawn
    assert decide(facts, k_per_problem=2, prefer="random", seed=2).kept != drawn
    assert decide(facts[:40], k_per_problem=2, prefer="random", seed=1).kept == [t for t in drawn if t < 40]


def test_in_total_every_problem_comes_before_a_second_of_any():
    facts = [fact(i, problem=f"p{i % 3}") for i in range(12)]
    kept = decide(facts, max_total=5).kept
    per_problem = [sum(i % 3 == p for i in kept) for p in range(3)]
    assert sorted(per_problem) == [1, 2, 2]


@pytest.mark.parametrize(
    ("rule", "bounds", "value", "reason"),
    [
        ("completion_tokens", {"min": 11}, 10, "too short"),
        ("completion_tokens", {"max": 9}, 10, "too long"),
        ("completion_tokens", {"min": 10, "max": 10}, 10, None),
        ("completion_tokens", {"max": 9}, None, "unknown"),
        ("think_chars", {"max": 19}, 20, "too long"),
        ("answer_chars", {"min": 6}, 5, "too short"),
        ("answer_chars", {"min": 5, "max": None}, 5, None),
    ],
)
def test_bounds_include_their_ends(rule, bounds, value, reason):
    decision = decide([fact(1, **{rule: value})], **{rule: bounds})
    step = next(s for s in decision.funnel if s["step"] == rule)
    assert step["reasons"] == ({reason: 1} if reason else {})


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"finish_reason": "length"}, "truncated"),
        ({"finish_reason": "cancelled"}, "truncated"),
        ({"finish_reason": ""}, None),
        ({"has_question": False}, "no_question"),
        ({"findings": frozenset({"unclosed_think"})}, "unclosed_think"),
        ({"findings": frozenset({"no_think", "empty_answer"})}, "no_think"),
        ({"findings": frozenset({"prefilled_think", "tag_variant", "separate_field", "no_opening_tag"})}, None),
    ],
)
def test_what_is_well_formed(changes, reason):
    decision = decide([fact(1, **changes)])
    assert next(s for s in decision.funnel if s["step"] == "well_formed")["reasons"] == ({reason: 1} if reason else {})


@pytest.mark.parametrize(
    ("labels", "kept"),
    [
        ({"refuse": ["reject"]}, [1, 2, 4]),
        ({"require": ["keep"]}, [2]),
        ({"require": ["keep", "unsure"], "refuse": []}, [2, 4]),
        ({}, [1, 2, 3, 4]),
    ],
)
def test_labels(labels, kept):
    facts = [fact(1), fact(2, label="keep"), fact(3, label="reject"), fact(4, label="unsure")]
    assert decide(facts, labels=labels).kept == kept


def test_findings_are_refused_beyond_well_formed():
    facts = [fact(1, findings=frozenset({"separate_field"})), fact(2)]
    assert decide(facts, findings_refused=["separate_field"]).kept == [2]


def test_measures_refuse_and_unknown_ones_pass():
    measured = {
        1: Measured(0.9, None, "a"),
        2: Measured(0.1, 0.5, "b"),
        3: Measured(0.1, None, "c"),
        4: Measured(0.0, 1.0, "c"),
    }
    decision = decide([fact(i) for i in measured], measured, no_repetition={"max_share": 0.5}, languages=["en"])
    rules = {trace_id: rule for trace_id, (_fate, rule, _detail) in decision.fates.items()}
    assert rules == {1: "no_repetition", 2: "languages", 3: "kept", 4: "distinct"}
    assert decision.fates[4][2] == "the same text as trace 3"


def test_the_first_rule_that_fails_decides():
    decision = decide([fact(1, label="reject", verdict="wrong", finish_reason="length")])
    assert decision.fates[1] == ("rejected", "labels", "its label: reject")


def test_no_candidates_make_a_funnel_of_zeros():
    funnel = decide([]).funnel
    assert {(s["problems"], s["traces"], s["rejected"]) for s in funnel} == {(0, 0, 0)}
