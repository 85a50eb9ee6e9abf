"""`generate` and `register_engine` from the command line: what they print, what they leave, how they fail."""

import pytest
from django.core.management import CommandError, call_command

from tests.workers import checkpoint
from tests.workers.loop import make_problems
from webapp.engines.models import Engine
from webapp.jobs.models import Job, JobState
from webapp.traces.models import Run, Trace

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("nothing_sent")]


def test_register_and_generate(folder, capsys):
    call_command("register_engine", folder, "--name", "random")
    problems = make_problems(["1", "2", "3"], set_name="sums")
    call_command(
        "generate",
        "--set",
        "sums",
        "--engine",
        "random",
        "-n",
        "2",
        "--limit",
        "2",
        "--run",
        "mine",
        "--seed",
        "9",
        "--max-tokens",
        "20",
    )
    run = Run.objects.get(name="mine")

    assert Engine.objects.get().name == "random"
    assert Trace.objects.filter(run=run).count() == 4
    assert set(Trace.objects.values_list("problem_id", flat=True)) == {problems[0].pk, problems[1].pk}
    assert (run.params["seed"], run.params["temperature"], run.job.state) == (9, 0.6, JobState.DONE)
    assert "mine: 4 samples" in capsys.readouterr().out


def test_most_tokens_follows_the_context(engine):
    make_problems(["1"], set_name="sums")
    call_command("generate", "--set", "sums", "--engine", "random", "-n", "1")
    assert Run.objects.get().params["max_tokens"] == 128


def test_queue_only_creates_the_job(engine, sent):
    make_problems(["1"], set_name="sums")
    call_command("generate", "--set", "sums", "--engine", "random", "--queue")
    job = Job.objects.get()
    assert (job.state, sent) == (JobState.QUEUED, [(job.pk, "inference")])
    assert not Trace.objects.exists()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--set", "none", "--engine", "random"], "There is no problem set named 'none'. There is: sums"),
        (["--set", "sums", "--engine", "none"], "There is no engine named 'none'. There is: random"),
        (["--set", "sums", "--engine", "random", "--max-tokens", "256"], "leaves no room for a prompt"),
        (["--set", "sums", "--engine", "random", "-n", "0"], "n must lie between 1 and"),
        (["--set", "sums", "--engine", "random", "--temperature", "3"], "temperature must lie between"),
        (["--set", "sums", "--engine", "random", "--run", "taken"], "choose another name"),
    ],
)
def test_mistakes_are_told_and_leave_nothing(engine, arguments, words):
    problems = make_problems(["1"], set_name="sums")
    Run.objects.create(name="taken", kind="import", problem_set=problems[0].problem_set, created_at=engine.created_at)
    with pytest.raises(CommandError) as told:
        call_command("generate", *arguments)
    assert words in str(told.value)
    assert not Job.objects.exists()
    assert Run.objects.count() == 1


def test_register_refuses_in_words(tmp_path):
    where = checkpoint.make(tmp_path / "pickled")
    (where / "model.safetensors").rename(where / "pytorch_model.bin")
    with pytest.raises(CommandError, match="Convert them to safetensors"):
        call_command("register_engine", where, "--name", "x")
    with pytest.raises(CommandError, match="not a directory"):
        call_command("register_engine", tmp_path / "none", "--name", "x")
    assert not Engine.objects.exists()
