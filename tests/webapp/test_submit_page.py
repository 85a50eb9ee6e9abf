"""Asking an engine: what the page shows, what one click makes, what it refuses."""

import pytest
from django.urls import reverse

from tests.webapp.runs import FACTS
from tests.webapp.traces import factories as make
from webapp.jobs.models import Job, JobKind
from webapp.problems.models import Problem
from webapp.traces import run_actions
from webapp.traces.models import Run

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("quiet")]


def form(of_engine, **changes):
    fields = {
        "engine": of_engine.pk, "what": "prompt", "prompt": "What is 2 + 2?", "answer": "4", "verifier": "math", "n": 4, "temperature": "0.6",
        "max_tokens": 100, "top_p": "1", "top_k": "0", "seed": "7",
    }  # fmt: skip
    return fields | changes


def test_submit_shows_engine_and_examples(asker, engine):
    page = asker.get(reverse("traces:submit")).content.decode()
    assert "3,700,000" in page
    assert "2 of 16 a token, 1 shared" in page
    assert "Nothing else." in page
    assert f"?engine={engine.pk}&amp;example=1" in page
    assert "<b>6, 4</b>" not in page


def test_example_link_fills_the_prompt_without_scripts(asker, engine):
    page = asker.get(reverse("traces:submit"), {"engine": engine.pk, "example": 1})
    assert page.context["form"].initial["prompt"] == "gcd <b>6, 4</b>"
    assert page.context["form"].initial["max_tokens"] == 256


@pytest.mark.parametrize(
    "query", ["engine=99999", "engine=x", "example=77", "example=-1", "set=abc", "engine=%F0%9F%98%80"]
)
def test_submit_ignores_what_makes_no_sense_in_the_address(asker, engine, query):
    assert asker.get(f"{reverse('traces:submit')}?{query}").status_code == 200


def test_set_link_chooses_the_set(asker, engine):
    found = make.problem_set("chosen")
    page = asker.get(reverse("traces:submit"), {"set": found.pk})
    assert (page.context["form"].initial["what"], page.context["form"].initial["problem_set"]) == ("set", found)


def test_other_engine_brings_its_card_alone(asker, engine):
    page = asker.get(reverse("traces:submit"), {"engine": engine.pk}, headers={"HX-Request": "true"})
    assert page.templates[0].name == "traces/_submit_engine.html"


def test_one_click_makes_problem_run_and_job(asker, editor, engine, quiet):
    answer = asker.post(reverse("traces:submit"), form(engine))
    run = Run.objects.get()
    problem = Problem.objects.get()

    assert answer.url == reverse("traces:run", args=[run.pk])
    assert (problem.prompt, problem.answer, problem.verifier) == ("What is 2 + 2?", "4", "math")
    assert problem.problem_set.name == run_actions.ASKED_SET
    assert (run.samples_per_problem, run.planned, run.problem_ids) == (4, 4, [problem.pk])
    assert run.params == {
        "temperature": 0.6,
        "top_p": 1.0,
        "top_k": 0,
        "max_tokens": 100,
        "seed": 7,
        "system_prompt": "",
    }
    assert run.created_by == editor
    assert run.job.kind == JobKind.GENERATE
    assert quiet == []  # on commit, which this test's transaction never does
    assert run.job.queue == "inference"


def test_a_set_with_a_limit(asker, engine):
    for i in range(5):
        make.problem(f"question {i}")
    asker.post(
        reverse("traces:submit"),
        form(engine, what="set", problem_set=make.problem_set().pk, limit="3", prompt="", seed=""),
    )
    run = Run.objects.get()
    assert (len(run.problem_ids), run.planned) == (3, 12)
    assert isinstance(run.params["seed"], int)


def test_asking_twice_makes_two_runs_of_one_problem(asker, engine):
    for _ in range(2):
        asker.post(reverse("traces:submit"), form(engine))
    assert (Run.objects.count(), Problem.objects.count()) == (2, 1)


@pytest.mark.parametrize(
    ("changes", "field", "words"),
    [
        ({"prompt": "  "}, "prompt", "Write a prompt"),
        ({"what": "set"}, "problem_set", "Choose a problem set"),
        ({"max_tokens": 512}, "max_tokens", "512 tokens, prompt included"),
        ({"n": 0}, "n", "greater than or equal to 1"),
        ({"temperature": 9}, "temperature", "less than or equal to 2"),
        ({"top_p": 0}, "top_p", "greater than"),
        ({"engine": 9999}, "engine", "valid choice"),
        ({"seed": -1}, "seed", "greater than or equal to 0"),
    ],
)
def test_bad_input_is_named_and_nothing_is_made(asker, engine, changes, field, words):
    answer = asker.post(reverse("traces:submit"), form(engine, **changes))
    assert answer.status_code == 422
    assert words in str(answer.context["form"].errors[field])
    assert not Run.objects.exists()
    assert not Job.objects.exists()


def test_a_prompt_that_cannot_fit_is_refused(asker, engine):
    type(engine).objects.update(facts=FACTS | {"longest_token_bytes": 4})
    answer = asker.post(reverse("traces:submit"), form(engine, prompt="x" * 2048))
    assert "at least 512 tokens" in str(answer.context["form"].errors["prompt"])


def test_a_name_that_is_taken_is_refused(asker, engine):
    make.run("mine")
    answer = asker.post(reverse("traces:submit"), form(engine, name="mine"))
    assert answer.status_code == 422
    assert "exists; choose another name" in answer.content.decode()
    assert not Problem.objects.exists()


def test_asking_is_for_editors(client, annotator, engine):
    client.force_login(annotator)
    assert client.get(reverse("traces:submit")).status_code == 403
    assert client.post(reverse("traces:submit"), form(engine)).status_code == 403
    assert not Run.objects.exists()


def test_submit_without_an_engine_says_what_to_do(asker):
    assert "register_engine" in asker.get(reverse("traces:submit")).content.decode()
