"""The charts of a run, from the counts that are kept while it is written (tallies.py): no trace is read here."""

import math
from collections import Counter, defaultdict
from typing import Any

import numpy as np
from django.contrib.humanize.templatetags.humanize import intcomma
from django.urls import reverse
from django.utils.translation import gettext as _

from webapp.traces import charts, routing
from webapp.traces.charts import Chart, Row
from webapp.traces.models import (
    CurrentVerdict,
    FindingKind,
    LengthUnit,
    Run,
    RunBand,
    RunRouting,
    RunTotals,
)
from webapp.traces.run_queries import pass_at, success_counts
from webapp.traces.tallies import STEPS, first_of

MOST_BARS = 18  # of lengths; neighbouring bands are merged until there are no more
TONES = {
    CurrentVerdict.CORRECT: "good", CurrentVerdict.WRONG: "bad", CurrentVerdict.UNDECIDABLE: "warn", CurrentVerdict.UNSCORED: "quiet",
}  # fmt: skip


def of_run(run: Run) -> list[Chart]:
    """The charts that a run has something for, in the order of the page: in five queries, however many traces there are."""
    bands = list(RunBand.objects.filter(run=run, traces__gt=0).order_by("unit", "band"))
    groups = success_counts(run)
    made = [
        _pass_at(groups), _difficulty(groups), _lengths(run, bands), _by_verdict(run, bands), _findings(run, bands), _load(run),
    ]  # fmt: skip
    return [chart for chart in made if chart.rows]


def _pass_at(groups: Counter[tuple[int, int]]) -> Chart:
    estimates = pass_at(groups)
    rows = [
        Row(f"pass@{k}", [estimate, problems], [f"{estimate:.3f}", intcomma(problems)], charts.bar(estimate, 1))
        for k, estimate, problems in estimates
    ]
    most = math.log2(estimates[-1][0]) if estimates else 0
    places = [
        (f"{10 + 280 * (math.log2(k) / most if most else 0):.1f}", f"{74 - 68 * e:.1f}") for k, e, _n in estimates
    ]
    return Chart(
        "pass-at-k", _("pass@k"),
        _("Unbiased estimate over judged samples, averaged over the problems that have k of them; an undecidable sample is no success."),
        ["k", _("estimate"), _("problems")], rows, points=places if len(places) > 1 else [],
    )  # fmt: skip


def _difficulty(groups: Counter[tuple[int, int]]) -> Chart:
    words = [_("none correct"), _("up to 1/4"), _("up to 1/2"), _("up to 3/4"), _("below all"), _("all correct")]
    found = Counter[int]()
    for (n, c), times in groups.items():
        found[_fifth(n, c)] += times
    whole = found.total()
    rows = [
        Row(said, [found[i], found[i] / whole], [intcomma(found[i]), f"{found[i] / whole:.1%}"], charts.bar(found[i], max(found.values())))
        for i, said in enumerate(words)
        if whole
    ]  # fmt: skip
    return Chart(
        "difficulty", _("Problems by difficulty"), _("Problems by the share of their judged samples that is correct. The first and the last have no variance to learn from."),
        [_("correct"), _("problems"), _("share")], rows,
    )  # fmt: skip


def _fifth(n: int, c: int) -> int:
    """Which band of difficulty c of n is: none, (0, 1/4], (1/4, 1/2], (1/2, 3/4], (3/4, 1), all."""
    return 0 if c == 0 else 5 if c == n else math.ceil(4 * c / n)


