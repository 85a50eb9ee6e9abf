"""Selections: the list, and the page of one with its funnel and every candidate's fate."""

import pytest
from django.urls import reverse

from tests.webapp.curation.conftest import FUNNEL, HOSTILE, make_run
from webapp.curation import recipe_form, selection_actions
from webapp.jobs.models import Job, JobState
from webapp.traces.models import Trace

NEW = "/selections/new/"


def test_the_page_shows_the_funnel_and_every_reject_with_its_reason(client, viewer, finished):
    client.force_login(viewer)
    answer = client.get(reverse("curation:selection", args=[finished.pk]))
    steps = answer.context["steps"]
    assert [(step.traces, step.rejected, step.problems_lost) for step in steps] == [
        (5, 0, 0),
        (3, 2, 2),
        (3, 0, 0),
        (3, 0, 0),
    ]
    assert steps[1].reasons == [("unscored", 1), ("wrong", 1)]
    assert steps[1].traces_share == 60.0
    text = answer.content.decode()
    assert text.count("verdict: wrong") == 2
    assert 'width="60.000%"' in text
    assert [(c.fate, c.rule, c.count) for c in answer.context["counts"]] == [
        ("kept", "kept", 3),
        ("rejected", "only_correct", 2),
    ]


@pytest.mark.parametrize(
    ("query", "count"), [("rule=only_correct", 2), ("fate=kept", 3), ("rule=<b>", 0), ("page=99", 5)]
)
def test_candidates_by_rule(client, viewer, finished, query, count):
    client.force_login(viewer)
    answer = client.get(f"{reverse('curation:selection', args=[finished.pk])}?{query}")
    assert len(answer.context["candidates"]) == count
    assert "<b>" not in answer.content.decode()


def test_the_page_follows_its_job_and_reloads_at_the_end(client, viewer, editor, run, now):
    recipe = recipe_form.presets()["sft"].as_document()
    row = selection_actions.create_selection(
        name="runs", recipe=recipe, run_ids=[run.pk], dataset="d", by=editor, at=now
    )
    client.force_login(viewer)
    address = reverse("curation:selection", args=[row.pk])
    assert f'hx-get="{address}"' in client.get(address).content.decode()
    assert "HX-Refresh" not in client.get(address, headers={"HX-Request": "true"}).headers
    Job.objects.update(state=JobState.FAILED, message="no trace was verified; verify the run first")
    assert client.get(address, headers={"HX-Request": "true"}).headers["HX-Refresh"] == "true"
    assert "no trace was verified" in client.get(address).content.decode()


def test_hostile_problems_and_names_stay_text(client, editor, now):
    run = make_run("<script>alert(1)</script>", HOSTILE)
    recipe = recipe_form.presets()["sft"].as_document()
    row = selection_actions.create_selection(
        name=HOSTILE[1], recipe=recipe, run_ids=[run.pk], dataset="d", by=editor, at=now
    )
    trace = Trace.objects.filter(run=run).first()
    trace.problem.prompt = HOSTILE[0]
    trace.problem.save()
    hostile = selection_actions.NewCandidate(trace.pk, "rejected", "languages", HOSTILE[2])
    selection_actions.store_outcome(row, [hostile], FUNNEL)
    client.force_login(editor)
    for address in (reverse("curation:selection", args=[row.pk]), reverse("curation:selections"), NEW):
        text = client.get(address).content.decode()
        assert "<script>alert" not in text
        assert "<div hx-get='/account" not in text
    assert "{{ settings.SECRET_KEY }}" in client.get(reverse("curation:selection", args=[row.pk])).content.decode()


def test_lists_cost_the_same_whatever_their_length(client, editor, finished, now, django_assert_max_num_queries):
    run = finished.runs.get()
    recipe = recipe_form.presets()["sft"].as_document()
    for n in range(8):
        selection_actions.create_selection(
            name=f"s{n}", recipe=recipe, run_ids=[run.pk], dataset=f"d{n}", by=editor, at=now
        )
        make_run(f"run {n}", ["a", "b"])
    client.force_login(editor)
    with django_assert_max_num_queries(7):
        assert len(client.get(reverse("curation:selections")).context["rows"]) == 9
    with django_assert_max_num_queries(5):
        assert len(client.get(NEW).context["runs"]) == 9
    with django_assert_max_num_queries(9):
        client.get(reverse("curation:selection", args=[finished.pk]))


def test_an_empty_installation_says_what_to_do(client, editor):
    client.force_login(editor)
    assert "Nothing is selected yet" in client.get(reverse("curation:selections")).content.decode()
    assert "There is no run yet" in client.get(NEW).content.decode()
