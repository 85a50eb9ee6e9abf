"""The pages of runs: list, asking, one run while it works and after."""

import math

import pytest
from django.core.cache import cache
from django.urls import reverse
from django.utils import timezone

from tests.webapp.traces import factories as make
from webapp.jobs import actions as jobs
from webapp.jobs.models import Job, JobKind, JobState
from webapp.problems.models import Problem
from webapp.traces import run_actions, run_queries
from webapp.traces.actions import attach_job
from webapp.traces.models import Run

pytestmark = pytest.mark.django_db
FACTS = {
    "layers": 4,
    "router_layers": [1, 2, 3],
    "n_routed_experts": 16,
    "n_shared_experts": 1,
    "top_k": 2,
    "context": 512,
    "parameters": 3_700_000,
}
EXAMPLES = [
    {"family": "sums", "prompt": "What is 1 + 2?", "note": "a sum"},
    {"family": "gcd", "prompt": "gcd <b>6, 4</b>", "note": "a divisor"},
]


@pytest.fixture(autouse=True)
def quiet(sent):
    cache.clear()
    return sent


@pytest.fixture
def engine(db):
    return make.engine(facts=FACTS, examples=EXAMPLES, description="Sums only.\n\nNothing else.")


@pytest.fixture
def asker(client, editor):
    client.force_login(editor)
    return client


def form(of_engine, **changes):
    fields = {
        "engine": of_engine.pk, "what": "prompt", "prompt": "What is 2 + 2?", "answer": "4", "verifier": "math", "n": 4, "temperature": "0.6",
        "max_tokens": 100, "top_p": "1", "top_k": "0", "seed": "7",
    }  # fmt: skip
    return fields | changes


def sampled(*, problems=2, n=4, judged=True):
    """A finished run: of problem i the first i + 1 samples are correct."""
    run = make.run(
        f"run {Run.objects.count()}",
        engine=make.engine(),
        problem_set=make.problem_set(),
        samples_per_problem=n,
        planned=problems * n,
        params={"temperature": 0.6},
    )
    for i in range(problems):
        problem = make.problem(f"What is {i} + <i>1</i>?", str(i + 1))
        for sample in range(n):
            text = "<think>one more</think>It is." if sample else "<think>on and on"
            trace = make.trace(
                run,
                problem,
                text,
                sample_index=sample,
                finish="stop" if sample else "length",
                completion_tokens=10 * (sample + 1),
            )
            if judged:
                make.verdict(trace, "correct" if sample <= i else "wrong")
    return run


def with_job(run, state=JobState.RUNNING, **fields):
    job = jobs.create(
        JobKind.GENERATE,
        title="Generate",
        by=None,
        args={"run_id": run.pk},
        queue="inference",
        total=run.planned,
        unit="samples",
    )
    if state != JobState.QUEUED:
        jobs.claim(job.pk)
    ended = {} if state in (JobState.QUEUED, JobState.RUNNING) else {"finished_at": timezone.now(), "lease_token": None}
    Job.objects.filter(pk=job.pk).update(state=state, **ended, **fields)
    attach_job(run, job)
    return job


# -- asking ------------------------------------------------------------------------------------------------------------


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
    assert [t.name for t in page.templates][0] == "traces/_submit_engine.html"


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


# -- one run -----------------------------------------------------------------------------------------------------------


def test_running_run_shows_growing_text_and_polls(asker, engine):
    run = make.run(engine=engine, problem_set=make.problem_set(), planned=8)
    job = with_job(run, progress_done=2)
    problem = make.problem("What is <script>?")
    sample = {
        "problem_id": problem.pk, "sample_index": 0, "prompt": "p", "text": "", "think": "carry the <b>one</b>", "answer": "it is", "tokens": 12, "done": False,
    }  # fmt: skip
    state = {
        "samples": [sample],
        "in_batch": 8,
        "done": 3,
        "tokens_per_second": 1234.5,
        "seconds_left": 12.2,
        "updated": 0,
    }
    cache.set(f"live:{run.pk}", state)
    page = asker.get(reverse("traces:run", args=[run.pk])).content.decode()

    assert f'hx-get="{reverse("traces:run_fragment", args=[run.pk])}"' in page
    assert "carry the &lt;b&gt;one&lt;/b&gt;" in page
    assert "1,23" in page and "about 12 s left" in page
    assert "3 / 8 samples" in page
    assert reverse("jobs:cancel", args=[job.pk]) in page
    assert "What is &lt;script&gt;?" in page
    fragment = asker.get(reverse("traces:run_fragment", args=[run.pk]))
    assert fragment.status_code == 200
    assert "<html" not in fragment.content.decode()


