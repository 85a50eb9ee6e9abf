"""The pages of problem sets and problems, with GSM8K and MATH-500 as they come in the starter content."""

import json
from pathlib import Path

import pytest
from django.urls import reverse

from tests.webapp.traces import factories
from webapp.problems import queries
from webapp.problems.actions import NewProblem, add_problems, get_or_create_set
from webapp.problems.models import Problem, ProblemSet

STARTER = Path(__file__).resolve().parents[3] / "webapp" / "starter" / "problems"


@pytest.fixture
def member(client, viewer):
    client.force_login(viewer)
    return client


@pytest.fixture
def maths(db):
    rows = [
        json.loads(line) for line in (STARTER / "math-500-first-100.jsonl").read_text(encoding="utf-8").splitlines()
    ]
    problem_set = get_or_create_set("math-500", by=None, source="MATH-500", licence="MIT")
    new = [
        NewProblem(prompt=row["problem"], answer=row["answer"], verifier="math", tags=f" {row['subject'].lower().replace(' ', '-').replace('&', 'and')} level-{row['level']} ")
        for row in rows
    ]  # fmt: skip
    add_problems(problem_set, new)
    return problem_set


def listed(client, problem_set, **query):
    page = client.get(reverse("problems:set", args=[problem_set.pk]), query)
    assert page.status_code == 200
    return [problem for problem, _ in page.context["rows"]]


def test_the_list_counts_problems_gold_answers_runs_and_traces_apart(member, maths):
    add_problems(maths, [NewProblem(prompt="open question")])
    for name in ("first", "second"):
        run = factories.run(name, problem_set=maths)
        for n in range(3):
            factories.trace(run, maths.problems.first(), "<think>a</think>b", sample_index=n)
    row = queries.sets().get(pk=maths.pk)
    assert (row.problem_count, row.gold_count, row.run_count, row.trace_count) == (101, 100, 2, 6)
    text = member.get(reverse("problems:list")).content.decode()
    assert "math-500" in text
    assert "MIT" in text


def test_an_empty_list_says_what_to_do_and_to_whom(client, viewer, editor):
    client.force_login(viewer)
    assert "Importing needs the role editor" in client.get(reverse("problems:list")).content.decode()
    client.force_login(editor)
    assert reverse("problems:import") in client.get(reverse("problems:list")).content.decode()


def test_a_set_shows_fifty_problems_in_the_order_of_the_source(member, maths):
    assert [problem.position for problem in listed(member, maths)] == list(range(50))
    assert [problem.position for problem in listed(member, maths, page=2)] == list(range(50, 100))


@pytest.mark.parametrize("page", ["0", "-1", "999", "x", ""])
def test_an_odd_page_number_still_shows_problems(member, maths, page):
    assert len(listed(member, maths, page=page)) == 50


def test_text_is_looked_for_in_question_and_answer(member, maths):
    found = listed(member, maths, q="polar coordinates")
    assert found
    assert all("polar coordinates" in Problem.objects.get(pk=problem.pk).prompt for problem in found)
    by_answer = listed(member, maths, q=r"\frac{\pi}{2}")
    assert any(r"\frac{\pi}{2}" in (Problem.objects.get(pk=problem.pk).answer or "") for problem in by_answer)


def test_a_tag_is_a_whole_word(member, maths):
    found = listed(member, maths, tag="level-1")
    assert found
    assert {" level-1 " in problem.tags for problem in found} == {True}
    assert listed(member, maths, tag="level") == []
    assert listed(member, maths, tag="no tag!") == []


def test_the_verifier_filters(member, maths):
    add_problems(maths, [NewProblem(prompt="open question")])
    assert [problem.excerpt for problem in listed(member, maths, verifier="none")] == ["open question"]


def test_nothing_found_says_so_and_shows_the_way_back(member, maths):
    text = member.get(reverse("problems:set", args=[maths.pk]), {"q": "zebra crossing"}).content.decode()
    assert "No problem matches." in text
    assert "Show all" in text


