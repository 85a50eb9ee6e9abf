"""Datasets and exports: the pages, and the one write with its refusals. Downloads are in test_downloads.py."""

import json

import pytest
from django.urls import reverse

from tests.webapp.curation.conftest import FORMAT, make_version
from webapp.curation import dataset_rows
from webapp.curation.models import DatasetVersion, Export
from webapp.jobs.models import Job, JobState


def page(version):
    return reverse("curation:version", args=[version.dataset_id, version.number])


def test_the_page_shows_what_the_version_is(client, viewer, version):
    client.force_login(viewer)
    for address in (page(version), reverse("curation:dataset", args=[version.dataset_id])):
        answer = client.get(address)
        text = answer.content.decode()
        assert version.content_hash in text
        assert "thought one" in text
        assert ("Rows by model", ["my_model: 3"]) in answer.context["facts"]
        assert ("From", ["name: first"]) in answer.context["facts"]
        assert json.loads(answer.context["manifest_json"]) == version.manifest
        assert len(answer.context["preview"].rows) == 3


def test_hostile_rows_stay_text_and_hidden_characters_are_shown(client, viewer, version):
    client.force_login(viewer)
    text = client.get(page(version)).content.decode()
    assert "<script>alert" not in text
    assert "&lt;script&gt;alert(1)" in text
    assert "\u202e" not in text
    assert "RLO" in text


def test_an_older_version_has_its_own_page(client, viewer, run, version, now):
    newer = make_version(run, version.created_by, now, ["another"], number=2)
    client.force_login(viewer)
    assert newer.number == 2
    assert client.get(reverse("curation:dataset", args=[version.dataset_id])).context["version"] == newer
    assert client.get(page(version)).context["version"] == version


def test_rows_that_are_gone_are_said_to_be_gone(client, viewer, version):
    DatasetVersion.objects.filter(pk=version.pk).update(rows_path="datasets/elsewhere/rows.parquet")
    client.force_login(viewer)
    answer = client.get(page(version))
    assert answer.status_code == 200
    assert "cannot be read from the store" in answer.content.decode()


def test_a_long_part_is_cut_and_says_so():
    part = dataset_rows.part("think", "x" * 5000)
    assert part.is_cut
    assert sum(len(piece.text) for piece in part.pieces) == 4000


def test_the_manifest_is_a_download(client, viewer, version):
    client.force_login(viewer)
    answer = client.get(reverse("curation:manifest", args=[version.dataset_id, version.number]))
    assert json.loads(answer.content) == version.manifest
    assert 'filename="cold-start-v1-manifest.json"' in answer.headers["Content-Disposition"]


@pytest.mark.parametrize("name", ["dataset", "version", "manifest", "export", "download_all"])
def test_bad_ids_are_not_found(client, viewer, version, name):
    client.force_login(viewer)
    args = {"version": [version.dataset_id, 9], "manifest": [version.dataset_id, 9]}.get(name, [404])
    assert client.get(reverse(f"curation:{name}", args=args)).status_code == 404


# -- the write ---------------------------------------------------------------------------------------------------------


def export_address(version):
    return reverse("curation:export_new", args=[version.dataset_id, version.number])


def test_an_editor_asks_for_an_export_once(client, editor, version, sent):
    client.force_login(editor)
    answers = [client.post(export_address(version), {"format": FORMAT}) for _ in range(2)]
    made = Export.objects.get()
    assert {answer.url for answer in answers} == {reverse("curation:export", args=[made.pk])}
    assert made.job.args == {"export_id": made.pk}


@pytest.mark.parametrize("who", ["viewer", "annotator"])
def test_others_may_not_export(client, request, version, who):
    client.force_login(request.getfixturevalue(who))
    assert client.post(export_address(version), {"format": FORMAT}).status_code == 403
    assert "Write it" not in client.get(page(version)).content.decode()
    assert not Export.objects.exists()


@pytest.mark.parametrize("name", ["", "pickle", "<b>"])
def test_an_unknown_format_is_refused_in_words(client, editor, version, name):
    client.force_login(editor)
    answer = client.post(export_address(version), {"format": name})
    assert answer.status_code == 422
    assert "There is no export format" in answer.content.decode()
    assert "<b>" not in answer.content.decode()
    assert not Export.objects.exists()


def test_an_export_of_no_version_is_not_found_and_a_get_writes_nothing(client, editor, version):
    client.force_login(editor)
    address = reverse("curation:export_new", args=[version.dataset_id, 9])
    assert client.post(address, {"format": FORMAT}).status_code == 404
    assert client.get(export_address(version)).status_code == 405
    assert not Export.objects.exists()


def test_an_export_that_failed_says_why_and_can_be_asked_for_again(client, editor, version):
    client.force_login(editor)
    client.post(export_address(version), {"format": FORMAT})
    first = Export.objects.get()
    address = reverse("curation:export", args=[first.pk])
    assert f'hx-get="{address}"' in client.get(address).content.decode()
    Job.objects.filter(pk=first.job.pk).update(state=JobState.FAILED, message="the store is full; make room and resume")
    assert client.get(address, headers={"HX-Request": "true"}).headers["HX-Refresh"] == "true"
    assert "the store is full" in client.get(address).content.decode()
    assert client.get(reverse("curation:download_all", args=[first.pk])).status_code == 404

    client.post(export_address(version), {"format": FORMAT})
    assert Export.objects.count() == 2


def test_lists_cost_the_same_whatever_their_length(client, viewer, now, export, django_assert_max_num_queries):
    run, editor = export.version.selection.runs.get(), export.created_by
    for n in range(6):
        make_version(run, editor, now, ["a"], dataset=f"d{n}")
        make_version(run, editor, now, ["a"], number=n + 2)
    client.force_login(viewer)
    with django_assert_max_num_queries(4):
        assert len(client.get(reverse("curation:datasets")).context["datasets"]) == 7
    with django_assert_max_num_queries(6):
        assert len(client.get(page(export.version)).context["versions"]) == 7
