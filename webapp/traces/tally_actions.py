"""Keeping a run's counts: called by the actions that add traces and verdicts, inside their transactions. The design: tallies.py.

A run whose counts were never kept is counted whole at the first touch, and from then on by what changes.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from django.db import transaction
from django.db.models import Count

from webapp.problems.models import Problem
from webapp.traces import tokenstore
from webapp.traces.models import Finding, Run, RunBand, RunProblem, RunRouting, RunTotals, Trace
from webapp.traces.records import ExpertLoad, NewTrace
from webapp.traces.tallies import COLUMNS, Change, Counted, change_of

_BATCH = 5000


def count_added(run: Run, traces: Sequence[Trace], samples: Sequence[NewTrace]) -> None:
    """Count traces that were just saved; `samples` are what they were made of, in order."""
    if not traces:
        return
    totals, is_new = _locked(run.pk)
    if is_new:
        _recount(totals)
    else:
        _add_ends(
            totals, [(trace.finish_reason, trace.completion_tokens) for trace in traces],
            Counter(kind for sample in samples for kind in {finding.kind for finding in sample.findings}),
        )  # fmt: skip
        _apply(run.pk, change_of(counted(trace) for trace in traces))
    add_load(run.pk, [sample.tokens.load for sample in samples if sample.tokens and sample.tokens.load])


def move(before: Sequence[Trace], verdicts: dict[int, str]) -> None:
    """Count traces at their new current verdict, which is saved; `before` holds them as they were, `verdicts` the new one by id."""
    by_run: dict[int, list[Trace]] = {}
    for trace in before:
        if verdicts[trace.pk] != trace.verdict:
            by_run.setdefault(trace.run_id, []).append(trace)
    for run_id, traces in sorted(by_run.items()):
        totals, is_new = _locked(run_id)
        if is_new:
            _recount(totals)
            continue
        added = [counted(trace, verdict=verdicts[trace.pk]) for trace in traces]
        _apply(run_id, change_of(added, removed=[counted(trace) for trace in traces]))


def counted(trace: Trace, *, verdict: str | None = None) -> Counted:
    """The values of `trace` that counts are made of, at `verdict` where one is given."""
    values = {name: getattr(trace, name) for name in COLUMNS}
    return Counted(**values | ({"verdict": verdict} if verdict else {}))


def add_load(run_id: int, loads: Iterable[ExpertLoad]) -> None:
    """Add the expert load of traces to their run's. A layer with another number of experts than the run's is left out."""
    sums: dict[int, Any] = {}
    tokens: Counter[int] = Counter()
    top_k: dict[int, int] = {}
    for load in loads:
        for layer, counts in zip(load.layers, load.counts, strict=True):
            have = sums.get(layer)
            if have is not None and len(have) != len(counts):
                continue
            sums[layer] = np.asarray(counts, np.int64) + (0 if have is None else have)
            tokens[layer] += load.tokens
            top_k[layer] = load.top_k
    rows = {row.layer: row for row in RunRouting.objects.filter(run_id=run_id, layer__in=sums)}
    fresh = []
    for layer, counts in sums.items():
        row = rows.get(layer)
        if row is None:
            fresh.append(
                RunRouting(run_id=run_id, layer=layer, top_k=top_k[layer], tokens=tokens[layer], counts=counts.tolist())
            )
        elif len(row.counts) == len(counts):
            row.counts = (np.asarray(row.counts, np.int64) + counts).tolist()
            row.tokens += tokens[layer]
    RunRouting.objects.bulk_create(fresh)
    RunRouting.objects.bulk_update(rows.values(), ["counts", "tokens"])


def ensure(run_id: int) -> None:
    """Count a run from before counts were kept, once."""
    if RunTotals.objects.filter(pk=run_id).exists():
        return
    with transaction.atomic():
        totals, is_new = _locked(run_id)
        if is_new:
            _recount(totals)


def ensure_all(runs: Sequence[Run]) -> None:
    """Count those of `runs` whose counts were never kept."""
    ids = [run.pk for run in runs]
    for run_id in sorted(set(ids) - set(RunTotals.objects.filter(pk__in=ids).values_list("pk", flat=True))):
        ensure(run_id)


@transaction.atomic
def recount(run_id: int) -> int:
    """Make the counts of a run anew from its traces, all but the expert load; returns how many traces it has."""
    return _recount(_locked(run_id)[0])


def _recount(totals: RunTotals) -> int:
    run_id, seen = totals.pk, 0
    for model in (RunBand, RunProblem):
        model.objects.filter(run_id=run_id).delete()
    totals.shortest = totals.longest = None
    totals.finished = {}
    found = Finding.objects.filter(trace__run_id=run_id).order_by().values("kind")
    totals.findings = {row["kind"]: row["n"] for row in found.annotate(n=Count("trace", distinct=True))}
    # in the order of an index, so that a problem's traces come one after another and its row is written once
    ordered = Trace.objects.filter(run_id=run_id).order_by("problem_id", "sample_index")
    rows = ordered.values_list("finish_reason", *COLUMNS)
    batch: list[Any] = []
    for row in rows.iterator(chunk_size=_BATCH):
        batch.append(row)
        if len(batch) == _BATCH:
            _count_rows(totals, batch)
            seen, batch = seen + len(batch), []
    _count_rows(totals, batch)
    return seen + len(batch)


@transaction.atomic
def recount_load(run_id: int) -> int:
    """Count the expert load of a run anew from its shards; returns how many traces had routing. ValueError for a shard that cannot be read."""
    _locked(run_id)
    RunRouting.objects.filter(run_id=run_id).delete()
    routed = 0
    places = Trace.objects.filter(run_id=run_id).exclude(store_path="").order_by("store_path", "store_row_group")
    for path, group, count in places.values_list("store_path", "store_row_group", "store_tokens").iterator():
        load = tokenstore.load_of(*tokenstore.read_with_meta(path, group or 0, count or 0))
        if load is not None:
            add_load(run_id, [load])
            routed += 1
    return routed


def _count_rows(totals: RunTotals, rows: Sequence[tuple[Any, ...]]) -> None:
    traces = [Counted(*row[1:]) for row in rows]
    ends = [(row[0], trace.completion_tokens) for row, trace in zip(rows, traces, strict=True)]
    _add_ends(totals, ends, Counter())
    _apply(totals.pk, change_of(traces))


def _locked(run_id: int) -> tuple[RunTotals, bool]:
    """The run's totals, and whether they were made just now; nobody else changes the run's counts until the transaction ends."""
    _made, is_new = RunTotals.objects.get_or_create(pk=run_id)
    return RunTotals.objects.select_for_update().get(pk=run_id), is_new


def _add_ends(totals: RunTotals, ends: Sequence[tuple[str, int | None]], findings: Counter[str]) -> None:
    lengths = [tokens for _reason, tokens in ends if tokens is not None]
    if lengths:
        totals.shortest = min(lengths) if totals.shortest is None else min(totals.shortest, *lengths)
        totals.longest = max(lengths) if totals.longest is None else max(totals.longest, *lengths)
    totals.finished = dict(Counter(totals.finished) + Counter(reason for reason, _tokens in ends))
    totals.findings = dict(Counter(totals.findings) + findings)
    totals.save()


def _apply(run_id: int, change: Change) -> None:
    """Add `change` to the rows of the run, whose lock is held."""
    _apply_to_bands(run_id, change)
    _apply_to_problems(run_id, change)


def _apply_to_bands(run_id: int, change: Change) -> None:
    have = RunBand.objects.filter(run_id=run_id, band__in={band for _verdict, _unit, band in change.bands})
    rows = {(row.verdict, row.unit, row.band): row for row in have}
    old = [rows[key] for key in change.bands if key in rows]
    new = [
        RunBand(run_id=run_id, verdict=v, unit=unit, band=b) for v, unit, b in change.bands if (v, unit, b) not in rows
    ]
    for row in (*old, *new):
        key = (row.verdict, row.unit, row.band)
        _increase(row, {**change.bands[key], **change.sums[key]})
    RunBand.objects.bulk_create(new)
    RunBand.objects.bulk_update(old, [*_BAND_SUMS])


def _apply_to_problems(run_id: int, change: Change) -> None:
    old = list(RunProblem.objects.filter(run_id=run_id, problem_id__in=change.problems))
    unknown = change.problems.keys() - {row.problem_id for row in old}
    places = Problem.objects.filter(pk__in=unknown).order_by("pk").values_list("pk", "position")
    new = [RunProblem(run_id=run_id, problem_id=pk, position=position) for pk, position in places]
    for row in (*old, *new):
        _increase(row, change.problems[row.problem_id])
    RunProblem.objects.bulk_create(new, batch_size=1000)
    RunProblem.objects.bulk_update(old, [*_PROBLEM_SUMS], batch_size=200)


_BAND_SUMS = (
    "traces", "tokens", "think_chars", "answer_chars", "logprob", "logprob_traces", "entropy", "entropy_traces",
)  # fmt: skip
_PROBLEM_SUMS = ("samples", "judged", "correct", "tokens", "tokens_samples", "think_chars", "answer_chars")


def _increase(row: Any, amounts: Any) -> None:
    for name, amount in amounts.items():
        setattr(row, name, getattr(row, name) + amount)
