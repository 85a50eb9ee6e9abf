"""What the tests of the import pages share: a row, upload, the worker's part, the confirmation."""

import json
import time

from django.core.files.uploadedfile import SimpleUploadedFile
from django.urls import reverse

from webapp.jobs import actions as jobs
from webapp.jobs.models import Job, JobKind
from workers import ingest
from workers.formats import AUTO

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