def test_polling_ends_with_the_whole_result(asker):
    run = sampled()
    with_job(run, JobState.DONE, result={"tokens": 100, "seconds": 2.0})
    fragment = asker.get(reverse("traces:run_fragment", args=[run.pk]))
    text = fragment.content.decode()

    assert fragment.status_code == 286
    assert 'id="run-actions" hx-swap-oob="true"' in text
    assert "pass@1" in text
    assert "hx-trigger" not in asker.get(reverse("traces:run", args=[run.pk])).content.decode()


def test_polling_goes_on_while_the_run_is_verified(asker, editor):
    run = sampled(judged=False)
    with_job(run, JobState.DONE)
    answer = asker.post(reverse("traces:run_verify", args=[run.pk]))
    assert answer.url == reverse("traces:run", args=[run.pk])
    asker.post(reverse("traces:run_verify", args=[run.pk]))

    job = Job.objects.get(kind=JobKind.VERIFY)
    assert (job.args["run_id"], job.created_by) == (run.pk, editor)
    assert asker.get(reverse("traces:run_fragment", args=[run.pk])).status_code == 200
    Job.objects.filter(pk=job.pk).update(state=JobState.DONE)
    assert asker.get(reverse("traces:run_fragment", args=[run.pk])).status_code == 286


def test_verify_is_for_editors_by_post_on_runs_that_exist(client, annotator, editor):
    run = sampled(judged=False)
    address = reverse("traces:run_verify", args=[run.pk])
    client.force_login(annotator)
    assert client.post(address).status_code == 403
    client.force_login(editor)
    assert client.get(address).status_code == 405
    assert client.post(reverse("traces:run_verify", args=[99999])).status_code == 404
    assert not Job.objects.exists()


@pytest.mark.parametrize(
    ("state", "words"), [(JobState.FAILED, "the checkpoint is gone"), (JobState.CANCELLED, "the checkpoint is gone")]
)
def test_ended_early_says_why_and_offers_to_resume(asker, state, words):
    run = sampled()
    job = with_job(run, state, message=words)
    page = asker.get(reverse("traces:run", args=[run.pk])).content.decode()
    assert words in page
    assert reverse("jobs:resume", args=[job.pk]) in page


def test_viewer_sees_the_run_and_no_buttons_that_write(client, viewer):
    run = sampled()
    with_job(run, JobState.FAILED, message="why")
    client.force_login(viewer)
    page = client.get(reverse("traces:run", args=[run.pk])).content.decode()
    assert "pass@1" in page
    assert reverse("traces:run_verify", args=[run.pk]) not in page
    assert "jobs/" not in page.split("</header>")[1] or "/resume" not in page


def test_figures(asker):
    run = sampled(problems=2, n=4)
    with_job(run, JobState.DONE, result={"tokens": 200, "seconds": 4.0})
    figures = run_queries.figures(Run.objects.select_related("job").get(pk=run.pk))

    assert figures.traces == 8
    assert dict(figures.verdicts) == {"correct": 3, "wrong": 5}
    assert figures.tokens_per_second == 50
    assert figures.totals["mean_tokens"] == 25
    assert {k: (round(estimate, 6), n) for k, estimate, n in figures.pass_at} == {
        1: (3 / 8, 2), 2: (round((1 - 3 / 6 + 1 - 1 / 6) / 2, 6), 2), 4: (1.0, 2),
    }  # fmt: skip
    assert {kind: n for kind, _words, n in figures.findings}["truncated"] == 2
    page = asker.get(reverse("traces:run", args=[run.pk])).content.decode()
    assert "1 of 4" in page and "2 of 4" in page
    assert "<i>1</i>" not in page


def test_unscored_run_shows_no_pass_at_k(asker):
    run = sampled(judged=False)
    assert run_queries.figures(run).pass_at == []
    assert "pass@" not in asker.get(reverse("traces:run", args=[run.pk])).content.decode()


def test_undecidable_is_judged_and_no_success():
    run = sampled(problems=1, n=2, judged=False)
    first, second = run.traces.order_by("sample_index")
    make.verdict(first, "correct")
    make.verdict(second, "undecidable")
    assert run_queries.figures(run).pass_at[0] == (1, 0.5, 1)


@pytest.mark.parametrize(("n", "c"), [(1, 0), (1, 1), (5, 2), (8, 3), (8, 8), (16, 1)])
def test_pass_at_k_is_the_share_of_draws_with_a_success(n, c):
    from itertools import combinations

    for k in range(1, n + 1):
        draws = list(combinations(range(n), k)) if math.comb(n, k) < 20_000 else []
        if draws:
            assert run_queries.pass_at_k(n, c, k) == pytest.approx(
                sum(any(i < c for i in draw) for draw in draws) / len(draws)
            )


