"""The import stage on real files: all rows in, nothing twice, stopped anywhere and gone on."""

import json
from collections import Counter
from functools import partial

import pytest

from tests.workers.importing import counts, import_problems, import_traces, work, write_rows
from webapp.jobs.models import JobKind, JobState
from webapp.problems.import_actions import start_preview, start_problem_import, start_procedural_import
from webapp.problems.models import Problem, ProblemSet
from webapp.problems.uploads import of_path, path_of, store
from webapp.traces.import_actions import free_run_name, start_trace_import
from webapp.traces.models import CurrentVerdict, Finding, FindingKind, Run, Trace
from workers.formats import read_traces

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("sent")]


@pytest.fixture
def write(tmp_path):
    return partial(write_rows, tmp_path / "rows.jsonl")


def test_traces_seed_all_in_and_none_twice(shared_data):
    path = shared_data / "traces_seed/traces_seed.jsonl"
    job = import_traces(path)

    assert counts(job) == (525, 0, 0)
    run = Run.objects.get(name="r")
    assert run.report == job.result["report"]
    assert (run.planned, run.problem_set.name) == (525, "r problems")
    assert counts(import_traces(path)) == (0, 525, 0)
    assert Trace.objects.count() == 525


def test_traces_seed_texts_and_provenance_survive(shared_data):
    path = shared_data / "traces_seed/traces_seed.jsonl"
    import_traces(path)
    rows = {row["id"]: row for row in map(json.loads, path.read_text().splitlines())}

    for trace in Trace.objects.select_related("problem"):
        row = rows[trace.provenance["id"]]
        assert (trace.completion, trace.reasoning, trace.prompt) == (row["raw"], row["reasoning"], row["problem"] or "")
        assert trace.problem.answer == (None if row["gold"] == "None" else row["gold"])
        assert trace.problem.verifier == ("none" if trace.problem.answer is None else "math")
        assert trace.provenance.get("upstream_verdict") == row["upstream_correct"]
        assert trace.verdict == CurrentVerdict.UNSCORED
        assert trace.think_chars + trace.answer_chars <= len(trace.completion) + len(trace.reasoning or "")


def test_findings_are_stored_under_known_names(shared_data):
    import_traces(shared_data / "traces_seed/traces_seed.jsonl")

    assert Finding.objects.filter(kind="separate_field").count() == 47
    assert set(Finding.objects.values_list("kind", flat=True)) <= set(FindingKind.values)


def test_groups_become_samples_of_one_problem(shared_data):
    job = import_traces(shared_data / "groups/groups.jsonl")

    assert counts(job) == (200, 0, 0)
    sizes = Counter(Trace.objects.values_list("problem", flat=True))
    assert sorted(sizes.values()) == [50, 50, 50, 50]
    assert Run.objects.get().samples_per_problem == 50
    for problem in Problem.objects.all():
        assert sorted(problem.traces.values_list("sample_index", flat=True)) == list(range(50))


def test_malformed_traces_all_in(shared_data):
    assert counts(import_traces(shared_data / "malformed/malformed.jsonl")) == (147, 0, 0)


@pytest.mark.parametrize(("path", "count"), [("gsm8k/test.jsonl", 1319), ("math500/math500.jsonl", 500)])
def test_problems_all_in_and_none_twice(shared_data, path, count):
    assert counts(import_problems(shared_data / path)) == (count, 0, 0)
    assert counts(import_problems(shared_data / path)) == (0, count, 0)

    assert Problem.objects.count() == count
    assert list(Problem.objects.order_by("position").values_list("position", flat=True)) == list(range(count))
    assert not Problem.objects.exclude(verifier="math").exists()


def test_equal_rows_of_one_file_are_samples_not_duplicates(write):
    row = {"prompt": "Q", "completion": "A"}
    path = write(row, row, row)

    assert counts(import_traces(path)) == (3, 0, 0)
    assert counts(import_traces(path)) == (0, 3, 0)


def test_a_longer_version_of_a_file_adds_the_new_rows(write):
    first, second = {"prompt": "Q", "completion": "A"}, {"prompt": "Q", "completion": "B"}
    import_traces(write(first))

    assert counts(import_traces(write(first, second))) == (1, 1, 0)
    assert list(Trace.objects.order_by("sample_index").values_list("completion", "sample_index")) == [
        ("A", 0),
        ("B", 1),
    ]


def test_rejected_rows_are_named_and_the_rest_comes_in(write):
    job = import_traces(write({"prompt": "Q", "completion": "A"}, "{", {"prompt": "Q"}))

    assert counts(job) == (1, 0, 2)
    assert [row["line"] for row in job.result["report"]["rejected"]] == [2, 3]


