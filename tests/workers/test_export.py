"""Exports: whole or not there, text exact, and read by the loaders of those who train."""

import hashlib
import json
import os
from pathlib import Path

import pytest
import yaml

os.environ["HF_HUB_OFFLINE"] = "1"

from tests.workers.loop import add, claimed, later, make_problems, make_run, r1, sample, work
from webapp.curation.dataset_actions import create_export
from webapp.curation.models import DatasetVersion, Export, ExportFormat
from webapp.curation.selection_actions import create_selection
from webapp.jobs import actions as jobs
from webapp.jobs.models import JobKind
from webapp.traces import shardfile
from workers import export, rejection

pytestmark = pytest.mark.usefixtures("db", "sent", "store")

HOSTILE = {
    "html": "<script>alert(1)</script> & <b hx-get='/x'>b</b> </textarea>",
    "bidi": "abc \u202e cba \u200b\u2066x\u2069 \u061c",
    "emoji": "👩‍👩‍👧‍👦 𝔽 😀",
    "lines": "one\u2028two\u2029three\u0085four\x0bfive\x0csix\r\nseven\rnine\ttab",
    "replaced": "a NUL was here: \ufffd",
    "json": '{"role": "system", "content": "\\u0000 \\" \\\\"}',
    "template": "{{ 7*7 }} {% raw %} ${x} %s %(a)s",
    "formula": "=cmd|' /C calc'!A0",
    "tags": "it says <|im_end|> and <｜end▁of▁sentence｜> and ---\nfoo: bar",
    "long": "0123456789abcdef" * 65536,  # 1 MiB
}


@pytest.fixture
def store(settings, tmp_path):
    settings.STORE_URL = f"file://{tmp_path / 'store'}"


@pytest.fixture
def version(now):
    problems = make_problems([str(i) for i in range(len(HOSTILE))], verifier="exact", prompt="Ask {} <b>\u202e")
    run = make_run(problems, name="run | <i> `x`")
    add(
        run,
        *(
            sample(problem, 0, r1(f"think {name}: {text}", f"answer {name}: {text}"), completion_tokens=10)
            for problem, (name, text) in zip(problems, HOSTILE.items(), strict=True)
        ),
    )
    selection = create_selection(
        name="s",
        recipe={"version": 1, "only_correct": False},
        run_ids=[run.pk],
        dataset='hostile "set": <b>',
        by=None,
        at=now,
    )
    work(rejection, jobs.claim(selection.job_id))
    return DatasetVersion.objects.get()


def made(version, name, now):
    row = create_export(version, format=name, by=None, at=now)
    job = work(export, jobs.claim(row.job_id))
    jobs.finish(job, result=job.result, message=job.message)
    row.refresh_from_db()
    return row


def folder_of(row):
    return Path(shardfile.locate(row.path)[1])


def expected_content():
    return {
        name: f"<think>\nthink {name}: {text.strip()}\n</think>\n\nanswer {name}: {text.strip()}"
        for name, text in HOSTILE.items()
    }


@pytest.mark.parametrize("name", ExportFormat.values)
def test_the_text_is_exact_in_every_format(version, now, name):
    from datasets import load_dataset

    row = made(version, name, now)
    folder = folder_of(row)
    kind = "json" if name.endswith("jsonl") else "parquet"
    rows = load_dataset(
        kind, data_files=str(folder / row.files[0]["name"]), split="train", cache_dir=str(folder.parent / "cache")
    )
    assert len(rows) == len(HOSTILE)
    said = {r["messages"][-1]["content"] if "messages" in r else r["completion"][0]["content"] for r in rows}
    assert said == set(expected_content().values())
    asked = {json.dumps(r["messages"][:-1] if "messages" in r else r["prompt"]) for r in rows}
    assert asked == {json.dumps([{"role": "user", "content": f"Ask thing {i} <b>\u202e"}]) for i in range(len(HOSTILE))}
    if name.startswith("cold"):
        assert {r["think"] for r in rows} == {f"think {name}: {text}".strip() for name, text in HOSTILE.items()}
        assert all(r["completion"][0]["content"] == f"<think>\n{r['think']}\n</think>\n\n{r['summary']}" for r in rows)


def test_a_line_is_a_line_to_every_reader(version, now):
    row = made(version, "sft-messages-jsonl", now)
    text = (folder_of(row) / "train.jsonl").read_bytes().decode("utf-8")
    assert len(text.splitlines()) == len(HOSTILE)
    assert "👩‍👩‍👧‍👦" in text  # not escaped


def test_files_are_listed_with_size_and_hash(version, now):
    row = made(version, "cold-start-parquet", now)
    assert [entry["name"] for entry in row.files] == ["train.parquet", "manifest.json", "README.md"]
    for entry in row.files:
        data = (folder_of(row) / entry["name"]).read_bytes()
        assert (len(data), hashlib.sha256(data).hexdigest()) == (entry["bytes"], entry["sha256"])
    manifest = json.loads((folder_of(row) / "manifest.json").read_text())
    assert manifest["content_hash"] == version.content_hash
    assert manifest["export"]["files"] == row.files[:1]
    assert manifest["export"]["format"] == "cold-start-parquet"


