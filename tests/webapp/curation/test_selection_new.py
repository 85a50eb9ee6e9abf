"""A new selection: from the form by way of a preview to the run; each write with its refusals."""

import uuid

import pytest
from django.urls import reverse

from tests.webapp.curation.conftest import FUNNEL, make_run
from webapp.curation import recipe_form
from webapp.curation.models import Selection
from webapp.jobs.models import Job, JobState

NEW = "/selections/new/"


def fields(run, preset="cold-start", **more):
    recipe = recipe_form.presets()[preset]
    values = {name: value for name, value in recipe_form.initial(recipe).items() if value not in (None, False)}
    return {**values, "run": [run.pk], **more}


def preview_of(client, run):
    client.post(NEW, fields(run))
    return Job.objects.order_by("-created_at").first()


def done(job, funnel=FUNNEL):
    Job.objects.filter(pk=job.pk).update(state=JobState.DONE, result={"funnel": funnel})


def test_an_editor_asks_for_a_preview_and_nothing_is_selected(client, editor, run, sent):
    client.force_login(editor)
    answer = client.post(NEW, fields(run))
    job = Job.objects.get()
    assert answer.url == reverse("curation:selection_preview", args=[job.pk])
    assert job.args["preview"] is True
    assert job.args["run_ids"] == [run.pk]
    assert job.args["recipe"] == recipe_form.presets()["cold-start"].as_document()
    assert not Selection.objects.exists()


@pytest.mark.parametrize("who", ["viewer", "annotator"])
def test_others_may_not_select(client, request, run, who):
    client.force_login(request.getfixturevalue(who))
    assert client.get(NEW).status_code == 403
    assert client.post(NEW, fields(run)).status_code == 403
    assert not Job.objects.exists()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"run": []}, "Choose at least one run"),
        ({"run": ["404"]}, "There is no run 404"),
        ({"run": ["x", "-1", "9" * 30]}, "Choose at least one run"),
        ({"languages": "klingon"}, "klingon"),
        ({"k_per_problem": "many"}, "Enter a whole number"),
    ],
)
def test_what_cannot_be_drawn_is_refused_in_words(client, editor, run, change, words):
    client.force_login(editor)
    answer = client.post(NEW, fields(run) | change)
    assert answer.status_code == 422
    assert words in answer.content.decode()
    assert not Job.objects.exists()


def test_the_form_opens_with_the_runs_of_the_address(client, editor, run):
    other = make_run("second", ["a"])
    client.force_login(editor)
    answer = client.get(f"{NEW}?run={run.pk}&run=nonsense&preset=sft")
    chosen = {choice.run.pk: choice.chosen for choice in answer.context["runs"]}
    assert chosen == {run.pk: True, other.pk: False}
    assert answer.context["form"].initial["k_per_problem"] == 4


def test_a_preset_and_a_json_text_fill_the_form_and_keep_the_runs(client, editor, run):
    client.force_login(editor)
    for more in ({"preset": "sft"}, {"load": "1", "recipe_json": '{"version": 1, "k_per_problem": 4}'}):
        answer = client.post(NEW, {"run": [run.pk], **more})
        assert answer.context["form"].initial["k_per_problem"] == 4
        assert [choice.chosen for choice in answer.context["runs"]] == [True]
    assert not Job.objects.exists()


def test_a_json_text_that_is_no_recipe_comes_back_with_the_reason(client, editor, run):
    client.force_login(editor)
    answer = client.post(NEW, fields(run, load="1", recipe_json='{"version": 1, "only_corect": true}'))
    assert answer.status_code == 422
    assert "only_corect" in answer.context["json_error"]
    assert "only_corect&quot;: true" in answer.content.decode()


def test_the_recipe_is_said_in_words_while_it_is_written(client, editor, run):
    client.force_login(editor)
    answer = client.post(NEW, fields(run, k_per_problem="3"), headers={"HX-Request": "true"})
    assert answer.templates[0].name == "curation/_recipe_view.html"
    assert "At most 3 a problem" in answer.content.decode()
    wrong = client.post(NEW, fields(run, k_per_problem="0"), headers={"HX-Request": "true"})
    assert "cannot be followed" in wrong.content.decode()
    assert not Job.objects.exists()


