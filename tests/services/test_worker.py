"""Jobs over a real Redis by real worker processes, one of which is killed; messages lost, doubled, refused."""

import pytest
import redis

from tests.services.installation import Installation
from tests.workers import checkpoint

pytestmark = [pytest.mark.services, pytest.mark.slow]

START = """
from webapp.engines.models import Engine
from webapp.problems.actions import NewProblem, add_problems, get_or_create_set
from webapp.traces.run_actions import Sampling, start_generation
problems = get_or_create_set("set", by=None)
add_problems(problems, [NewProblem(prompt=f"What is {{i}} + {{i}}?", answer=str(2 * i), verifier="math") for i in range({problems})])
sampling = Sampling(n=4, temperature=1.0, max_tokens={tokens}, seed=1)
run = start_generation(engine=Engine.objects.get(), problem_set=problems, sampling=sampling, by=None, limit={problems})
answer = [run.pk, str(run.job_id)]
"""
JOB = "from webapp.jobs.models import Job; job = Job.objects.get(pk='{job}'); answer = {what}"
SAMPLES = """
from webapp.traces.models import Trace
answer = sorted(Trace.objects.filter(run={run}).values_list("problem__position", "sample_index", "completion"))
"""
REAP = "from webapp.jobs import actions; answer = actions.reap()"
DUE = "from django.utils import timezone; from webapp.jobs.models import Job; Job.objects.update(due_at=timezone.now())"


@pytest.fixture(scope="module")
def here(tmp_path_factory):
    folder = tmp_path_factory.mktemp("installed")
    model = checkpoint.make(folder / "model")
    with Installation(folder, SLUICE_GENERATE_BATCH="4") as installation:
        installation.ask(
            f"from pathlib import Path; from workers.registering import register; register(Path({str(model)!r}), 'random', by=None)"
        )
        installation.start_worker("inference", "inference")
        installation.start_worker("default", "default")
        yield installation


def start(here, *, problems=2, tokens=20):
    return here.ask(START.format(problems=problems, tokens=tokens))


def finished(here, job):
    here.until(JOB.format(job=job, what="job.is_finished"))
    return here.ask(JOB.format(job=job, what="[job.state, job.attempts, job.message]"))


def test_a_run_is_generated_and_verified(here):
    run, job = start(here)
    assert finished(here, job)[:2] == ["done", 1]
    assert len(here.ask(SAMPLES.format(run=run))) == 8
    verify = here.ask(
        f"from webapp.traces.models import Run; from webapp.traces.verify_actions import request_verification;"
        f"answer = str(request_verification(Run.objects.get(pk={run}), by=None).pk)"
    )
    assert finished(here, verify)[0] == "done"
    assert (
        here.ask(f"from webapp.traces.models import Verdict; answer = Verdict.objects.filter(trace__run={run}).count()")
        == 8
    )


def test_live_text_reaches_the_web_process(here):
    run, job = start(here, tokens=200)
    live = here.until(f"from django.core.cache import cache; answer = cache.get('live:{run}')")
    assert {"think", "answer", "tokens", "done"} <= set(live["samples"][0])
    assert finished(here, job)[0] == "done"


def test_a_doubled_message_makes_one_result(here):
    run, job = start(here, tokens=60)
    here.ask(f"from webapp import dispatch; [dispatch.send_job('{job}', 'inference') for _ in range(3)]")
    assert finished(here, job)[:2] == ["done", 1]
    assert len(here.ask(SAMPLES.format(run=run))) == 8


def test_a_cancelled_run_stops_and_can_go_on(here):
    run, job = start(here, problems=8, tokens=200)
    here.until(JOB.format(job=job, what="job.progress_done >= 4"))
    here.ask(
        f"from webapp.accounts.actions import first_admin; from webapp.jobs import actions; answer = actions.cancel('{job}', by=first_admin())"
    )
    assert finished(here, job)[0] == "cancelled"
    kept = here.ask(SAMPLES.format(run=run))
    assert 4 <= len(kept) < 32
    here.ask(
        f"from webapp.accounts.actions import first_admin; from webapp.jobs import actions; actions.resume('{job}', by=first_admin())"
    )
    assert finished(here, job)[0] == "done"
    whole = here.ask(SAMPLES.format(run=run))
    assert len(whole) == 32
    assert [sample for sample in whole if sample in kept] == kept


def test_a_killed_workers_job_is_finished_by_another_with_nothing_doubled(here):
    run, job = start(here, problems=8, tokens=200)
    here.until(JOB.format(job=job, what="job.progress_done >= 4"))
    here.kill("inference")
    saved = here.ask(SAMPLES.format(run=run))
    assert 4 <= len(saved) < 32
    here.start_worker("inference", "inference")
    here.until(f"{REAP}; " + JOB.format(job=job, what="job.is_finished"))

    assert here.ask(JOB.format(job=job, what="[job.state, job.attempts]")) == ["done", 2]
    whole = here.ask(SAMPLES.format(run=run))
    assert len(whole) == len({(position, index) for position, index, _text in whole}) == 32
    assert [sample for sample in whole if sample in saved] == saved


def test_a_flushed_broker_loses_nothing(here):
    here.kill("inference")
    run, job = start(here)
    with redis.Redis(unix_socket_path=str(here.socket)) as broker:
        broker.flushall()
    here.start_worker("inference", "inference")
    here.ask(DUE)
    assert here.ask(REAP) >= 1
    assert finished(here, job)[0] == "done"
    assert len(here.ask(SAMPLES.format(run=run))) == 8


def test_a_full_broker_refuses_a_message_and_the_job_is_saved(here):
    with redis.Redis(unix_socket_path=str(here.socket)) as broker:
        broker.config_set("maxmemory", "1")
        run, job = start(here)
        assert here.ask(JOB.format(job=job, what="job.state")) == "queued"
        broker.config_set("maxmemory", "256mb")
    here.ask(DUE)
    assert here.ask(REAP) >= 1
    assert finished(here, job)[0] == "done"
    assert len(here.ask(SAMPLES.format(run=run))) == 8
