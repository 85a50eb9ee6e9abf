"""The import pages with the fixed cast: upload, preview, confirm, report; refusals, repeated and mistaken requests."""

import json
import time
import uuid

import pytest
from django.conf import settings
from django.core.files.uploadedfile import SimpleUploadedFile
from django.urls import reverse

from webapp.jobs import actions as jobs
from webapp.jobs.models import Job, JobKind, JobState
from webapp.problems import import_forms
from webapp.problems.models import Problem, ProblemSet
from webapp.problems.uploads import path_of
from webapp.traces.models import Run, Trace
from workers import ingest
from workers.formats import AUTO, formats_of
from workers.trainers.families import FAMILIES

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("sent")]

ROW = {"prompt": "1+1?", "answer": "2", "completion": "<think>one and one</think>2"}
NAMES = ["problems", "traces"]
HTMX = {"HX-Request": "true"}


def lines(*rows):
    return "".join(json.dumps(row) + "\n" for row in rows).encode()


def upload(client, app, data, name="my file.jsonl"):
    return client.post(reverse(f"{app}:import"), {"file": SimpleUploadedFile(name, data)})


def work(job):
    """Do the job as a worker does; a ValueError fails it."""
    stage = {JobKind.IMPORT_PROBLEMS: ingest.run_problems, JobKind.IMPORT_TRACES: ingest.run_traces}[job.kind]
    claimed = jobs.claim(job.pk)
    try:
        assert stage(claimed, time.monotonic() + 60)
    except ValueError as error:
        jobs.fail(claimed, str(error))
    else:
        jobs.finish(claimed, result=claimed.result, message=claimed.message)
    claimed.refresh_from_db()
    return claimed


def looked_into(client, app, data, name="my file.jsonl"):
    """Upload and have the worker look: the preview job."""
    assert upload(client, app, data, name).status_code == 302
    return work(Job.objects.latest("created_at"))


def confirm(client, app, job, **data):
    return client.post(
        reverse(f"{app}:import_preview", args=[job.pk]), {"name": "mine", "format": AUTO, "import": "1", **data}
    )


@pytest.fixture
def as_editor(client, editor):
    client.force_login(editor)
    return client


@pytest.mark.parametrize("app", NAMES)
def test_upload_page_is_a_plain_form_with_a_labelled_input(as_editor, app):
    page = as_editor.get(reverse(f"{app}:import"))

    assert page.status_code == 200
    assert b'enctype="multipart/form-data"' in page.content
    assert b'<label class="dropzone-title" for="id_file">' in page.content


@pytest.mark.parametrize("app", NAMES)
def test_whole_way(as_editor, app, sent, django_capture_on_commit_callbacks):
    with django_capture_on_commit_callbacks(execute=True):
        answer = upload(as_editor, app, lines(ROW))
    job = Job.objects.get()
    assert answer.url == reverse(f"{app}:import_preview", args=[job.pk])
    assert sent == [(job.pk, "default")]

    waiting = as_editor.get(answer.url).content.decode()
    assert 'hx-trigger="every 700ms"' in waiting
    assert '<noscript><meta http-equiv="refresh"' in waiting
    work(job)
    assert not Problem.objects.exists()
    seen = as_editor.get(answer.url).content.decode()
    assert "1+1?" in seen
    assert "Import 1 row" in seen
    assert 'value="my file"' in seen
    assert "hx-trigger" not in seen

    answer = confirm(as_editor, app, job)
    import_job = Job.objects.latest("created_at")
    assert answer.url == reverse(f"{app}:import_report", args=[import_job.pk])
    assert 'hx-trigger="every 1s"' in as_editor.get(answer.url).content.decode()
    work(import_job)
    page = as_editor.get(answer.url).content.decode()
    assert "1 imported, 0 duplicates, 0 rejected" in page
    assert "hx-trigger" not in page
    assert Problem.objects.count() == 1
    report = as_editor.get(reverse(f"{app}:import_report_file", args=[import_job.pk]))
    assert report.headers["Content-Disposition"] == f'attachment; filename="import-{import_job.pk}.json"'
    assert (report.json()["imported"], report.json()["rejected"], report.json()["lost"]) == (1, [], {})


def test_trace_preview_shows_segments_findings_and_gold(as_editor):
    job = looked_into(as_editor, "traces", lines(ROW, {**ROW, "completion": "a</think>b", "correct": True, "extra": 1}))
    page = as_editor.get(reverse("traces:import_preview", args=[job.pk])).content.decode()

    assert '<div class="import-segment think">' in page
    assert '<div class="import-segment answer">' in page
    assert "no opening tag · 1" in page
    assert "one and one" in page
    assert "prompt and completion" in page
    assert "kept as provenance" in page
    assert "extra" in page


def test_confirmed_traces_make_a_run_with_the_name_given(as_editor):
    job = looked_into(as_editor, "traces", lines(ROW))
    confirm(as_editor, "traces", job, name="  my   run ")
    done = work(Job.objects.latest("created_at"))

    run = Run.objects.get()
    assert (run.name, run.problem_set.name, run.created_by.username) == ("my run", "my run problems", "emmy")
    assert (
        reverse("traces:run", args=[run.pk])
        in as_editor.get(reverse("traces:import_report", args=[done.pk])).content.decode()
    )


def test_fragment_and_page_share_a_view(as_editor):
    job = looked_into(as_editor, "traces", lines(ROW))
    fragment = as_editor.get(reverse("traces:import_preview", args=[job.pk]), headers=HTMX).content.decode()

    assert "<html" not in fragment
    assert 'id="understood"' in fragment


