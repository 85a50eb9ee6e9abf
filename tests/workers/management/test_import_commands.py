"""The import commands: what they print, what they leave, how they fail."""

import json

import pytest
from django.core.management import CommandError, call_command

from webapp.jobs.models import Job, JobState
from webapp.problems.models import Problem, ProblemSet
from webapp.problems.uploads import path_of
from webapp.traces.models import Run, Trace

pytestmark = pytest.mark.django_db(transaction=True)


def test_import_traces_and_again(shared_data, tmp_path, sent, capsys):
    path = shared_data / "traces_seed/traces_seed.jsonl"
    call_command("import_traces", path, report=tmp_path / "report.json")

    assert "525 imported, 0 duplicates, 0 rejected (run 'traces_seed', format seed_traces)" in capsys.readouterr().out
    report = json.loads((tmp_path / "report.json").read_text())
    assert (report["format"], report["read"], report["imported"], report["rejected"]) == ("seed_traces", 525, 525, [])
    call_command("import_traces", path)
    assert "0 imported, 525 duplicates" in capsys.readouterr().out
    assert Run.objects.count() == 1


def test_import_problems(shared_data, sent, capsys):
    call_command("import_problems", shared_data / "gsm8k/test.jsonl", "--set", "GSM8K")
    call_command("import_problems", shared_data / "math500/math500.jsonl")

    assert capsys.readouterr().out.splitlines() == [
        "1,319 imported, 0 duplicates, 0 rejected", "500 imported, 0 duplicates, 0 rejected",
    ]  # fmt: skip
    assert set(ProblemSet.objects.values_list("name", flat=True)) == {"GSM8K", "math500"}


def test_import_problems_procedural(sent, capsys):
    call_command("import_problems", "--procedural", "chain_sum", "--size", "5", "--seed", "3")

    assert ProblemSet.objects.get().name == "chain_sum 5 seed 3"
    assert Problem.objects.count() == 5


def test_job_done_here_is_claimed_before_any_worker_hears_of_it(shared_data, monkeypatch):
    states = []
    monkeypatch.setattr(
        "webapp.dispatch.send_job", lambda job_id, queue: states.append(Job.objects.get(pk=job_id).state) or True
    )
    call_command("import_traces", shared_data / "bad_inputs/03_bom.jsonl")

    assert states == []  # so no worker hears of it at all
    assert Job.objects.get().state == JobState.DONE


def test_queue_copies_the_file_and_leaves_the_work(shared_data, sent):
    call_command("import_traces", shared_data / "bad_inputs/03_bom.jsonl", "--queue")
    job = Job.objects.get()

    assert (job.state, sent) == (JobState.QUEUED, [(job.pk, "default")])
    assert path_of(job.args["file"]).read_bytes() == (shared_data / "bad_inputs/03_bom.jsonl").read_bytes()
    assert Trace.objects.count() == 0


def test_rejected_rows_are_printed(shared_data, sent, capsys):
    call_command("import_traces", shared_data / "bad_inputs/07_truncated_last.jsonl")

    assert "line 4: not JSON" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("name", "words"),
    [("01_empty.jsonl", "no records"), ("33_not_parquet.parquet", "not a Parquet file"), ("05_gbk.jsonl", "not UTF-8")],
)
def test_failure_is_an_error_in_words_and_no_job_is_left(shared_data, sent, name, words):
    with pytest.raises(CommandError, match=words):
        call_command("import_traces", shared_data / "bad_inputs" / name)

    assert Job.objects.get().state == JobState.FAILED
    assert words in Job.objects.get().message


def test_mistakes_of_the_caller(tmp_path, sent):
    for arguments in (
        ["import_traces", tmp_path / "none"],
        ["import_problems"],
        ["import_problems", "x", "--procedural", "gcd"],
    ):
        with pytest.raises(CommandError):
            call_command(*arguments)
    with pytest.raises(CommandError, match="no problem set 'x'"):
        call_command("import_traces", tmp_path / "none", "--set", "x")
    assert not Job.objects.exists()
