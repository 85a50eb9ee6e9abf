"""Two runs over the same problems: fates, figures, order and pages by address, the sign test, few queries, 100,000 traces."""

import itertools
import time

import pytest
from django.urls import reverse

from tests.webapp.traces import factories as make
from webapp.problems.models import Problem
from webapp.traces import compare_queries
from webapp.traces.models import Run, RunProblem, RunTotals

URL = "/runs/compare/"
# correct samples of two before and after, None for a problem that nobody judged
SPLIT = [(0, 2), (1, 2), (2, 0), (1, 1), (0, 0), (2, 2), (None, 2)]


def answered(run, problem, correct):
    for n in range(2):
        trace = make.trace(run, problem, f"sample {n}", sample_index=n)
        if correct is not None:
            make.verdict(trace, "correct" if n < correct else "wrong")


@pytest.fixture
def two(db):
    """Two runs over seven problems, in two sets that hold the same questions; each has one of its own besides."""
    a, b = make.run("before"), make.run("after")
    first, second = make.problem_set("one"), make.problem_set("other")
    for n, (before, after) in enumerate(SPLIT):
        same = [make.problem(f"Question {n}?", of=of) for of in (first, second)]
        Problem.objects.filter(pk__in=[p.pk for p in same]).update(key=f"hash {n}")
        answered(a, same[0], before)
        answered(b, same[1], after)
    answered(a, make.problem("Only before?", of=first), 1)
    answered(b, make.problem("Only after?", of=second), 1)
    for run, of in ((a, first), (b, second)):  # a question that was not recorded is not a question in common
        blank = make.problem("", None, of=of)
        Problem.objects.filter(pk=blank.pk).update(key="nothing")
        answered(run, blank, 2)
    return a, b


def shown(client, a, b, query=""):
    answer = client.get(f"{URL}?a={a.pk}&b={b.pk}{query}")
    assert answer.status_code == 200
    return answer


def asked(answer):
    return [question for _row, question in answer.context["rows"]]


def test_fates_and_figures(member, two):
    a, b = two
    answer = shown(member, a, b)
    summary = answer.context["summary"]
    assert summary.counts == {"gained": 2, "lost": 1, "same": 3, "unjudged": 1}
    assert (summary.common, summary.judged, summary.only_a, summary.only_b) == (7, 6, 2, 2)
    assert summary.pass_a == pytest.approx((0 + 0.5 + 1 + 0.5 + 0 + 1) / 6)
    assert summary.pass_b == pytest.approx((1 + 1 + 0 + 0.5 + 0 + 1) / 6)
    assert summary.sign_p == 1
    text = answer.content.decode()
    assert "2 gained, 1 lost" in text
    assert asked(answer) == [f"Question {n}?" for n in range(7)]
    row, _question = answer.context["rows"][0]
    for run, problem in ((a, row.a_problem), (b, row.b_problem)):
        address = reverse("traces:group", args=[run.pk, problem])
        assert address in text
        assert member.get(address).status_code == 200
    back = shown(member, b, a).context["summary"]
    assert (back.counts["gained"], back.counts["lost"]) == (1, 2)


def test_order_fate_and_page_by_address(member, two, monkeypatch):
    a, b = two
    assert asked(shown(member, a, b, "&fate=gained")) == ["Question 0?", "Question 1?"]
    assert asked(shown(member, a, b, "&sort=-change"))[:2] == ["Question 0?", "Question 1?"]
    falling = shown(member, a, b, "&sort=change")
    assert asked(falling)[0] == "Question 2?"
    assert asked(falling)[-1] == "Question 6?"  # no change is known: last either way
    assert asked(shown(member, a, b, "&sort=-change"))[-1] == "Question 6?"
    assert asked(shown(member, a, b, "&sort=-problem"))[0] == "Question 6?"
    assert asked(shown(member, a, b, "&sort=-a"))[:2] == ["Question 2?", "Question 5?"]
    monkeypatch.setattr("webapp.traces.compare_views.PAIRS_A_PAGE", 3)
    pages = [asked(shown(member, a, b, f"&page={n}")) for n in (1, 2, 3)]
    assert [len(page) for page in pages] == [3, 3, 1]
    assert list(itertools.chain(*pages)) == [f"Question {n}?" for n in range(7)]
    assert len(asked(shown(member, a, b, "&fate=odd&sort=;drop&page=x"))) == 3


@pytest.mark.parametrize("column", ["problem", "a", "b", "change"])
def test_every_order_runs_both_ways(member, two, column):
    up, down = (asked(shown(member, *two, f"&sort={sign}{column}")) for sign in ("", "-"))
    assert sorted(up) == sorted(down)
    assert up != down


def test_it_asks_a_fixed_number_of_queries(member, two, django_assert_num_queries):
    # session, user, two runs, choices, totals of both, summary, problems of both, rows, questions
    with django_assert_num_queries(12):
        shown(member, *two)


def test_choosing(member, two):
    a, _b = two
    text = member.get(URL).content.decode()
    assert text.count(f'value="{a.pk}"') == 2
    assert "Choose two runs" in text
    half = member.get(f"{URL}?a={a.pk}").content.decode()
    assert f'value="{a.pk}" selected' in half
    assert "differs in nothing from itself" in member.get(f"{URL}?a={a.pk}&b={a.pk}").content.decode()
    for odd in (f"?a={a.pk}&b=99999", "?a=x", "?a=-1"):
        assert member.get(URL + odd).status_code == 404
    bare = make.run("bare")
    assert "no problem in common" in member.get(f"{URL}?a={a.pk}&b={bare.pk}").content.decode()
    for address in (reverse("traces:run", args=[a.pk]), reverse("traces:runs")):
        assert "/runs/compare/" in member.get(address).content.decode()


@pytest.mark.parametrize(
    ("gained", "lost", "p"),
    [(0, 0, None), (1, 0, 1.0), (5, 0, 2 / 32), (0, 5, 2 / 32), (8, 2, 2 * (1 + 10 + 45) / 1024), (3, 3, 1.0)],
)
def test_the_sign_test_is_exact(gained, lost, p):
    assert compare_queries.sign_test(gained, lost) == (p if p is None else pytest.approx(p))


def test_the_sign_test_of_many():
    assert compare_queries.sign_test(50_000, 50_000) == 1
    assert 0 < compare_queries.sign_test(50_500, 49_500) < 0.01


def test_a_hundred_thousand_traces_on_each_side_answer_soon(member, django_assert_num_queries):
    of = make.problem_set("large")
    runs = [make.run("large before"), make.run("large after")]
    problems = Problem.objects.bulk_create(
        [Problem(problem_set=of, position=n, key=f"{n:064x}", prompt=f"Question {n}? " * 20) for n in range(25_000)],
        batch_size=2000,
    )
    for run, way in zip(runs, (3, 5), strict=True):
        RunTotals.objects.create(run=run)
        RunProblem.objects.bulk_create(
            [
                RunProblem(run=run, problem=p, position=n, samples=4, judged=4, correct=n * way % 5)
                for n, p in enumerate(problems)
            ],
            batch_size=2000,
        )
    begun = time.process_time()
    answer = shown(member, *runs, "&sort=-change&page=400")
    seconds = time.process_time() - begun
    assert answer.context["summary"].common == 25_000
    assert len(answer.context["rows"]) == 50
    assert seconds < 2.5, seconds
    assert Run.objects.count() == 2