def test_the_preview_polls_until_the_funnel_is_there(client, editor, run):
    client.force_login(editor)
    job = preview_of(client, run)
    address = reverse("curation:selection_preview", args=[job.pk])
    waiting = client.get(address, headers={"HX-Request": "true"}).content.decode()
    assert f'hx-get="{address}"' in waiting
    assert "Run the selection" not in waiting

    done(job)
    ready = client.get(address, headers={"HX-Request": "true"}).content.decode()
    assert "hx-get" not in ready
    assert "Run the selection" in ready
    assert "only correct" in ready


def test_a_preview_that_keeps_nothing_says_so_and_offers_no_run(client, editor, run):
    client.force_login(editor)
    job = preview_of(client, run)
    Job.objects.filter(pk=job.pk).update(state=JobState.DONE, result={"funnel": FUNNEL, "kept": 0})
    text = client.get(reverse("curation:selection_preview", args=[job.pk])).content.decode()
    assert "keeps nothing" in text
    assert "Run the selection" not in text


def test_a_preview_that_failed_says_why_and_cannot_be_run(client, editor, run):
    client.force_login(editor)
    job = preview_of(client, run)
    Job.objects.filter(pk=job.pk).update(state=JobState.FAILED, message="run “first” is gone; choose another")
    address = reverse("curation:selection_preview", args=[job.pk])
    assert "run “first” is gone" in client.get(address).content.decode()
    answer = client.post(address, {"name": "a", "dataset": "b"}, follow=True)
    assert "This preview was not finished" in answer.content.decode()
    assert not Selection.objects.exists()


def test_a_preview_that_still_runs_cannot_be_run(client, editor, run):
    client.force_login(editor)
    job = preview_of(client, run)
    address = reverse("curation:selection_preview", args=[job.pk])
    answer = client.post(address, {"name": "a", "dataset": "b"}, follow=True)
    assert "still being counted" in answer.content.decode()
    assert not Selection.objects.exists()


def test_what_was_previewed_is_what_is_run_once(client, editor, run, sent):
    client.force_login(editor)
    job = preview_of(client, run)
    done(job)
    address = reverse("curation:selection_preview", args=[job.pk])
    answers = [client.post(address, {"name": "first", "dataset": "cold"}) for _ in range(2)]

    row = Selection.objects.get()
    assert {answer.url for answer in answers} == {reverse("curation:selection", args=[row.pk])}
    assert row.recipe == job.args["recipe"]
    assert list(row.runs.all()) == [run]
    assert row.job.args == {"selection_id": row.pk, "dataset": "cold"}


def test_a_name_that_is_taken_by_another_selection_is_refused(client, editor, run, finished):
    client.force_login(editor)
    job = preview_of(client, run)
    done(job)
    answer = client.post(reverse("curation:selection_preview", args=[job.pk]), {"name": "first", "dataset": "set"})
    assert answer.status_code == 422
    assert "“first” exists" in answer.content.decode()
    assert Selection.objects.count() == 1


@pytest.mark.parametrize("who", ["viewer", "annotator"])
def test_others_read_a_preview_but_do_not_run_it(client, request, editor, run, who):
    client.force_login(editor)
    job = preview_of(client, run)
    done(job)
    client.force_login(request.getfixturevalue(who))
    address = reverse("curation:selection_preview", args=[job.pk])
    assert "Run the selection" not in client.get(address).content.decode()
    assert client.post(address, {"name": "a", "dataset": "b"}).status_code == 403


def test_bad_ids_are_not_found(client, editor, finished):
    client.force_login(editor)
    for job_id in (uuid.uuid4(), finished.job_id):  # unknown; a selection's own job is no preview
        address = reverse("curation:selection_preview", args=[job_id])
        assert client.get(address).status_code == 404
        assert client.post(address, {"name": "a", "dataset": "b"}).status_code == 404
    assert client.get(reverse("curation:selection", args=[404])).status_code == 404


def test_changing_the_recipe_starts_from_the_preview_or_the_selection(client, editor, run, finished):
    client.force_login(editor)
    job = preview_of(client, run)
    for address, k in ((f"{NEW}?from={job.pk}", 1), (f"{NEW}?like={finished.pk}", 4), (f"{NEW}?from=nonsense", 1)):
        answer = client.get(address)
        assert answer.context["form"].initial["k_per_problem"] == k
        assert [choice.chosen for choice in answer.context["runs"]] == ["nonsense" not in address]