@pytest.mark.parametrize(("n", "c", "k"), [(0, 0, 1), (4, 5, 1), (4, 2, 5), (4, 2, 0)])
def test_pass_at_k_refuses_what_it_cannot_tell(n, c, k):
    with pytest.raises(ValueError, match="cannot be told"):
        run_queries.pass_at_k(n, c, k)


@pytest.mark.parametrize("sort", ["", "problem", "-correct", "correct", "think", "-answer", "tokens", "nonsense", "-"])
def test_groups_sort_by_address(asker, sort):
    run = sampled(problems=3)
    page = asker.get(reverse("traces:run", args=[run.pk]), {"sort": sort})
    shares = [group.problem.correct for group in page.context["groups"]]
    assert len(shares) == 3
    if sort in ("correct", "-correct"):
        assert shares == sorted(shares, reverse=sort == "-correct")


def test_an_import_shows_its_report(asker):
    report = {
        "format": "plain",
        "read": 5,
        "imported": 3,
        "duplicates": 1,
        "rejected": [{"line": 4, "why": "not <JSON>"}],
        "rejected_count": 1,
        "lost": {"odd field": 2},
    }
    run = make.run("rows", kind="import", problem_set=make.problem_set(), report=report, source={"file": "rows.jsonl"})
    make.trace(run, make.problem(), "It is 42.", finish="")
    page = asker.get(reverse("traces:run", args=[run.pk])).content.decode()
    assert "Report of the import" in page
    assert "not &lt;JSON&gt;" in page and "odd field" in page and "rows.jsonl" in page


def test_unknown_run_is_404(asker):
    assert asker.get(reverse("traces:run", args=[404])).status_code == 404
    assert asker.get(reverse("traces:run_fragment", args=[404])).status_code == 404


def test_run_page_asks_the_database_as_often_for_many_traces(asker, django_assert_max_num_queries):
    small, large = sampled(problems=1, n=2), sampled(problems=8, n=6)
    counts = []
    for run in (small, large):
        with_job(run, JobState.DONE)
        asker.get(reverse("traces:run", args=[run.pk]))
        with django_assert_max_num_queries(20) as asked:
            asker.get(reverse("traces:run", args=[run.pk]))
        counts.append(len(asked))
    assert counts[0] == counts[1]


# -- the list ----------------------------------------------------------------------------------------------------------


def test_list_shows_state_and_counts(asker):
    run = sampled()
    with_job(run, JobState.DONE)
    page = asker.get(reverse("traces:runs")).content.decode()
    assert "3 of 8" in page
    assert reverse("traces:run", args=[run.pk]) in page


def test_list_filters(asker, engine):
    mine = make.run("mine", engine=engine, problem_set=make.problem_set("a"))
    other = make.run("other", kind="import", problem_set=make.problem_set("b"))
    with_job(mine, JobState.FAILED)
    for query, found in [
        ({"kind": "import"}, {other}), ({"engine": engine.pk}, {mine}), ({"set": other.problem_set_id}, {other}), ({"state": "failed"}, {mine}),
        ({"name": "MIN"}, {mine}), ({}, {mine, other}), ({"name": "zzz"}, set()),
    ]:  # fmt: skip
        page = asker.get(reverse("traces:runs"), query)
        assert {run for run, _counts in page.context["rows"]} == found


@pytest.mark.parametrize(
    ("sort", "names"),
    [("name", ["a", "b"]), ("-name", ["b", "a"]), ("planned", ["b", "a"]), ("", ["b", "a"]), ("x", ["b", "a"])],
)
def test_list_sorts(asker, sort, names):
    make.run("a", planned=9)
    make.run("b", planned=3)
    page = asker.get(reverse("traces:runs"), {"sort": sort})
    assert [run.name for run, _counts in page.context["rows"]] == names


def test_list_asks_the_database_as_often_for_many_runs(asker, django_assert_max_num_queries):
    counts = []
    for _ in range(2):
        for _ in range(4):
            with_job(sampled(problems=1, n=1), JobState.DONE)
        asker.get(reverse("traces:runs"))
        with django_assert_max_num_queries(15) as asked:
            asker.get(reverse("traces:runs"))
        counts.append(len(asked))
    assert counts[0] == counts[1]


def test_empty_list_says_what_to_do(asker):
    assert "Ask an engine" in asker.get(reverse("traces:runs")).content.decode()


def test_pages_ask_for_login(client, db):
    for name, args in (("runs", []), ("submit", []), ("run", [1])):
        assert client.get(reverse(f"traces:{name}", args=args)).status_code == 302
