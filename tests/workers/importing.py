"""What the tests of the import stage share: do a job as a worker does, import a file, read the counts."""

import json
import time

from webapp.jobs import actions as jobs
from webapp.jobs.models import JobKind
from webapp.problems.import_actions import start_problem_import
from webapp.problems.uploads import of_path
from webapp.traces.import_actions import start_trace_import
from workers import ingest

STAGES = {JobKind.IMPORT_PROBLEMS: ingest.run_problems, JobKind.IMPORT_TRACES: ingest.run_traces}


def work(job, *, deadline=None):
    """Claim the job and run its stage to the end (or once, with a deadline); returns the job as it then is."""
    claimed = jobs.claim(job.pk)
    assert claimed is not None
    if STAGES[job.kind](claimed, time.monotonic() + 600 if deadline is None else deadline):
        jobs.finish(claimed, result=claimed.result, message=claimed.message)
    else:
        jobs.hand_over(claimed)
    claimed.refresh_from_db()
    return claimed


def import_traces(path, run_name="r", **more):
    return work(start_trace_import(of_path(path), by=None, run_name=run_name, **more))


def import_problems(path, set_name="s", **more):
    return work(start_problem_import(of_path(path), by=None, set_name=set_name, **more))


def counts(job):
    report = job.result["report"]
    assert report["read"] == report["imported"] + report["duplicates"] + report["rejected_count"]
    return report["imported"], report["duplicates"], report["rejected_count"]


def write_rows(path, *rows):
    """A file of JSON lines; a row that is text is written as it is. Returns the path."""
    path.write_text("".join((row if isinstance(row, str) else json.dumps(row)) + "\n" for row in rows))
    return path
