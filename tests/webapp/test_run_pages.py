"""The page of one run while it works and after, and the list of runs."""

import math
from itertools import combinations

import pytest
from django.core.cache import cache
from django.urls import reverse

from tests.webapp.runs import sampled, with_job
from tests.webapp.traces import factories as make
from webapp.jobs.models import Job, JobKind, JobState
from webapp.traces import run_queries
from webapp.traces.models import Run

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("quiet")]


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
    assert "1,23" in page
    assert "about 12 s left" in page
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
    assert "1 of 4" in page
    assert "2 of 4" in page
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
    for words in ("not &lt;JSON&gt;", "odd field", "rows.jsonl"):
        assert words in page


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