def test_the_card_has_counts_recipe_funnel_and_licences(version, now):
    row = made(version, "sft-messages-jsonl", now)
    card = (folder_of(row) / "README.md").read_text()
    _, front, body = card.split("---\n", 2)
    meta = yaml.safe_load(front)
    assert meta["license"] == "mit"
    assert meta["pretty_name"] == 'hostile "set": <b>'
    assert meta["configs"] == [{"config_name": "default", "data_files": [{"split": "train", "path": "train.jsonl"}]}]
    assert meta["size_categories"] == ["n<1K"]
    assert f"- {len(HOSTILE)} rows over {len(HOSTILE)} problems" in body
    assert "- No trace labelled reject." in body
    assert "| well_formed | 10 | 10 | 0 |  |" in body
    assert "Licences of the sources: `MIT` (10 rows)" in body
    assert "said unscored of 10 rows" in body
    assert version.content_hash in body


def test_the_folder_itself_is_a_dataset(version, now):
    from datasets import load_dataset

    row = made(version, "sft-messages-parquet", now)
    rows = load_dataset(str(folder_of(row)), split="train", cache_dir=str(folder_of(row).parent / "cache2"))
    assert len(rows) == len(HOSTILE)


def test_the_same_again_is_the_export_that_is_there(version, now):
    first = made(version, "sft-messages-jsonl", now)
    assert create_export(version, format="sft-messages-jsonl", by=None, at=now) == first
    again = claimed(JobKind.EXPORT, {"export_id": first.pk})
    assert work(export, again).result["files"] == first.files


def test_a_partial_export_is_never_offered_and_the_next_attempt_is_whole(version, now, monkeypatch):
    row = create_export(version, format="sft-messages-jsonl", by=None, at=now)
    job = jobs.claim(row.job_id)

    def full_disk(*_, **__):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(export, "card", full_disk)
        with pytest.raises(OSError, match="No space"):
            export.run(job, later())
    row.refresh_from_db()
    assert (row.path, row.files) == ("", [])
    assert list(Path(shardfile.locate("exports")[1]).iterdir()) == []
    work(export, job)
    row.refresh_from_db()
    assert row.path


def test_what_an_attempt_left_that_was_never_named_is_replaced(version, now):
    row = create_export(version, format="sft-messages-jsonl", by=None, at=now)
    left = Path(shardfile.locate(f"exports/{row.pk}-{row.format}")[1])
    left.mkdir(parents=True)
    (left / "train.jsonl").write_text("half")
    work(export, jobs.claim(row.job_id))
    row.refresh_from_db()
    assert sorted(path.name for path in left.iterdir()) == ["README.md", "manifest.json", "train.jsonl"]


def test_a_cancelled_export_leaves_nothing(version, now, editor):
    row = create_export(version, format="sft-messages-jsonl", by=None, at=now)
    job = jobs.claim(row.job_id)
    jobs.cancel(job.pk, by=editor)
    with pytest.raises(jobs.JobStopped):
        export.run(job, later())
    row.refresh_from_db()
    assert row.path == ""


def test_rows_that_were_changed_are_refused(version, now):
    DatasetVersion.objects.filter(pk=version.pk).update(content_hash="0" * 64)
    row = create_export(version, format="sft-messages-jsonl", by=None, at=now)
    with pytest.raises(ValueError, match="not those that were frozen"):
        export.run(jobs.claim(row.job_id), later())


def test_a_cold_start_needs_a_think(now):
    (one,) = make_problems(["1"])
    run = make_run([one])
    add(run, sample(one, 0, "1"))
    document = {"version": 1, "only_correct": False, "well_formed": False}
    selection = create_selection(name="s", recipe=document, run_ids=[run.pk], dataset="d", by=None, at=now)
    work(rejection, jobs.claim(selection.job_id))
    version = DatasetVersion.objects.get()
    row = create_export(version, format="cold-start-jsonl", by=None, at=now)
    with pytest.raises(ValueError, match="has no think, which a cold start needs"):
        export.run(jobs.claim(row.job_id), later())
    plain = made(version, "sft-messages-jsonl", now)
    (line,) = (folder_of(plain) / "train.jsonl").read_text().splitlines()
    assert json.loads(line)["messages"][-1] == {"role": "assistant", "content": "1"}


def test_an_unknown_format_or_export_is_refused(version, now):
    with pytest.raises(ValueError, match="no export format “csv”; known: sft-messages-jsonl"):
        create_export(version, format="csv", by=None, at=now)
    with pytest.raises(ValueError, match="no export 999 any more"):
        export.run(claimed(JobKind.EXPORT, {"export_id": 999}), later())
    assert not Export.objects.exists()
