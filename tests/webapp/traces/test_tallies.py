"""The counts of a run: kept by each write as counting anew would make them, and nothing twice."""

import pytest
from django.db import transaction

from tests.webapp.traces import factories as make
from webapp.traces import actions, tallies, tally_actions, tokenstore
from webapp.traces.models import RunBand, RunProblem, RunRouting, RunTotals, Trace
from webapp.traces.records import NewFinding, NewTrace

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize(
    ("length", "band"), [(0, -1), (1, 0), (2, 4), (3, 6), (4, 8), (5, 9), (1023, 39), (1024, 40), (32768, 60)]
)
def test_band_of(length, band):
    assert tallies.band_of(length) == band


@pytest.mark.parametrize("band", range(-1, 64))
def test_first_of_begins_its_band(band):
    first = tallies.first_of(band)
    assert tallies.band_of(first) >= band
    assert first == 0 or tallies.band_of(first - 1) < band


def sample(problem, index, *, tokens=10, kinds=(), **fields):
    segments = [
        {"kind": "think", "field": "completion", "start": 0, "end": 6},
        {"kind": "answer", "field": "completion", "start": 6, "end": 9},
    ]
    findings = [NewFinding(kind, "completion", 0, 1) for kind in kinds]
    return NewTrace(
        problem.pk, index, "q", "a", segments, make.NOW, findings=findings, completion_tokens=tokens, finish_reason="stop",
        **fields,
    )  # fmt: skip


def kept(run):
    """All counts of a run, without what is zero."""
    totals = RunTotals.objects.get(pk=run.pk)
    bands = {
        (row.verdict, row.unit, row.band): (
            row.traces, row.tokens, row.think_chars, row.answer_chars,
            pytest.approx(row.logprob), row.logprob_traces, pytest.approx(row.entropy), row.entropy_traces,
        )
        for row in RunBand.objects.filter(run=run, traces__gt=0)
    }  # fmt: skip
    names = ("position", "samples", "judged", "correct", "tokens", "tokens_samples", "think_chars", "answer_chars")
    problems = {row.problem_id: [getattr(row, name) for name in names] for row in RunProblem.objects.filter(run=run)}
    return totals.shortest, totals.longest, totals.finished, totals.findings, bands, problems


def test_counts_by_hand():
    run, first, second = make.run(), make.problem("a"), make.problem("b")
    actions.add_traces(
        run, [sample(first, 0, tokens=4, mean_entropy=0.5), sample(first, 1, tokens=5, kinds=["no_think", "no_think"])]
    )
    actions.add_traces(run, [sample(second, 0, tokens=None, kinds=["no_think", "truncated"], mean_logprob=-2.0)])
    assert kept(run) == (
        4, 5, {"stop": 3}, {"no_think": 2, "truncated": 1},
        {
            ("unscored", "tokens", 8): (1, 4, 6, 3, 0, 0, 0.5, 1),
            ("unscored", "tokens", 9): (1, 5, 6, 3, 0, 0, 0, 0),
            ("unscored", "characters", tallies.band_of(9)): (1, 0, 6, 3, -2.0, 1, 0, 0),
        },
        {first.pk: [0, 2, 0, 0, 9, 2, 12, 6], second.pk: [1, 1, 0, 0, 0, 0, 6, 3]},
    )  # fmt: skip


def test_a_verdict_moves_a_trace_and_counting_anew_changes_nothing():
    run, problem = make.run(), make.problem()
    actions.add_traces(run, [sample(problem, n, tokens=8, mean_entropy=0.25 * n) for n in range(3)])
    traces = list(run.traces.order_by("sample_index"))
    make.verdict(traces[0], "correct")
    make.verdict(traces[1], "wrong")
    make.verdict(traces[1], "correct", minutes=1)
    make.verdict(traces[1], "correct", minutes=2)
    bands = dict(RunBand.objects.filter(run=run, traces__gt=0).values_list("verdict", "traces"))
    assert bands == {"correct": 2, "unscored": 1}
    row = RunProblem.objects.get(run=run)
    assert (row.samples, row.judged, row.correct) == (3, 2, 2)
    before = kept(run)
    assert tally_actions.recount(run.pk) == 3
    assert kept(run) == before


def test_what_is_done_twice_counts_once():
    run, problem = make.run(), make.problem()
    chunk = [sample(problem, n, kinds=["no_think"]) for n in range(2)]
    actions.add_traces(run, chunk)
    before = kept(run)
    assert actions.add_traces(run, [*chunk]) == 0
    assert kept(run) == before
    assert actions.add_traces(run, [*chunk, sample(problem, 2)]) == 1
    assert RunProblem.objects.get(run=run).samples == 3


def test_a_write_that_fails_leaves_the_counts():
    run, problem = make.run(), make.problem()
    actions.add_traces(run, [sample(problem, 0)])
    before = kept(run)
    with transaction.atomic():
        actions.add_traces(run, [sample(problem, 1)])
        transaction.set_rollback(True)
    assert kept(run) == before


@pytest.mark.parametrize("touch", ["view", "verdict", "trace"])
def test_a_run_from_before_is_counted_whole_at_the_first_touch(touch):
    run, problem = make.run(), make.problem()
    actions.add_traces(run, [sample(problem, n) for n in range(3)])
    for model in (RunBand, RunProblem, RunTotals):
        model.objects.filter(run=run).delete()
    if touch == "view":
        tally_actions.ensure_all([run])
    elif touch == "verdict":
        make.verdict(run.traces.first(), "correct")
    else:
        actions.add_traces(run, [sample(problem, 3)])
    found = kept(run)
    tally_actions.recount(run.pk)
    assert kept(run) == found
    assert RunProblem.objects.get(run=run).samples == Trace.objects.count()


def test_expert_load_is_summed_as_traces_are_stored_and_from_the_store():
    run, problem = make.run(), make.problem()
    text = "<think>12 and 30</think>42"
    traces = [make.trace(run, problem, text, sample_index=n, tokens=True) for n in range(2)]
    make.trace(run, problem, "no tokens", sample_index=2)
    rows = {row.layer: row for row in RunRouting.objects.filter(run=run)}
    assert sorted(rows) == make.LAYERS
    for place, layer in enumerate(make.LAYERS):
        expected = [0] * make.EXPERTS
        for trace in traces:
            window = tokenstore.read(trace.store_path, trace.store_row_group, trace.store_tokens)
            for token in window.expert_ids[: window.routing_count, place].tolist():
                for expert in token:
                    expected[expert] += 1
        assert rows[layer].counts == expected
        assert rows[layer].tokens == sum(trace.store_tokens - 1 for trace in traces)
    before = list(RunRouting.objects.order_by("layer").values_list("layer", "tokens", "counts"))
    assert tally_actions.recount_load(run.pk) == 2
    assert list(RunRouting.objects.order_by("layer").values_list("layer", "tokens", "counts")) == before
