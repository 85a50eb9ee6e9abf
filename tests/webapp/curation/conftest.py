"""Traces to label and select from; a second annotator, so that two can meet; a browser for the pages that move."""

import hashlib
import io

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from django.utils import timezone

from webapp.accounts.models import User
from webapp.curation import dataset_actions, recipe_form, selection_actions
from webapp.curation.models import Fate
from webapp.jobs.models import Job, JobState
from webapp.problems.actions import NewProblem, add_problems, get_or_create_set
from webapp.traces.actions import add_traces, create_run
from webapp.traces.models import RunKind, Trace
from webapp.traces.records import NewTrace
from webapp.traces.shardfile import locate

FORMAT = "sft-messages-jsonl"
CONTENT = {
    "train.jsonl": b'{"messages": []}\n' * 50_000,
    "manifest.json": b"{}",
    "README.md": b"# a card <script>alert(3)</script>",
}
FUNNEL = [
    {"step": "candidates", "problems": 5, "traces": 5},
    {"step": "only_correct", "problems": 3, "traces": 3, "rejected": 2, "reasons": {"unscored": 1, "wrong": 1}},
    {"step": "well_formed", "problems": 3, "traces": 3, "rejected": 0, "reasons": {}},
    {"step": "kept", "problems": 3, "traces": 3, "rejected": 0, "reasons": {}},
]
HOSTILE = [  # of data/bad_inputs 22-26: what a model may write
    "<script>alert(1)</script><img src=x onerror=alert(2)>",
    "<div hx-get='/account/' hx-trigger='load'>x</div>",
    "{{ settings.SECRET_KEY }}{% include 'x' %}",
    "\u202egnorw\u202c \u200bzero\x1b[31mred",
]


@pytest.fixture
def other_annotator(db):
    return User.objects.create_user("olga", password="correct horse battery staple", role="annotator")


def make_run(name, texts, by=None):
    """A run with one problem and one sample a text: think, then answer."""
    problem_set = get_or_create_set(f"set of {name}", by=by)
    run = create_run(name=name, kind=RunKind.IMPORT, problem_set=problem_set, by=by, planned=len(texts))
    ids = add_problems(
        problem_set, [NewProblem(prompt=f"Question {n} of {name}?", answer="4") for n in range(len(texts))]
    )
    samples = []
    for problem_id, text in zip(ids, texts, strict=True):
        completion = f"<think>{text}</think>the answer"
        end = len("<think>") + len(text)
        samples.append(
            NewTrace(
                problem_id=problem_id, sample_index=0, prompt="Question?", completion=completion, created_at=timezone.now(),
                segments=[
                    {"kind": "prompt", "field": "prompt", "start": 0, "end": 9, "token_start": None, "token_end": None},
                    {"kind": "other", "field": "completion", "start": 0, "end": 7, "token_start": None, "token_end": None},
                    {"kind": "think", "field": "completion", "start": 7, "end": end, "token_start": None, "token_end": None},
                    {"kind": "other", "field": "completion", "start": end, "end": end + 8, "token_start": None, "token_end": None},
                    {"kind": "answer", "field": "completion", "start": end + 8, "end": len(completion), "token_start": None, "token_end": None},
                ],
            )
        )  # fmt: skip
    add_traces(run, samples)
    return run


@pytest.fixture
def run(db):
    return make_run("first", [f"thought {n}" for n in range(5)])


@pytest.fixture
def traces(run):
    return list(Trace.objects.filter(run=run).order_by("pk"))


@pytest.fixture(autouse=True)
def broker(sent):
    return sent


@pytest.fixture(autouse=True)
def store(settings, tmp_path):
    settings.STORE_URL = f"file://{tmp_path}/store"
    return tmp_path / "store"


def put(path, data):
    filesystem, full = locate(path)
    filesystem.makedirs(full.rsplit("/", 1)[0], exist_ok=True)
    filesystem.pipe_file(full, data)


def make_version(run, by, now, texts, *, dataset="cold start", number=1):
    recipe = recipe_form.presets()["cold-start"].as_document()
    name = f"{dataset} {number}"
    drawn = selection_actions.create_selection(
        name=name, recipe=recipe, run_ids=[run.pk], dataset=dataset, by=by, at=now
    )
    ids = list(run.traces.order_by("pk").values_list("pk", flat=True))
    rows = [
        {"trace_id": pk, "prompt": "Question?", "think": text, "answer": "4"}
        for pk, text in zip(ids, texts, strict=False)
    ]
    buffer = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(rows), buffer)
    path = f"datasets/{drawn.pk}/rows.parquet"
    put(path, buffer.getvalue())
    frozen = dataset_actions.FrozenRows(
        path=path, count=len(rows), content_hash=hashlib.sha256(buffer.getvalue()).hexdigest()
    )
    manifest = {"recipe": recipe, "parents": [{"name": run.name, "engine": None}], "models": {"my_model": len(rows)}}
    return dataset_actions.add_version(drawn, dataset=dataset, rows=frozen, manifest=manifest, by=by, at=now)


@pytest.fixture
def version(run, editor, now):
    return make_version(run, editor, now, ["thought one", HOSTILE[0], HOSTILE[3]])


@pytest.fixture
def export(version, editor, now):
    made = dataset_actions.create_export(version, format=FORMAT, by=editor, at=now)
    files = [{"name": n, "bytes": len(d), "sha256": hashlib.sha256(d).hexdigest()} for n, d in CONTENT.items()]
    for name, data in CONTENT.items():
        put(f"exports/{made.pk}/{name}", data)
    dataset_actions.finish_export(made, path=f"exports/{made.pk}", files=files)
    Job.objects.filter(pk=made.job.pk).update(state=JobState.DONE)
    return made


@pytest.fixture
def finished(run, editor, now):
    """A selection that ran: three kept, two rejected."""
    recipe = recipe_form.presets()["sft"].as_document()
    row = selection_actions.create_selection(
        name="first", recipe=recipe, run_ids=[run.pk], dataset="set", by=editor, at=now
    )
    ids = Trace.objects.filter(run=run).order_by("pk").values_list("pk", flat=True)
    fates = [(Fate.KEPT, "kept", "")] * 3 + [(Fate.REJECTED, "only_correct", "verdict: wrong")] * 2
    fate_rows = [selection_actions.NewCandidate(pk, *fate) for pk, fate in zip(ids, fates, strict=True)]
    selection_actions.store_outcome(row, fate_rows, FUNNEL)
    Job.objects.filter(pk=row.job.pk).update(state=JobState.DONE)
    return row


@pytest.fixture
def open_as(browsing):
    """Open a page of the browser, logged in as someone."""
    return browsing.open