def test_sorting_by_traces_and_by_correct_ones(member, maths):
    first, second, third = maths.problems.order_by("position")[:3]
    run = factories.run(problem_set=maths)
    for problem, samples, correct in ((second, 3, 1), (third, 2, 2)):
        for n in range(samples):
            made = factories.trace(run, problem, "<think>a</think>b", sample_index=n)
            factories.verdict(made, "correct" if n < correct else "wrong")
    assert [problem.pk for problem in listed(member, maths, sort="-traces")[:3]] == [second.pk, third.pk, first.pk]
    assert [problem.pk for problem in listed(member, maths, sort="-correct")[:3]] == [third.pk, second.pk, first.pk]
    assert listed(member, maths, sort="nonsense")[0].pk == first.pk


def test_a_set_takes_the_same_few_queries_however_many_problems(member, maths, django_assert_max_num_queries):
    with django_assert_max_num_queries(8):
        listed(member, maths)


def test_a_problem_shows_question_gold_answer_and_neighbours(member, maths):
    problem = maths.problems.get(position=1)
    page = member.get(reverse("problems:detail", args=[problem.pk]))
    assert page.context["before"] == maths.problems.get(position=0).pk
    assert page.context["after"] == maths.problems.get(position=2).pk
    text = page.content.decode()
    assert "mathematics" in text
    assert problem.key in text


def test_a_problems_traces_are_counted_by_run_and_verdict_unscored_apart(member, maths):
    problem = maths.problems.first()
    old, new = factories.run("old", problem_set=maths), factories.run("new", problem_set=maths)
    for n, value in enumerate(["correct", "correct", "wrong", "undecidable", None]):
        made = factories.trace(new, problem, "<think>a</think>b", sample_index=n)
        if value:
            factories.verdict(made, value)
    factories.trace(old, problem, "<think>a</think>b")
    rows = member.get(reverse("problems:detail", args=[problem.pk])).context["runs"]
    assert [(r.run_name, r.traces, r.correct, r.wrong, r.undecidable, r.unscored) for r in rows] == [
        ("new", 5, 2, 1, 1, 1),
        ("old", 1, 0, 0, 0, 1),
    ]


def test_hostile_problems_are_text(member, db):
    evil = "<script>alert(1)</script><div hx-get='/account/' hx-trigger='load'>{{ x }}"
    problem_set = get_or_create_set("<img src=x onerror=alert(1)>", by=None, description=evil)
    [pk] = add_problems(
        problem_set,
        [NewProblem(prompt=evil, answer=evil, messages=[{"role": evil, "content": evil}], metadata={"k": evil})],
    )
    for address in (
        reverse("problems:list"),
        reverse("problems:set", args=[problem_set.pk]),
        reverse("problems:detail", args=[pk]),
    ):
        text = member.get(address).content.decode()
        assert "<script>alert" not in text
        assert "<img src=x" not in text
        assert "<div hx-get='/account/'" not in text


def test_a_problem_without_question_or_gold_answer_says_so(member, db):
    [pk] = add_problems(get_or_create_set("imported", by=None), [NewProblem(prompt="", key_extra="1")])
    text = member.get(reverse("problems:detail", args=[pk])).content.decode()
    assert "The source had no question." in text
    assert "none" in text


def test_unknown_ids_are_not_found(member, db):
    assert member.get(reverse("problems:set", args=[99])).status_code == 404
    assert member.get(reverse("problems:detail", args=[99])).status_code == 404
    assert ProblemSet.objects.count() == 0


def test_only_editors_are_offered_to_ask(client, viewer, editor, maths):
    wanted = f"{reverse('traces:submit')}?set={maths.pk}"
    for user, offered in ((viewer, False), (editor, True)):
        client.force_login(user)
        assert (wanted in client.get(reverse("problems:set", args=[maths.pk])).content.decode()) is offered
