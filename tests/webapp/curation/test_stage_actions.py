"""Writes of selections, datasets and exports: what they refuse, what they record, what a second call does."""

import pytest

from webapp.accounts.models import AuditEvent
from webapp.curation.dataset_actions import FrozenRows, add_version, create_export, finish_export
from webapp.curation.models import Dataset, Export, Fate, Selection
from webapp.curation.recipes import RecipeError
from webapp.curation.selection_actions import NewCandidate, create_selection, request_preview, store_outcome
from webapp.jobs.models import Job
from webapp.problems.actions import NewProblem, add_problems, get_or_create_set
from webapp.traces.actions import add_traces, create_run
from webapp.traces.models import RunKind, Trace
from webapp.traces.records import NewTrace

pytestmark = pytest.mark.usefixtures("db")
RECIPE = {"version": 1}
ROWS = FrozenRows("datasets/a.parquet", 3, "a" * 64)


@pytest.fixture
def run(db):
    return create_run(name="r", kind=RunKind.IMPORT, by=None)


@pytest.fixture
def selection(run, editor, now, sent):
    return create_selection(name="s", recipe=RECIPE, run_ids=[run.pk], dataset="d", by=editor, at=now)


def test_a_selection_comes_with_its_job_its_runs_and_its_trail(
    selection, run, editor, django_capture_on_commit_callbacks
):
    assert selection.job.args == {"selection_id": selection.pk, "dataset": "d"}
    assert list(selection.runs.all()) == [run]
    assert selection.recipe["prefer"] == "shortest"  # every field is said
    event = AuditEvent.objects.get(action="selection.created")
    assert (event.by, event.detail["dataset"]) == (editor, "d")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"name": "s"}, "A selection named “s” exists"),
        ({"name": " "}, "Give the selection a name"),
        ({"dataset": ""}, "Give the dataset a name"),
        ({"dataset": "x" * 201}, "at most 200 characters"),
        ({"run_ids": []}, "Choose at least one run"),
        ({"run_ids": [999]}, "There is no run 999"),
        ({"recipe": {"version": 9}}, "recipe, version"),
    ],
)
def test_what_cannot_be_selected_is_refused_and_nothing_is_left(selection, run, now, changes, words):
    before = Job.objects.count()
    given = {"name": "t", "recipe": RECIPE, "run_ids": [run.pk], "dataset": "d", **changes}
    with pytest.raises(ValueError, match=words):
        create_selection(**given, by=None, at=now)
    assert (Selection.objects.count(), Job.objects.count()) == (1, before)


def test_a_preview_is_a_job_alone(run, editor, sent):
    job = request_preview(recipe=RECIPE, run_ids=[run.pk, run.pk], by=editor)
    assert job.args["run_ids"] == [run.pk]
    assert job.args["preview"] is True
    assert not Selection.objects.exists()
    with pytest.raises(RecipeError):
        request_preview(recipe={"version": 1, "x": 1}, run_ids=[run.pk], by=editor)


def test_an_outcome_is_replaced_until_a_version_is_frozen(selection, run, now):
    ids = add_problems(get_or_create_set("p", by=None), [NewProblem(prompt="q")])
    add_traces(run, [NewTrace(ids[0], k, "q", "a", [], now) for k in range(2)])
    one, two = Trace.objects.order_by("pk").values_list("pk", flat=True)
    store_outcome(
        selection, [NewCandidate(one, Fate.REJECTED, "only_correct", "x" * 999)], [{"step": "kept", "traces": 0}]
    )
    store_outcome(
        selection,
        [NewCandidate(one, Fate.KEPT, "kept"), NewCandidate(two, Fate.KEPT, "kept")],
        [{"step": "kept", "traces": 2}],
    )
    assert set(selection.candidates.values_list("trace", "fate")) == {(one, "kept"), (two, "kept")}
    add_version(selection, dataset="d", rows=ROWS, manifest={}, by=None, at=now)
    store_outcome(selection, [], [])
    selection.refresh_from_db()
    assert selection.candidates.count() == 2
    assert selection.funnel == [{"step": "kept", "traces": 2}]


def test_versions_are_numbered_and_frozen_once_a_selection(selection, run, editor, now):
    first = add_version(selection, dataset="d", rows=ROWS, manifest={"k": 1}, by=editor, at=now)
    assert add_version(selection, dataset="d", rows=ROWS, manifest={"k": 2}, by=editor, at=now) == first
    assert (first.number, first.manifest) == (1, {"k": 1, "dataset": "d", "version": 1})
    with pytest.raises(ValueError, match="has frozen other rows as d v1"):
        add_version(selection, dataset="d", rows=FrozenRows("x", 1, "b" * 64), manifest={}, by=editor, at=now)
    other = create_selection(name="t", recipe=RECIPE, run_ids=[run.pk], dataset="d", by=editor, at=now)
    assert add_version(other, dataset="d", rows=ROWS, manifest={}, by=editor, at=now).number == 2
    assert Dataset.objects.count() == 1
    assert list(AuditEvent.objects.filter(action="dataset.frozen").values_list("detail__number", flat=True)) == [1, 2]


def test_an_export_is_asked_for_once_and_again_after_a_failure(selection, editor, now, sent):
    version = add_version(selection, dataset="d", rows=ROWS, manifest={}, by=editor, at=now)
    first = create_export(version, format="sft-messages-jsonl", by=editor, at=now)
    assert create_export(version, format="sft-messages-jsonl", by=editor, at=now) == first
    assert create_export(version, format="cold-start-jsonl", by=editor, at=now) != first
    assert first.job.args == {"export_id": first.pk}
    Job.objects.filter(pk=first.job_id).update(state="failed")
    second = create_export(version, format="sft-messages-jsonl", by=editor, at=now)
    assert second != first
    finish_export(second, path="exports/2", files=[{"name": "a", "bytes": 1, "sha256": "0"}])
    assert create_export(version, format="sft-messages-jsonl", by=editor, at=now) == second
    assert Export.objects.get(pk=second.pk).files[0]["name"] == "a"
