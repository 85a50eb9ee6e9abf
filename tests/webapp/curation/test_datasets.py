"""Datasets and exports: pages, the one write, and downloads that reach nothing but an export's own files."""

import asyncio
import hashlib
import io
import json
import zipfile

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from django.conf import settings
from django.test import AsyncClient
from django.urls import reverse

from tests.webapp.curation.conftest import HOSTILE
from webapp.curation import dataset_actions, dataset_rows, recipe_form, selection_actions
from webapp.curation.models import DatasetVersion, Export
from webapp.jobs.models import Job, JobState
from webapp.traces.shardfile import locate

FORMAT = "sft-messages-jsonl"
CONTENT = {
    "train.jsonl": b'{"messages": []}\n' * 50_000,
    "manifest.json": b"{}",
    "README.md": b"# a card <script>alert(3)</script>",
}


@pytest.fixture(autouse=True)
def broker(sent):
    return sent


@pytest.fixture(autouse=True)
def store(settings, tmp_path):
    settings.STORE_URL = f"file://{tmp_path}/store"
    return tmp_path / "store"


def put(path, data):
    filesystem, full = locate(path)
    filesystem.makedirs(full.rsplit("/", 1)[0], exist_ok=True)
    filesystem.pipe_file(full, data)


def make_version(run, by, now, texts, *, dataset="cold start", number=1):
    recipe = recipe_form.presets()["cold-start"].as_document()
    name = f"{dataset} {number}"
    drawn = selection_actions.create_selection(
        name=name, recipe=recipe, run_ids=[run.pk], dataset=dataset, by=by, at=now
    )
    ids = list(run.traces.order_by("pk").values_list("pk", flat=True))
    rows = [
        {"trace_id": pk, "prompt": "Question?", "think": text, "answer": "4"}
        for pk, text in zip(ids, texts, strict=False)
    ]
    buffer = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(rows), buffer)
    path = f"datasets/{drawn.pk}/rows.parquet"
    put(path, buffer.getvalue())
    frozen = dataset_actions.FrozenRows(
        path=path, count=len(rows), content_hash=hashlib.sha256(buffer.getvalue()).hexdigest()
    )
    manifest = {"recipe": recipe, "parents": [{"name": run.name, "engine": None}], "models": {"my_model": len(rows)}}
    return dataset_actions.add_version(drawn, dataset=dataset, rows=frozen, manifest=manifest, by=by, at=now)


@pytest.fixture
def version(run, editor, now):
    return make_version(run, editor, now, ["thought one", HOSTILE[0], HOSTILE[3]])


@pytest.fixture
def export(version, editor, now):
    made = dataset_actions.create_export(version, format=FORMAT, by=editor, at=now)
    files = [{"name": n, "bytes": len(d), "sha256": hashlib.sha256(d).hexdigest()} for n, d in CONTENT.items()]
    for name, data in CONTENT.items():
        put(f"exports/{made.pk}/{name}", data)
    dataset_actions.finish_export(made, path=f"exports/{made.pk}", files=files)
    Job.objects.filter(pk=made.job.pk).update(state=JobState.DONE)
    return made


def page(version):
    return reverse("curation:version", args=[version.dataset_id, version.number])


def body(answer):
    return b"".join(answer.streaming_content)


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


# -- downloads ---------------------------------------------------------------------------------------------------------


def test_each_file_comes_as_it_is(client, viewer, export):
    client.force_login(viewer)
    text = client.get(reverse("curation:export", args=[export.pk])).content.decode()
    for name, data in CONTENT.items():
        address = reverse("curation:download", args=[export.pk, name])
        assert f'href="{address}"' in text
        answer = client.get(address)
        assert body(answer) == data
        assert answer.headers["Content-Disposition"] == f'attachment; filename="{name}"'
        assert answer.headers["Content-Type"] == "application/octet-stream"


def test_the_card_is_shown_as_text(client, viewer, export, store):
    client.force_login(viewer)
    address = reverse("curation:export", args=[export.pk])
    for where in (address, page(export.version)):
        assert "# a card &lt;script&gt;alert(3)" in client.get(where).content.decode()
    (store / "exports" / str(export.pk) / "README.md").unlink()
    assert client.get(address).context["card"] is None


def test_all_files_come_as_one_archive(client, viewer, export):
    client.force_login(viewer)
    answer = client.get(reverse("curation:download_all", args=[export.pk]))
    with zipfile.ZipFile(io.BytesIO(body(answer))) as archive:
        folder = "cold-start-v1-sft-messages-jsonl"
        assert {name: archive.read(f"{folder}/{name}") for name in CONTENT} == CONTENT
        assert archive.testzip() is None


@pytest.mark.parametrize(
    "name",
    [
        "../secret",
        "..%2fsecret",
        "%2e%2e/secret",
        "/etc/passwd",
        "..\\secret",
        "train.jsonl/../../secret",
        "other.jsonl",
        "train.jsonl%00",
    ],
)
def test_foreign_paths_are_not_found(client, viewer, export, store, name):
    (store / "exports" / "secret").write_bytes(b"not yours")
    (store / "exports" / str(export.pk) / "other.jsonl").write_bytes(b"not listed")
    client.force_login(viewer)
    address = reverse("curation:download", args=[export.pk, "x"])[:-1]
    assert client.get(address + name).status_code == 404


def test_a_row_that_names_a_foreign_path_reaches_nothing(client, viewer, export, store):
    (store / "exports" / "secret").write_bytes(b"not yours")
    files = [{"name": "../secret", "bytes": 9, "sha256": ""}]
    dataset_actions.finish_export(export, path=f"exports/{export.pk}", files=files)
    client.force_login(viewer)
    address = reverse("curation:download", args=[export.pk, "x"])[:-1]
    assert client.get(address + "..%2fsecret").status_code == 404


def test_a_file_that_is_gone_is_not_found(client, viewer, export, store):
    (store / "exports" / str(export.pk) / "README.md").unlink()
    client.force_login(viewer)
    assert client.get(reverse("curation:download", args=[export.pk, "README.md"])).status_code == 404


def test_a_stranger_downloads_nothing(client, export):
    answer = client.get(reverse("curation:download", args=[export.pk, "train.jsonl"]))
    assert answer.status_code == 302
    assert settings.LOGIN_URL == "accounts:login"


@pytest.mark.django_db(transaction=True)
def test_under_asgi_a_download_is_streamed_in_pieces(viewer, export):
    async def pieces():
        client = AsyncClient()
        await client.aforce_login(viewer)
        answer = await client.get(reverse("curation:download", args=[export.pk, "train.jsonl"]))
        return [piece async for piece in answer.streaming_content]

    got = asyncio.run(pieces())
    assert len(got) == 4
    assert b"".join(got) == CONTENT["train.jsonl"]


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
