"""Reads of selections: the runs to choose from, the funnel with its bars, the candidates with their fate and reason."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from django.db.models import Count, Prefetch, QuerySet
from django.db.models.functions import Substr
from django.utils.translation import gettext_lazy as _

from webapp.curation.models import Candidate, DatasetVersion, Selection
from webapp.curation.recipes import RULES
from webapp.traces.models import CurrentVerdict, FindingKind, LabelValue, Run, Trace

RUNS_OFFERED = 50
EXCERPT_CHARS = 160
# what a list of candidates does not need of their traces and problems
_HEAVY = ["prompt", "reasoning", "completion", "segments", "provenance", "metadata"]
_STEPS = {"candidates": _("all traces of the runs"), "kept": _("kept")}
_REASONS: dict[str, Any] = {
    **{value: label for kind in (FindingKind, CurrentVerdict, LabelValue) for value, label in kind.choices},
    "none": _("no label"),
    "no_question": _("its question is not known"),
}


@dataclass(frozen=True, slots=True)
class RunChoice:
    """A run that can be drawn from, with the number of its traces at each verdict."""

    run: Run
    traces: int
    correct: int
    unscored: int
    chosen: bool


@dataclass(frozen=True, slots=True)
class Step:
    """A step of the funnel: what is left behind it, what it rejected, and both as shares (0..100) of the first step."""

    name: Any
    rule: str
    problems: int
    traces: int
    rejected: int
    problems_lost: int
    traces_share: float
    problems_share: float
    reasons: list[tuple[Any, int]]  # why, in words, and how many


def runs_to_choose(chosen: Iterable[int]) -> list[RunChoice]:
    """The newest runs, and the chosen ones whatever their age, the newest first."""
    wanted = set(chosen)
    light = Run.objects.defer("params", "problem_ids", "source", "report")
    newest = list(light.order_by("-created_at", "-pk")[:RUNS_OFFERED])
    missing = wanted - {run.pk for run in newest}
    runs = newest + (list(light.filter(pk__in=missing).order_by("-created_at", "-pk")) if missing else [])
    rows = Trace.objects.filter(run__in=[run.pk for run in runs]).values_list("run_id", "verdict").annotate(Count("pk"))
    counts: dict[int, dict[str, int]] = {}
    for run_id, verdict, count in rows:
        counts.setdefault(run_id, {})[verdict] = count
    return [_choice(run, counts.get(run.pk, {}), run.pk in wanted) for run in runs]


def _choice(run: Run, counts: Mapping[str, int], chosen: bool) -> RunChoice:
    return RunChoice(
        run=run,
        traces=sum(counts.values()),
        correct=counts.get(CurrentVerdict.CORRECT, 0),
        unscored=counts.get(CurrentVerdict.UNSCORED, 0),
        chosen=chosen,
    )


def rule_name(rule: str) -> Any:
    """A rule or step in words; its own name where it has no words."""
    return RULES.get(rule) or _STEPS.get(rule, rule)


def reason_name(reason: str) -> Any:
    """Why a rule turned a candidate away, in words: a finding or a verdict by its name, what is plain already as it is."""
    return _REASONS.get(reason, reason)


def _by_count(reasons: Mapping[str, int]) -> list[tuple[str, int]]:
    return sorted(reasons.items(), key=lambda item: (-item[1], item[0]))


def steps(funnel: list[dict[str, Any]]) -> list[Step]:
    """The funnel as it is shown: each step against the one before it and against the first."""
    out: list[Step] = []
    for row in funnel:
        problems, traces = int(row["problems"]), int(row["traces"])
        first, before = (out[0], out[-1]) if out else (None, None)
        out.append(
            Step(
                name=rule_name(str(row["step"])),
                rule=str(row["step"]),
                problems=problems,
                traces=traces,
                rejected=before.traces - traces if before else 0,
                problems_lost=before.problems - problems if before else 0,
                traces_share=_share(traces, first.traces if first else traces),
                problems_share=_share(problems, first.problems if first else problems),
                reasons=[(reason_name(reason), int(n)) for reason, n in _by_count(row.get("reasons", {}))],
            )
        )
    return out


def _share(part: int, whole: int) -> float:
    return 100 * part / whole if whole else 0.0


def listed() -> QuerySet[Selection]:
    """Selections, the newest first, with what a row of the list shows."""
    versions = DatasetVersion.objects.select_related("dataset").defer("manifest").order_by("pk")
    return (
        Selection.objects.select_related("job", "created_by")
        .prefetch_related(Prefetch("runs", Run.objects.only("name")), Prefetch("versions", versions))
        .order_by("-created_at", "-pk")
    )


def made_already(*, name: str, dataset: str, recipe: dict[str, Any], run_ids: list[int]) -> Selection | None:
    """The selection of this name, where it is the same in all else too."""
    row = Selection.objects.filter(name=name).select_related("job").first()
    if row is None or row.job is None or row.recipe != recipe or row.job.args.get("dataset") != dataset:
        return None
    return row if set(row.runs.values_list("pk", flat=True)) == set(run_ids) else None


def candidates(selection: Selection, *, fate: str, rule: str) -> QuerySet[Candidate]:
    """The candidates of a selection in the order in which their traces came in, of one fate or rule alone where asked for."""
    found = Candidate.objects.filter(selection=selection).select_related("trace", "trace__problem")
    if fate:
        found = found.filter(fate=fate)
    if rule:
        found = found.filter(rule=rule)
    heavy = [f"trace__{name}" for name in _HEAVY]
    heavy += [f"trace__problem__{name}" for name in ("prompt", "messages", "answer", "metadata", "verifier_args")]
    excerpt = Substr("trace__problem__prompt", 1, EXCERPT_CHARS)
    return found.annotate(excerpt=excerpt).defer(*heavy).order_by("trace_id")


@dataclass(frozen=True, slots=True)
class RuleCount:
    """How many candidates one rule decided."""

    fate: str
    rule: str
    name: Any
    count: int


def rule_counts(selection: Selection) -> list[RuleCount]:
    """How many candidates each rule decided: the kept ones first, then the rules in the order in which they are applied."""
    rows = Candidate.objects.filter(selection=selection).values_list("fate", "rule").annotate(Count("pk"))
    order = [*RULES]
    counts = [RuleCount(fate, rule, rule_name(rule), count) for fate, rule, count in rows]
    return sorted(counts, key=lambda c: (c.fate != "kept", order.index(c.rule) if c.rule in order else -1, c.rule))
