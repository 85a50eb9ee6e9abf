"""The import pages refuse: who may not, what is not there, wrong methods, mistakes; and say so in words."""

import uuid

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.urls import reverse

from tests.webapp.importing import NAMES, ROW, confirm, lines, looked_into, upload
from webapp.jobs.models import Job, JobKind
from webapp.problems import import_forms
from webapp.problems.uploads import path_of
from workers.formats import AUTO, formats_of
from workers.trainers.families import FAMILIES

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("sent")]


@pytest.fixture
def as_editor(client, editor):
    client.force_login(editor)
    return client


def test_empty_file_and_no_file(as_editor):
    for data in ({}, {"file": SimpleUploadedFile("a.jsonl", b"")}):
        answer = as_editor.post(reverse("traces:import"), data)
        assert answer.status_code == 422
        assert "errorlist" in answer.content.decode()
    assert not Job.objects.exists()


def test_too_large_a_file_leaves_nothing(as_editor, settings):
    settings.MAX_UPLOAD_BYTES = 10
    before = set((settings.DATA_DIR / "uploads").glob("*"))
    answer = upload(as_editor, "traces", lines(ROW))

    assert answer.status_code == 422
    assert "larger than" in answer.content.decode()
    assert set((settings.DATA_DIR / "uploads").glob("*")) == before


def test_name_of_a_generated_run_is_refused(as_editor):
    from webapp.traces.actions import create_run

    create_run(name="g", kind="generate", by=None)
    answer = confirm(as_editor, "traces", looked_into(as_editor, "traces", lines(ROW)), name="g")

    assert answer.status_code == 422
    assert "choose another name" in answer.content.decode()


def test_confirm_needs_a_name(as_editor):
    answer = confirm(as_editor, "traces", looked_into(as_editor, "traces", lines(ROW)), name=" ")

    assert answer.status_code == 422
    assert "Give it a name" in answer.content.decode()


def test_upload_that_is_gone_is_said(as_editor):
    job = looked_into(as_editor, "traces", lines(ROW))
    path_of(job.args["file"]).unlink()

    assert "no longer kept" in as_editor.get(reverse("traces:import_preview", args=[job.pk])).content.decode()
    assert confirm(as_editor, "traces", job).url == reverse("traces:import")


def test_preview_before_the_worker_is_done_imports_nothing(as_editor):
    upload(as_editor, "traces", lines(ROW))

    assert confirm(as_editor, "traces", Job.objects.get()).status_code == 422
    assert Job.objects.count() == 1


def test_procedural_mistakes(as_editor):
    answer = as_editor.post(
        reverse("problems:import_procedural"), {"family": "x", "size": 0, "seed": 1, "split": "heldout"}
    )

    assert answer.status_code == 422
    assert answer.content.decode().count('class="errorlist"') == 2
    assert not Job.objects.exists()


def addresses(app, job):
    yield reverse(f"{app}:import"), "post"
    for name in ("import_preview", "import_report", "import_report_file"):
        yield reverse(f"{app}:{name}", args=[job.pk]), "get"
    yield reverse(f"{app}:import_preview", args=[job.pk]), "post"
    if app == "problems":
        yield reverse("problems:import_procedural"), "post"


@pytest.mark.parametrize("app", NAMES)
def test_who_may_import(client, app, request):
    viewer, annotator, editor, admin = map(request.getfixturevalue, ("viewer", "annotator", "editor", "admin"))
    client.force_login(editor)
    job = looked_into(client, app, lines(ROW))
    client.logout()
    before = Job.objects.count()
    for address, method in addresses(app, job):
        assert getattr(client, method)(address).status_code == 302  # to the login
    for person in (viewer, annotator):
        client.force_login(person)
        for address, method in addresses(app, job):
            assert getattr(client, method)(address).status_code == 403, (person, address)
    assert Job.objects.count() == before
    client.force_login(admin)
    assert client.get(reverse(f"{app}:import")).status_code == 200


@pytest.mark.parametrize("app", NAMES)
def test_unknown_and_foreign_jobs_are_not_found(as_editor, app):
    other = looked_into(as_editor, "traces" if app == "problems" else "problems", lines(ROW))
    for job_id in (uuid.uuid4(), other.pk):
        for name in ("import_preview", "import_report", "import_report_file"):
            assert as_editor.get(reverse(f"{app}:{name}", args=[job_id])).status_code == 404
    own = looked_into(as_editor, app, lines(ROW))
    assert as_editor.get(reverse(f"{app}:import_report", args=[own.pk])).status_code == 404  # a preview has no report


@pytest.mark.parametrize("app", NAMES)
def test_wrong_methods(as_editor, app):
    job = looked_into(as_editor, app, lines(ROW))

    assert as_editor.delete(reverse(f"{app}:import")).status_code == 405
    assert as_editor.post(reverse(f"{app}:import_report", args=[job.pk])).status_code == 405
    assert as_editor.get(reverse("problems:import_procedural")).status_code == 405


def test_names_offered_are_those_that_the_workers_know():
    for kind, plain in ((JobKind.IMPORT_PROBLEMS, "problems"), (JobKind.IMPORT_TRACES, "traces")):
        assert [name for name, _ in import_forms.FORMATS[kind]] == [AUTO, *(fmt.name for fmt in formats_of(plain))]
    assert [name for name, _ in import_forms.FAMILIES] == list(FAMILIES)
