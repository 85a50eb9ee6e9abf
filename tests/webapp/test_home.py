"""The home page: the way in for an empty installation, what runs, what waits, what was made last."""

import pytest
from django.urls import reverse

from tests.webapp.traces import factories
from webapp.jobs import actions as jobs
from webapp.jobs.models import JobKind

pytestmark = pytest.mark.usefixtures("sent")


@pytest.fixture
def member(client, editor):
    client.force_login(editor)
    return client


@pytest.fixture
def judged(db):
    run = factories.run("first", engine=factories.engine())
    problem = factories.problem()
    traces = [factories.trace(run, problem, "<think>a</think>b", sample_index=n) for n in range(4)]
    factories.verdict(traces[0], "correct")
    factories.verdict(traces[1], "wrong")
    return traces


def test_an_empty_installation_shows_the_first_way_round(member):
    page = member.get("/")
    assert page.context["steps"] == {"problems": False, "asked": False, "judged": False, "labelled": False}
    text = page.content.decode()
    for address in (reverse("problems:import"), reverse("traces:import"), reverse("curation:selection_new")):
        assert address in text


def test_steps_are_ticked_off_as_they_are_done(member, judged):
    assert member.get("/").context["steps"] == {"problems": True, "asked": True, "judged": True, "labelled": False}


def test_the_first_way_round_is_gone_after_the_first_selection(member, judged, now):
    from webapp.curation.models import Selection

    Selection.objects.create(name="best", recipe={}, created_at=now)
    assert member.get("/").context["steps"] is None


def test_figures_tell_unscored_from_wrong(member, judged):
    context = member.get("/").context
    assert context["traces"] == {"all": 4, "unlabelled": 4, "correct": 1, "judged": 2}
    [run] = context["runs"]
    assert (run.trace_count, run.correct_count, run.judged_count) == (4, 1, 2)


def test_what_waits_for_a_label_leads_there(member, judged):
    text = member.get("/").content.decode()
    assert "4 traces have no label yet." in text
    assert reverse("curation:next") in text


def test_running_jobs_poll_and_the_page_is_loaded_anew_when_none_is_left(member, editor):
    assert 'hx-trigger="every 2s"' not in member.get("/").content.decode()
    job = jobs.create(JobKind.VERIFY, title="Verify all", by=editor, args={}, queue="default", total=10, unit="traces")
    assert 'hx-trigger="every 2s"' in member.get("/").content.decode()
    fragment = member.get("/", headers={"HX-Request": "true"})
    assert "Verify all" in fragment.content.decode()
    assert "<html" not in fragment.content.decode()
    jobs.cancel(job.pk, by=editor)
    assert member.get("/", headers={"HX-Request": "true"}).headers["HX-Refresh"] == "true"


def test_a_viewer_is_offered_nothing_that_they_may_not_do(client, viewer, judged):
    client.force_login(viewer)
    text = client.get("/").content.decode()
    for name in ("traces:submit", "traces:import", "problems:import", "curation:next", "curation:selection_new"):
        assert f'href="{reverse(name)}' not in text


def test_queries_do_not_grow_with_runs(member, django_assert_max_num_queries):
    for n in range(6):
        factories.run(f"run {n}", engine=factories.engine(f"engine {n}"))
    with django_assert_max_num_queries(20):
        member.get("/")