def test_rejected_rows_are_shown_before_anything_is_stored(as_editor):
    job = looked_into(as_editor, "traces", lines(ROW) + b"{broken\n" + lines({"prompt": "Q"}))
    page = as_editor.get(reverse("traces:import_preview", args=[job.pk])).content.decode()

    assert "not JSON" in page
    assert "there is no completion" in page


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("33_not_parquet.parquet", "not a Parquet file"),
        ("53_wide.parquet", "5,000 columns"),
        ("31_csv_semicolon_dup_header.csv", "separated by commas"),
        ("35_zip_bomb.eval", "ZIP archive"),
        ("05_gbk.jsonl", "not UTF-8"),
    ],
)
def test_file_that_cannot_be_read_is_named_and_not_offered(as_editor, shared_data, name, words):
    job = looked_into(as_editor, "traces", (shared_data / "bad_inputs" / name).read_bytes(), name)
    page = as_editor.get(reverse("traces:import_preview", args=[job.pk])).content.decode()

    assert words in page
    assert 'name="import"' not in page
    assert confirm(as_editor, "traces", job).status_code == 422
    assert not Run.objects.exists()


def test_empty_file_and_no_file(as_editor):
    for data in ({}, {"file": SimpleUploadedFile("a.jsonl", b"")}):
        answer = as_editor.post(reverse("traces:import"), data)
        assert answer.status_code == 422
        assert "errorlist" in answer.content.decode()
    assert not Job.objects.exists()


def test_hostile_text_stays_text(as_editor, shared_data):
    for name in ("23_htmx_attrs.jsonl", "25_django_template.jsonl"):
        job = looked_into(as_editor, "traces", (shared_data / "bad_inputs" / name).read_bytes(), "<b>x</b>.jsonl")
        page = as_editor.get(reverse("traces:import_preview", args=[job.pk])).content.decode()

        assert "<div hx-get=" not in page
        assert "<b>x</b>" not in page
        assert settings.SECRET_KEY not in page


def test_file_name_is_never_a_path(as_editor):
    upload(as_editor, "traces", lines(ROW), "../../../tmp/evil.jsonl")
    job = Job.objects.get()

    assert path_of(job.args["file"]).parent == settings.DATA_DIR / "uploads"
    assert uuid.UUID(job.args["file"]).hex == job.args["file"]
    assert path_of(job.args["file"]).stat().st_mode & 0o777 == 0o600


def test_too_large_a_file_leaves_nothing(as_editor, settings):
    settings.MAX_UPLOAD_BYTES = 10
    before = set((settings.DATA_DIR / "uploads").glob("*"))
    answer = upload(as_editor, "traces", lines(ROW))

    assert answer.status_code == 422
    assert "larger than" in answer.content.decode()
    assert set((settings.DATA_DIR / "uploads").glob("*")) == before


def test_looking_again_in_another_format(as_editor):
    job = looked_into(as_editor, "traces", lines(ROW))
    answer = confirm(as_editor, "traces", job, format="seed_traces")
    again = Job.objects.latest("created_at")

    assert answer.url == reverse("traces:import_preview", args=[again.pk])
    assert (again.args["format"], again.args["file"]) == ("seed_traces", job.args["file"])
    assert work(again).result["rejected_count"] == 1


def test_confirming_twice_imports_once(as_editor):
    job = looked_into(as_editor, "traces", lines(ROW))
    first, second = confirm(as_editor, "traces", job), confirm(as_editor, "traces", job, name="another")

    assert first.url == second.url
    work(Job.objects.latest("created_at"))
    assert confirm(as_editor, "traces", job).url == first.url
    assert Trace.objects.count() == Run.objects.count() == 1
    assert "imported already" in as_editor.get(reverse("traces:import_preview", args=[job.pk])).content.decode()


def test_same_file_again_is_offered_the_same_run_and_adds_nothing(as_editor):
    confirm(as_editor, "traces", looked_into(as_editor, "traces", lines(ROW)), name="first")
    work(Job.objects.latest("created_at"))
    job = looked_into(as_editor, "traces", lines(ROW), "renamed.jsonl")

    page = as_editor.get(reverse("traces:import_preview", args=[job.pk])).content.decode()
    assert 'value="first"' in page
    assert "went into the run first before" in page
    confirm(as_editor, "traces", job, name="first")
    assert work(Job.objects.latest("created_at")).result["report"]["duplicates"] == 1


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


def test_procedural_set(as_editor):
    answer = as_editor.post(
        reverse("problems:import_procedural"), {"family": "gcd", "size": 4, "seed": 1, "split": "heldout"}
    )
    job = work(Job.objects.get())

    assert answer.url == reverse("problems:import_report", args=[job.pk])
    assert ProblemSet.objects.get().name == "gcd 4 seed 1"
    assert Problem.objects.count() == 4
    assert reverse("problems:set", args=[ProblemSet.objects.get().pk]) in as_editor.get(answer.url).content.decode()


def test_procedural_mistakes(as_editor):
    answer = as_editor.post(
        reverse("problems:import_procedural"), {"family": "x", "size": 0, "seed": 1, "split": "heldout"}
    )

    assert answer.status_code == 422
    assert answer.content.decode().count('class="errorlist"') == 2
    assert not Job.objects.exists()


def test_failed_import_keeps_its_report(as_editor):
    job = looked_into(as_editor, "traces", lines(ROW))
    confirm(as_editor, "traces", job)
    import_job = Job.objects.latest("created_at")
    path_of(job.args["file"]).write_bytes(b"{\n" + b'{"x": 1\n' * 30)
    failed = work(import_job)
    page = as_editor.get(reverse("traces:import_report", args=[failed.pk])).content.decode()

    assert failed.state == JobState.FAILED
    assert "Nothing was imported" in page
    assert "not JSON" in page


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
