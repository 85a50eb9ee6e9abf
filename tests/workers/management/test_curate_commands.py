"""verify, select and export as commands: the whole back half of the loop in this process, and refusals in words."""

import io
import json

import pytest
from django.core.management import CommandError, call_command

from tests.workers.loop import add, make_problems, make_run, r1, sample
from webapp.curation.models import DatasetVersion, Export, Selection
from webapp.jobs.models import Job
from webapp.traces.models import Verdict

pytestmark = [pytest.mark.usefixtures("sent", "store"), pytest.mark.django_db(transaction=True)]


@pytest.fixture
def store(settings, tmp_path):
    settings.STORE_URL = f"file://{tmp_path / 'store'}"


@pytest.fixture
def run():
    problems = make_problems([str(i) for i in range(6)])
    run = make_run(problems, name="my run")
    add(
        run,
        *(
            sample(p, k, r1(f"thinking number {k} of {i}", str(i + (k > 2))))
            for i, p in enumerate(problems)
            for k in range(4)
        ),
    )
    return run


@pytest.fixture
def recipe(tmp_path):
    path = tmp_path / "recipe.json"
    path.write_text(json.dumps({"version": 1, "k_per_problem": 2}))
    return path


def command(*args):
    out, err = io.StringIO(), io.StringIO()
    call_command(*map(str, args), stdout=out, stderr=err)
    return out.getvalue()


def test_from_verdicts_to_files(run, recipe, tmp_path):
    assert "24 of 24 traces judged: 18 correct, 6 wrong, 0 undecidable" in command("verify", "--run", "my run")
    told = command("select", "--run", "my run", "--recipe", recipe, "--dataset", "set a")
    assert "12 of 24 traces kept, frozen as set a v1." in told
    assert "only_correct" in told
    out = tmp_path / "out"
    assert "12 rows" in command("export", "set a@1", "--format", "sft-messages-jsonl", "--out", out)
    assert sorted(path.name for path in out.iterdir()) == ["README.md", "manifest.json", "train.jsonl"]
    assert len((out / "train.jsonl").read_text().splitlines()) == 12
    again = tmp_path / "again"
    command("export", "set a", "--format", "sft-messages-jsonl", "--out", again)
    assert (again / "train.jsonl").read_bytes() == (out / "train.jsonl").read_bytes()
    assert Export.objects.count() == 1
    assert set(Job.objects.values_list("state", flat=True)) == {"done"}
    assert not list(tmp_path.glob(".out*"))


def test_queue_leaves_the_work(run, recipe):
    command("verify", "--run", "my run", "--queue")
    command("select", "--run", "my run", "--recipe", recipe, "--dataset", "d", "--queue")
    assert set(Job.objects.values_list("state", flat=True)) == {"queued"}
    assert not Verdict.objects.exists()
    assert Selection.objects.get().name == "d 1"


def test_force_judges_again(run):
    command("verify", "--run", "my run")
    command("verify", "--run", "my run")
    assert Verdict.objects.count() == 24
    command("verify", "--run", "my run", "--force")
    assert Verdict.objects.count() == 48


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (["verify", "--run", "no"], "There is no run named 'no'"),
        (["select", "--run", "no", "--recipe", "{recipe}", "--dataset", "d"], "There is no run named 'no'"),
        (["select", "--run", "my run", "--recipe", "nowhere.json", "--dataset", "d"], "nowhere.json cannot be read"),
        (["select", "--run", "my run", "--recipe", "{broken}", "--dataset", "d"], "is not JSON"),
        (["select", "--run", "my run", "--recipe", "{unknown}", "--dataset", "d"], "recipe, colour: not a field"),
        (["select", "--run", "my run", "--recipe", "{recipe}", "--dataset", "d"], "keeps none of the 24 traces"),
        (
            ["export", "nothing", "--format", "sft-messages-jsonl", "--out", "{new}"],
            "There is no dataset named 'nothing'. There is: none yet",
        ),
        (["export", "nothing", "--format", "sft-messages-jsonl"], "Say where to write"),
    ],
)
def test_refusals_say_what_to_do(run, recipe, tmp_path, args, words):
    (tmp_path / "broken.json").write_text("{")
    (tmp_path / "unknown.json").write_text('{"version": 1, "colour": 1}')
    places = {
        "recipe": recipe,
        "broken": tmp_path / "broken.json",
        "unknown": tmp_path / "unknown.json",
        "new": tmp_path / "new",
    }
    with pytest.raises(CommandError) as refused:
        command(*(arg.format(**places) for arg in args))
    assert words in str(refused.value)
    assert not DatasetVersion.objects.exists()


def test_a_folder_with_something_in_it_is_left_alone(run, recipe, tmp_path):
    command("verify", "--run", "my run")
    command("select", "--run", "my run", "--recipe", recipe, "--dataset", "d")
    out = tmp_path / "out"
    out.mkdir()
    (out / "mine.txt").write_text("mine")
    with pytest.raises(CommandError, match="exists and is not empty"):
        command("export", "d", "--format", "cold-start-parquet", "--out", out)
    assert [path.name for path in out.iterdir()] == ["mine.txt"]
    with pytest.raises(CommandError, match="has no version 7"):
        command("export", "d@7", "--format", "cold-start-parquet", "--out", tmp_path / "new")
    with pytest.raises(CommandError, match="'x' is not a version number"):
        command("export", "d@x", "--format", "cold-start-parquet", "--out", tmp_path / "new")
