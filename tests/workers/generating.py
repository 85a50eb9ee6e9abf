"""What tests of generation need: a run of random text, its job taken and done."""

from tests.workers.loop import later
from webapp.jobs import actions as jobs
from webapp.jobs.models import Job
from webapp.traces.run_actions import Sampling, start_generation
from workers import generate


def started(engine, problems, **sampling):
    fields = {"n": 3, "temperature": 1.0, "max_tokens": 24, "seed": 5} | sampling
    return start_generation(engine=engine, problem_set=problems[0].problem_set, sampling=Sampling(**fields), by=None)


def claimed(run):
    return jobs.claim(run.job_id)


def done(run):
    job = claimed(run)
    assert generate.run(job, later())
    jobs.finish(job, result=job.result, message=job.message)
    return Job.objects.get(pk=job.pk)
