"""The charts of a run: what they say, their files, and that 100,000 traces are told from counts alone."""

import csv
import io
import itertools
import re
import xml.etree.ElementTree as ET

import pytest
from django.db import connection
from django.db.models import Model
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from tests.webapp.runs import sampled, with_job
from tests.webapp.traces import factories as make
from webapp.jobs.models import JobState
from webapp.problems.models import Problem
from webapp.traces import charts, run_charts, tally_actions
from webapp.traces.models import RunProblem, RunRouting, Trace

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("quiet")]


def shown(run, name):
    chart = run_charts.named(run, name)
    return {row.label: row.values for row in chart.rows}


def judged(run, problem, verdicts, *, tokens=None, **fields):
    """Samples of `problem` with these verdicts ("" for none) and lengths."""
    for index, value in enumerate(verdicts):
        length = tokens[index] if tokens else 10
        trace = make.trace(run, problem, "<think>a</think>b", sample_index=index, completion_tokens=length, **fields)
        if value:
            make.verdict(trace, value)


def test_pass_at_k_difficulty_and_lengths_by_hand():
    run = make.run()
    judged(run, make.problem("a"), ["correct", "wrong", "wrong", "wrong"], tokens=[1, 2, 3, 4])
    judged(run, make.problem("b"), ["correct", "correct", "correct", "correct"], tokens=[4, 5, 5, 6])
    judged(run, make.problem("c"), ["wrong", "undecidable"], tokens=[1024, 1300])
    judged(run, make.problem("d"), [""], tokens=[2])

    at = shown(run, "pass-at-k")
    assert at["pass@1"] == [pytest.approx((1 / 4 + 1 + 0) / 3), 3]
    assert at["pass@2"] == [pytest.approx((1 - 3 / 6 + 1 + 0) / 3), 3]
    assert at["pass@4"] == [pytest.approx(1), 2]
    hard = {label: values[0] for label, values in shown(run, "difficulty").items()}
    assert hard == {
        "none correct": 1, "up to 1/4": 1, "up to 1/2": 0, "up to 3/4": 0, "below all": 0, "all correct": 1,
    }  # fmt: skip
    chart = run_charts.named(run, "lengths")
    assert chart.head == ["length", "correct", "wrong", "undecidable", "unscored"]
    found = {row.label: row.values for row in chart.rows}
    assert found["1"] == [1, 0, 0, 0]
    assert found["2 – 3"] == [0, 2, 0, 1]
    assert sum(sum(values) for values in found.values()) == 11
    assert sum(values[1] for label, values in found.items() if label.startswith("1,024")) == 1


def test_bars_of_lengths_cover_every_length_once():
    run, problem = make.run(), make.problem()
    judged(run, problem, ["correct"] * 6, tokens=[0, 1, 7, 100, 5000, 32768])
    rows = run_charts.named(run, "lengths").rows
    edges = [[int(part.replace(",", "")) for part in row.label.split(" – ")] for row in rows]
    assert edges[0][0] == 0
    assert all(edge[0] == before[-1] + 1 for before, edge in itertools.pairwise(edges))
    assert len(rows) <= run_charts.MOST_BARS + 1
    assert sum(row.values[0] for row in rows) == 6


def test_means_by_verdict_and_findings():
    run = make.run()
    judged(run, make.problem("a"), ["correct", "correct"], mean_entropy=0.5, mean_logprob=-1.0)
    judged(run, make.problem("b"), ["wrong"], mean_entropy=1.5, mean_logprob=-2.0)
    make.trace(run, make.problem("c"), "no think")
    means = shown(run, "certainty")
    assert means == {"correct": [0.5, -1.0, 2], "wrong": [1.5, -2.0, 1], "unscored": [None, None, 1]}
    assert shown(run, "findings")["no think"] == [1, 0.25]


def test_expert_load_by_layer():
    run = make.run()
    RunRouting.objects.create(run=run, layer=1, top_k=2, tokens=10, counts=[10, 4, 6, 0])
    assert shown(run, "expert-load") == {"layer 1": [1.0, 0, 1.0, 1]}


def test_page_shows_them_and_their_files(asker):
    run = sampled(problems=2, n=4)
    with_job(run, JobState.DONE)
    page = asker.get(reverse("traces:run", args=[run.pk])).content.decode()
    for name in ("pass-at-k", "difficulty", "lengths", "findings"):
        assert f'id="chart-{name}"' in page
    answer = asker.get(reverse("traces:run_chart", args=[run.pk, "difficulty", "csv"]))
    assert answer["Content-Type"] == "text/csv; charset=utf-8"
    assert answer["Content-Disposition"].endswith('-difficulty.csv"')
    rows = list(csv.reader(io.StringIO(answer.content.decode())))
    assert rows[0] == ["correct", "problems", "share"]
    assert sum(int(row[1]) for row in rows[1:]) == 2
    picture = asker.get(reverse("traces:run_chart", args=[run.pk, "lengths", "svg"]))
    assert picture["Content-Type"] == "image/svg+xml"
    root = ET.fromstring(picture.content)
    assert len(list(root.iter("{http://www.w3.org/2000/svg}rect"))) > 2
    for name, form in (("nothing", "csv"), ("lengths", "png")):
        assert asker.get(reverse("traces:run_chart", args=[run.pk, name, form])).status_code == 404
    assert asker.get(reverse("traces:run_chart", args=[9999, "lengths", "csv"])).status_code == 404


