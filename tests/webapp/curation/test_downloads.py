"""Downloads: an export's own files and nothing else, never in memory as a whole."""

import asyncio
import io
import zipfile

import pytest
from django.test import AsyncClient
from django.urls import reverse

from tests.webapp.curation.conftest import CONTENT
from webapp.curation import dataset_actions


def body(answer):
    return b"".join(answer.streaming_content)


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
    for where in (address, reverse("curation:dataset", args=[export.version.dataset_id])):
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
    assert answer.url.startswith(reverse("accounts:login"))


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