def test_rejected_list_is_capped_and_the_count_is_true(write, monkeypatch):
    monkeypatch.setattr("workers.formats.report.MAX_LISTED", 2)
    job = import_traces(write({"prompt": "Q", "completion": "A"}, *["{"] * 5))

    assert counts(job) == (1, 0, 5)
    assert len(job.result["report"]["rejected"]) == 2


def test_nothing_readable_fails_in_words_and_keeps_the_report(shared_data):
    job = start_trace_import(of_path(shared_data / "bad_inputs/05_gbk.jsonl"), by=None, run_name="r")

    with pytest.raises(ValueError, match="Line 1: not UTF-8"):
        work(job)
    assert Run.objects.get().report["rejected_count"] == 1


def test_lost_is_counted_by_field(shared_data):
    job = import_traces(shared_data / "bad_inputs/11_nan_inf.jsonl")

    assert job.result["report"]["lost"] == {"score (NaN or Infinity, stored as null)": 2}


@pytest.mark.parametrize(
    "name", ["03_bom.jsonl", "13_lone_surrogate.jsonl", "17_int53.jsonl", "19_huge_line.jsonl", "29_csv_formula.csv"]
)
def test_odd_rows_are_stored(shared_data, name):
    path = shared_data / "bad_inputs" / name
    import_traces(path)

    expected = [(record.prompt, record.completion, record.metadata, record.provenance) for record in read_traces(path)]
    assert list(Trace.objects.order_by("pk").values_list("prompt", "completion", "metadata", "provenance")) == expected


def test_upload_is_removed_after_its_import(write):
    source = store([write({"prompt": "Q", "completion": "A"}).read_bytes()], "../../etc/passwd")
    assert path_of(source.file).exists()
    job = work(start_trace_import(source, by=None, run_name="r"))

    assert job.state == JobState.DONE
    assert not path_of(source.file).exists()
    again = start_trace_import(source, by=None, run_name="r")
    with pytest.raises(ValueError, match="upload it again"):
        work(again)


def test_file_of_a_command_is_not_removed(write):
    path = write({"prompt": "Q", "completion": "A"})
    import_traces(path)

    assert path.exists()


def test_given_problem_set_takes_the_questions(write):
    problem_set = (
        work(start_problem_import(of_path(write({"prompt": "Q", "answer": "A"})), by=None, set_name="mine"))
        and ProblemSet.objects.get()
    )
    import_traces(write({"prompt": "Q", "completion": "A", "answer": "A"}), problem_set=problem_set)

    assert Run.objects.get().problem_set == problem_set
    assert Problem.objects.count() == 1


def test_names_of_import_runs(write):
    path = write({"prompt": "Q", "completion": "A"})
    source = of_path(path)
    import_traces(path, run_name="rows")

    assert free_run_name("other", sha256=source.sha256) == "rows"
    assert free_run_name("rows", sha256="0") == "rows 2"
    assert free_run_name("new", sha256="0") == "new"


def test_generated_run_takes_no_import(write):
    from webapp.traces.actions import create_run

    create_run(name="g", kind="generate", by=None)
    with pytest.raises(ValueError, match="choose another name"):
        import_traces(write({"prompt": "Q", "completion": "A"}), run_name="g")


def test_procedural_problems_are_the_same_for_the_same_seed():
    def start(name, seed):
        return work(start_procedural_import(by=None, family="gcd", size=30, seed=seed, split="heldout", set_name=name))

    assert counts(start("a", 1)) == (30, 0, 0)
    assert counts(start("a", 1)) == (0, 30, 0)
    start("b", 2)
    a, b = (set(Problem.objects.filter(problem_set__name=name).values_list("prompt", flat=True)) for name in "ab")
    assert a != b
    problem = Problem.objects.first()
    assert (problem.verifier, problem.source) == ("reasoning_gym", "procedural:gcd")
    assert " gcd heldout " in problem.tags


def test_unknown_family_fails_in_words():
    with pytest.raises(ValueError, match="unknown family 'x'"):
        work(start_procedural_import(by=None, family="x", size=3, seed=1, split="any", set_name="s"))


def test_preview_stores_nothing(shared_data, editor):
    data = (shared_data / "traces_seed/traces_seed.jsonl").read_bytes()
    job = work(start_preview(JobKind.IMPORT_TRACES, store([data], "traces_seed.jsonl"), by=editor))

    assert Trace.objects.count() == Problem.objects.count() == Run.objects.count() == 0
    assert (job.result["format"], job.result["read"], job.result["complete"]) == ("seed_traces", 525, True)
    assert job.result["findings"]["separate_field"] == 47
    assert {segment["kind"] for segment in job.result["rows"][0]["segments"]} >= {"think"}
    assert len(json.dumps(job.result)) < 60_000
