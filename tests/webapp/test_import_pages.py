"""The import pages with the fixed cast: upload, preview, confirm, report. Refusals have their own file."""

import uuid

import pytest
from django.conf import settings
from django.urls import reverse

from tests.webapp.importing import HTMX, NAMES, ROW, confirm, lines, looked_into, upload, work
from webapp.jobs.models import Job, JobState
from webapp.problems.models import Problem, ProblemSet
from webapp.problems.uploads import path_of
from webapp.traces.models import Run, Trace

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("sent")]


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


def test_procedural_set(as_editor):
    answer = as_editor.post(
        reverse("problems:import_procedural"), {"family": "gcd", "size": 4, "seed": 1, "split": "heldout"}
    )
    job = work(Job.objects.get())

    assert answer.url == reverse("problems:import_report", args=[job.pk])
    assert ProblemSet.objects.get().name == "gcd 4 seed 1"
    assert Problem.objects.count() == 4
    assert reverse("problems:set", args=[ProblemSet.objects.get().pk]) in as_editor.get(answer.url).content.decode()


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