def _lengths(run: Run, bands: list[RunBand]) -> Chart:
    units = Counter[str]()
    for row in bands:
        units[row.unit] += row.traces
    unit = units.most_common(1)[0][0] if units else LengthUnit.TOKENS
    chosen = [row for row in bands if row.unit == unit]
    width = _merge([row.band for row in chosen])
    merged: dict[int, Counter[str]] = defaultdict(Counter)
    for row in chosen:
        merged[row.band // width][row.verdict] += row.traces
    largest = max((found.total() for found in merged.values()), default=0)
    verdicts = [value for value in TONES if any(found[value] for found in merged.values())]
    rows = []
    for place in range(min(merged, default=0), max(merged, default=-1) + 1):
        low, high = first_of(place * width), first_of((place + 1) * width) - 1
        if high < low:  # between two whole numbers
            continue
        found = merged.get(place, Counter())
        label = intcomma(low) if low == high else f"{intcomma(low)} – {intcomma(high)}"
        parts = [(found[v], TONES[v], f"{CurrentVerdict(v).label}: {found[v]}") for v in verdicts]
        rows.append(
            Row(
                label,
                [found[v] for v in verdicts],
                [intcomma(found[v]) for v in verdicts],
                charts.stack(parts, largest),
            )
        )
    words = (
        _("Completion tokens of a trace")
        if unit == LengthUnit.TOKENS
        else _("Characters of think and answer, as tokens are not known")
    )
    left = sum(units.values()) - units[unit]
    note = words + (
        " " + _("%(n)s traces are not shown: their length is known in another unit.") % {"n": left} if left else ""
    )
    return Chart(
        "lengths", _("Length by verdict"), note, [_("length"), *(str(CurrentVerdict(v).label) for v in verdicts)], rows,
        legend=[(TONES[v], str(CurrentVerdict(v).label)) for v in verdicts],
    )  # fmt: skip


def _merge(bands: list[int]) -> int:
    """How many bands make a bar: 1, 2, 4 (an octave) or more, so that there are at most MOST_BARS."""
    if not bands:
        return 1
    width = 1
    while max(bands) // width - max(min(bands), 0) // width >= MOST_BARS or width < STEPS // 2:
        width *= 2
    return width


def _by_verdict(run: Run, bands: list[RunBand]) -> Chart:
    sums: dict[str, Counter[str]] = defaultdict(Counter)
    for row in bands:
        for name in ("traces", "entropy", "entropy_traces", "logprob", "logprob_traces"):
            sums[row.verdict][name] += getattr(row, name)
    means = {
        v: (_mean(sums[v], "entropy"), _mean(sums[v], "logprob"), sums[v]["traces"]) for v in TONES if sums[v]["traces"]
    }
    known = [entropy for entropy, _l, _n in means.values() if entropy is not None]
    rows = [
        Row(
            str(CurrentVerdict(v).label), [entropy, logprob, n], [_figure(entropy), _figure(logprob), intcomma(n)],
            charts.bar(entropy or 0, max(known), tone=TONES[v]), link=f"{reverse('traces:list')}?run={run.pk}&verdict={v}",
        )
        for v, (entropy, logprob, n) in means.items()
        if known
    ]  # fmt: skip
    return Chart(
        "certainty", _("Entropy and log-probability by verdict"),
        _("Means over traces of each trace's mean a token, in nats; the bar is the entropy."),
        [_("verdict"), _("mean entropy"), _("mean log-probability"), _("traces")], rows,
    )  # fmt: skip


def _mean(sums: Counter[str], name: str) -> float | None:
    return sums[name] / sums[f"{name}_traces"] if sums[f"{name}_traces"] else None


def _figure(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"


def _findings(run: Run, bands: list[RunBand]) -> Chart:
    totals = RunTotals.objects.filter(pk=run.pk).first()
    found = sorted((totals.findings if totals else {}).items(), key=lambda item: (-item[1], item[0]))
    traces = sum(row.traces for row in bands)
    words = dict(FindingKind.choices)
    rows = [
        Row(
            str(words.get(kind, kind)), [n, n / traces], [intcomma(n), f"{n / traces:.1%}"], charts.bar(n, traces, tone="warn"),
            link=f"{reverse('traces:list')}?run={run.pk}&finding={kind}",
        )
        for kind, n in found
        if traces
    ]  # fmt: skip
    return Chart("findings", _("Findings"), _("Traces that have it."), [_("finding"), _("traces"), _("share")], rows)


def _load(run: Run) -> Chart:
    layers = [(row, np.asarray(row.counts, np.int64)) for row in RunRouting.objects.filter(run=run).order_by("layer")]
    layers = [(row, counts) for row, counts in layers if counts.sum()]
    worst = max((routing.max_violation(counts) or 0 for _row, counts in layers), default=0)
    rows = []
    for row, counts in layers:
        violation, busiest, unused = (
            routing.max_violation(counts) or 0.0,
            int(counts.argmax()),
            int((counts == 0).sum()),
        )
        taken = counts[busiest] / row.tokens
        rows.append(
            Row(
                _("layer %(id)s") % {"id": row.layer}, [violation, busiest, taken, unused],
                [f"{violation:.2f}", str(busiest), f"{taken:.1%}", str(unused)], charts.bar(violation, max(worst, 1)),
                link=expert_address(run.pk, row.layer, busiest),
            )
        )  # fmt: skip
    return Chart(
        "expert-load", _("Expert load"),
        _("Every token that went through the model, prompts included. MaxVio: load of the busiest expert over the mean, less 1 (0: all take the same). The bar is MaxVio."),
        [_("layer"), "MaxVio", _("busiest expert"), _("takes of the tokens"), _("experts never taken")], rows,
    )  # fmt: skip


def expert_address(run_id: int, layer: int, expert: int) -> str:
    """The expert's card."""
    return f"{reverse('traces:expert', args=[run_id])}?layer={layer}&expert={expert}"


def named(run: Run, name: str) -> Chart | None:
    """The chart `name` of a run, or None where there is none."""
    found: dict[str, Any] = {chart.name: chart for chart in of_run(run)}
    return found.get(name)