def test_names_are_escaped_in_a_saved_picture(asker):
    run = make.run('<script>alert("1")</script>')
    judged(run, make.problem(), ["correct"])
    picture = asker.get(reverse("traces:run_chart", args=[run.pk, "pass-at-k", "svg"])).content.decode()
    ET.fromstring(picture)
    assert "<script" not in picture


def test_csv_runs_no_formula():
    chart = charts.Chart("x", "x", "", ["a", "b"], [charts.Row("=1+1", [None], ["–"])])
    assert charts.as_csv(chart).splitlines() == ["a,b", "'=1+1,"]


def test_stack_is_as_long_as_its_parts():
    bars = charts.stack([(1, "good", ""), (0, "bad", ""), (3, "warn", "")], 8)
    assert [(bar.x, bar.width, bar.tone) for bar in bars] == [("0.00", "12.50", "good"), ("12.50", "37.50", "warn")]


# -- a large run -------------------------------------------------------------------------------------------------------

TRACES, PROBLEMS = 100_000, 10_000


def large():
    """100,000 traces of 10,000 problems, copied from one by the database past the actions, and then counted."""
    run, of = make.run(problem_set=make.problem_set()), make.problem_set()
    Problem.objects.bulk_create(
        Problem(problem_set=of, position=n, key=str(n), prompt="q", answer="1") for n in range(PROBLEMS)
    )
    first = Problem.objects.order_by("pk").first().pk
    pattern = Trace(
        run=run, problem_id=first, sample_index=999, mean_entropy=0.5, think_chars=30, answer_chars=5, finish_reason="stop",
        created_at=make.NOW,
    )  # fmt: skip
    Trace.objects.bulk_create([pattern])
    own = {
        "problem_id": "p.id",
        "sample_index": "n.value",
        "completion_tokens": "10 + (p.position * 7 + n.value) % 900",
        "verdict": "CASE WHEN (p.position + n.value) % 3 THEN 'correct' ELSE 'wrong' END",
    }
    columns = [field.column for field in Trace._meta.concrete_fields if not field.primary_key]
    values = ", ".join(own.get(column, f"t.{column}") for column in columns)
    numbers = " UNION ALL ".join(f"SELECT {n} AS value" for n in range(TRACES // PROBLEMS))
    with connection.cursor() as cursor:
        cursor.execute(
            f"INSERT INTO traces_trace ({', '.join(columns)}) "
            f"SELECT {values} FROM traces_trace t, problems_problem p, ({numbers}) n WHERE t.sample_index = 999"
        )
        cursor.execute("DELETE FROM traces_trace WHERE sample_index = 999")
        cursor.execute(
            "INSERT INTO traces_finding (trace_id, kind, field, start, end, note) "
            "SELECT id, 'truncated', 'completion', 0, 1, '' FROM traces_trace WHERE sample_index = 0"
        )
    tally_actions.recount(run.pk)
    return run


def plan_of(sql):
    with connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN QUERY PLAN {sql}")
        return [row[3] for row in cursor.fetchall()]


def test_a_large_run_is_told_without_its_traces(asker, monkeypatch):
    run = large()
    with_job(run, JobState.DONE)
    address = reverse("traces:run", args=[run.pk])
    asker.get(address)
    made = []
    whole = Model.from_db.__func__
    monkeypatch.setattr(Model, "from_db", classmethod(lambda cls, *a: made.append(cls) or whole(cls, *a)))
    for query in ("", "?sort=-correct", "?page=150"):
        made.clear()
        with CaptureQueriesContext(connection) as asked:
            page = asker.get(address + query)
        assert page.context["figures"].traces == TRACES
        assert len(asked) <= 24
        assert (made.count(Trace), made.count(RunProblem)) == (0, 50)
        assert len(made) < 400
        for each in asked.captured_queries:
            if '"traces_trace"' in each["sql"] or '"traces_finding"' in each["sql"]:
                # by problem or by trace: never all of a run, never a whole table
                read = [line for line in plan_of(each["sql"]) if re.search(r"traces_(trace|finding)\b", line)]
                assert all(re.search(r"(problem_id|rowid|trace_id)=\?", line) for line in read), (each["sql"], read)
    correct = Trace.objects.filter(run=run, verdict="correct").count()
    figures = page.context["figures"]
    assert dict(figures.verdicts) == {"correct": correct, "wrong": TRACES - correct}
    assert figures.findings == [("truncated", "cut off", TRACES // 10)]
    assert figures.pass_at[0] == (1, pytest.approx(correct / TRACES), PROBLEMS)
