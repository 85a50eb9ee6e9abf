"""`manage.py replay`: the work in this process or left to the workers, and what it refuses."""

from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from tests.workers.loop import add, make_problems, make_run, r1, sample
from webapp.jobs.models import Job, JobState
from webapp.traces.models import Trace

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("nothing_sent")]


@pytest.fixture
def run():
    (problem,) = make_problems(["3"])
    run = make_run([problem], name="brought")
    add(run, sample(problem, 0, r1("1 and 2", "3")), sample(problem, 1, r1("2 and 1", "3")))
    return run


def replay(*args):
    out, err = StringIO(), StringIO()
    call_command("replay", *args, stdout=out, stderr=err)
    return out.getvalue(), err.getvalue()


def test_all_traces_of_a_run(run, engine):
    out, _err = replay("--run", "brought", "--engine", "random")
    assert "2 traces replayed through random" in out
    assert Trace.objects.filter(run=run).exclude(store_path="").count() == 2
    assert Job.objects.get().state == JobState.DONE


def test_chosen_traces(run, engine):
    first = Trace.objects.filter(run=run).earliest("pk")
    replay("--trace", str(first.pk), "--engine", "random")
    assert list(Trace.objects.exclude(store_path="")) == [first]


def test_left_to_the_workers(run, engine, sent):
    _out, err = replay("--run", "brought", "--engine", "random", "--queue")
    job = Job.objects.get()
    assert (job.state, job.queue) == (JobState.QUEUED, "inference")
    assert "waits for a worker" in err


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (("--run", "brought", "--engine", "none"), "no engine named 'none'"),
        (("--run", "none", "--engine", "random"), "no run named 'none'"),
        (("--engine", "random"), "--run --trace"),
        (("--trace", "0", "--engine", "random"), "nothing to replay"),
    ],
)
def test_what_is_not_there_is_said(run, engine, args, words):
    if "nothing" in words:
        assert words in replay(*args)[0]
    else:
        with pytest.raises(CommandError, match=words):
            replay(*args)
