"""Rejection sampling without rows: which of the candidates a recipe keeps, which rule decided each, and the funnel.

Rules are applied in the order of recipes.RULES; the first that a candidate fails decides. Left out: where candidates come
from and where their fate goes (rejection.py), how a text is measured (measures).
"""

import hashlib
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from webapp.curation.models import Fate
from webapp.curation.recipes import Bounds, Recipe
from webapp.traces.models import FindingKind, FinishReason

# What a well-formed trace has none of. A think opened by the prompt, one whose opening tag was not kept, other tags and a think
# in a field of its own are told apart from the answer as well; an export writes them in R1 form.
MALFORMED = (
    FindingKind.TRUNCATED, FindingKind.UNCLOSED_THINK, FindingKind.NO_THINK, FindingKind.EMPTY_THINK, FindingKind.EMPTY_ANSWER,
    FindingKind.NESTED_THINK, FindingKind.REPEATED_THINK, FindingKind.STRAY_CLOSING_TAG, FindingKind.TEXT_BEFORE_THINK,
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known of a candidate without reading its text. Lengths in characters and tokens, mean_logprob in nats a token."""

    trace_id: int
    run_id: int
    problem_key: str
    sample_index: int
    verdict: str
    label: str
    finish_reason: str
    completion_tokens: int | None
    think_chars: int
    answer_chars: int
    mean_logprob: float | None
    has_question: bool = True
    findings: frozenset[str] = frozenset()

    @property
    def order(self) -> tuple[int, int, int]:
        return self.run_id, self.sample_index, self.trace_id


@dataclass(frozen=True, slots=True)
class Measured:
    """What reading the text gave: shares 0..1 (None: not measured, or too few words to say), a digest of think and answer."""

    repeated: float | None
    in_languages: float | None
    digest: str


class Refusal(NamedTuple):
    """Why a rule turns a candidate away: `reason` is counted in the funnel, `detail` has the figures."""

    reason: str
    detail: str


@dataclass(slots=True)
class Decision:
    """The fate of every candidate, in the end: trace id -> (fate, rule, detail); the funnel; the kept traces, best first."""

    fates: dict[int, tuple[str, str, str]] = field(default_factory=dict)
    funnel: list[dict[str, Any]] = field(default_factory=list)
    kept: list[int] = field(default_factory=list)


def apply_plain(facts: Iterable[Facts], recipe: Recipe, decision: Decision) -> list[Facts]:
    """Apply the rules that need no text; returns what is left. `decision` gets the fates and the first steps of the funnel."""
    left = sorted(facts, key=lambda f: (f.problem_key, *f.order))
    _step(decision, "candidates", left, {})
    for rule, refuses in _plain_rules(recipe):
        left = _sift(decision, rule, left, refuses)
    return left


def apply_measured(left: list[Facts], measured: Mapping[int, Measured], recipe: Recipe, decision: Decision) -> None:
    """Apply the rules that need the text, then those that choose among what is left; completes `decision`."""
    if recipe.no_repetition:
        left = _sift(decision, "no_repetition", left, lambda f: _repetition(measured[f.trace_id], recipe))
    if recipe.languages:
        left = _sift(decision, "languages", left, lambda f: _language(measured[f.trace_id], recipe))
    if recipe.distinct:
        first: dict[tuple[str, str], int] = {}
        for f in left:
            first.setdefault((f.problem_key, measured[f.trace_id].digest), f.trace_id)
        left = _sift(
            decision, "distinct", left, lambda f: _repeat(f, first[f.problem_key, measured[f.trace_id].digest])
        )
    ranks = _ranks(left, recipe)
    if recipe.k_per_problem:
        left = _sift(decision, "k_per_problem", left, lambda f: _rank(ranks[f.trace_id], recipe))
    if recipe.max_total:
        chosen = sorted(left, key=lambda f: (ranks[f.trace_id], _draw(recipe.seed, f.problem_key), f.trace_id))
        inside = {f.trace_id for f in chosen[: recipe.max_total]}
        words = Refusal("beyond the total", f"beyond the {recipe.max_total} wanted in total")
        left = _sift(decision, "max_total", left, lambda f: None if f.trace_id in inside else words)
    _step(decision, "kept", left, {})
    decision.kept = [f.trace_id for f in left]
    decision.fates.update(
        {f.trace_id: (Fate.KEPT.value, "kept", f"rank {ranks[f.trace_id] + 1} of its problem") for f in left}
    )


def needs_text(recipe: Recipe) -> bool:
    """Whether any rule reads the text."""
    return bool(recipe.no_repetition or recipe.languages or recipe.distinct)


def _plain_rules(recipe: Recipe) -> Iterable[tuple[str, Callable[[Facts], Refusal | None]]]:
    """The rules that are on, in the order of recipes.RULES."""
    if recipe.labels.require or recipe.labels.refuse:
        yield "labels", lambda f: _label(f, recipe)
    if recipe.only_correct:
        yield (
            "only_correct",
            lambda f: None if f.verdict == "correct" else Refusal(f.verdict, f"the newest verdict: {f.verdict}"),
        )
    if recipe.well_formed:
        yield "well_formed", _form
    if recipe.findings_refused:
        yield "findings_refused", lambda f: _finding(f, recipe.findings_refused)
    for rule, unit in (("completion_tokens", "tokens"), ("think_chars", "characters"), ("answer_chars", "characters")):
        bounds: Bounds | None = getattr(recipe, rule)
        if bounds:
            yield rule, lambda f, rule=rule, bounds=bounds, unit=unit: _outside(getattr(f, rule), bounds, unit)  # type: ignore[misc]


def _label(facts: Facts, recipe: Recipe) -> Refusal | None:
    labels, label = recipe.labels, facts.label or "none"
    if (labels.require and facts.label not in labels.require) or facts.label in labels.refuse:
        return Refusal(label, f"its label: {label}")
    return None


def _form(facts: Facts) -> Refusal | None:
    if facts.finish_reason in (FinishReason.LENGTH, FinishReason.CANCELLED):
        return Refusal(FindingKind.TRUNCATED, f"cut off ({facts.finish_reason})")
    if not facts.has_question:
        return Refusal("no_question", "its question is not known")
    return _finding(facts, MALFORMED)


def _finding(facts: Facts, kinds: Iterable[str]) -> Refusal | None:
    found = [str(kind) for kind in kinds if kind in facts.findings]
    return Refusal(found[0], f"findings: {', '.join(found)}") if found else None


def _outside(value: int | None, bounds: Bounds, unit: str) -> Refusal | None:
    if value is None:
        return Refusal("unknown", f"the number of {unit} is not known")
    if bounds.min is not None and value < bounds.min:
        return Refusal("too short", f"{value} {unit}, below {bounds.min}")
    if bounds.max is not None and value > bounds.max:
        return Refusal("too long", f"{value} {unit}, above {bounds.max}")
    return None


def _repetition(measured: Measured, recipe: Recipe) -> Refusal | None:
    limit = recipe.no_repetition
    if limit is None or measured.repeated is None or measured.repeated <= limit.max_share:
        return None
    return Refusal("repeats itself", f"{measured.repeated:.0%} said before, above {limit.max_share:.0%}")


def _language(measured: Measured, recipe: Recipe) -> Refusal | None:
    if measured.in_languages is None or measured.in_languages >= recipe.language_share:
        return None
    return Refusal(
        "other language", f"{measured.in_languages:.0%} in the languages asked for, below {recipe.language_share:.0%}"
    )


def _repeat(facts: Facts, first: int) -> Refusal | None:
    return None if facts.trace_id == first else Refusal("the same text", f"the same text as trace {first}")


def _rank(rank: int, recipe: Recipe) -> Refusal | None:
    k = recipe.k_per_problem or 0
    return None if rank < k else Refusal("beyond k", f"rank {rank + 1} of its problem ({recipe.prefer}), beyond {k}")


def _ranks(left: list[Facts], recipe: Recipe) -> dict[int, int]:
    """The place of each candidate within its problem, from 0, by the recipe's preference."""
    groups: dict[str, list[Facts]] = defaultdict(list)
    for f in left:
        groups[f.problem_key].append(f)
    ranks = {}
    for group in groups.values():
        counted = all(f.completion_tokens is not None for f in group)
        ordered = sorted(group, key=lambda f, counted=counted: (_preference(f, recipe, in_tokens=counted), *f.order))  # type: ignore[misc]
        ranks.update({f.trace_id: rank for rank, f in enumerate(ordered)})
    return ranks


def _preference(facts: Facts, recipe: Recipe, *, in_tokens: bool) -> float:
    """What is sorted by, the smallest first. Tokens where all of a problem's candidates have them counted, else characters."""
    size = (
        facts.completion_tokens
        if in_tokens and facts.completion_tokens is not None
        else facts.think_chars + facts.answer_chars
    )
    if recipe.prefer == "logprob":
        return float("inf") if facts.mean_logprob is None else -facts.mean_logprob
    if recipe.prefer == "random":
        return _draw(recipe.seed, f"{facts.problem_key}/{facts.run_id}/{facts.sample_index}")
    return float(size if recipe.prefer == "shortest" else -size)


def _draw(seed: int, what: str) -> float:
    """A number in 0..1 that depends on the seed and the thing alone, not on what else is drawn."""
    return int.from_bytes(hashlib.sha256(f"{seed}/{what}".encode()).digest()[:8]) / 2**64


def _sift(decision: Decision, rule: str, left: list[Facts], refuses: Callable[[Facts], Refusal | None]) -> list[Facts]:
    reasons: Counter[str] = Counter()
    passed = []
    for f in left:
        refusal = refuses(f)
        if refusal is None:
            passed.append(f)
            continue
        reasons[str(refusal.reason)] += 1
        decision.fates[f.trace_id] = (Fate.REJECTED.value, rule, refusal.detail)
    _step(decision, rule, passed, dict(reasons))
    return passed


def _step(decision: Decision, step: str, left: list[Facts], reasons: dict[str, int]) -> None:
    """Add a step: what is left after it, how many it turned away, and why."""
    decision.funnel.append(
        {
            "step": step,
            "problems": len({f.problem_key for f in left}),
            "traces": len(left),
            "rejected": sum(reasons.values()),
            "reasons": dict(sorted(reasons.items())),
        }
    )
