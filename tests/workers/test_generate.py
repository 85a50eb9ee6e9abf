"""The generation stage against a real engine with random weights: what it saves, resumes, cancels, and refuses."""

import numpy as np
import pytest
from django.core.cache import cache

from tests.workers import checkpoint
from tests.workers.generating import claimed, done, started
from tests.workers.loop import LONG_AGO, later, make_problems
from webapp.jobs import actions as jobs
from webapp.jobs.models import Job, JobState
from webapp.traces import tokenstore
from webapp.traces.models import Finding, Run, Trace
from workers import generate, loaded
from workers.live import live_key
from workers.planning import seed_of
from workers.registering import register

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("nothing_sent")]


def test_saves_each_sample_with_text_tokens_segments_and_facts(engine):
    problems = make_problems(["1", "2"])
    run = started(engine, problems)
    job = done(run)
    traces = list(Trace.objects.filter(run=run).order_by("problem__position", "sample_index"))

    assert [(t.problem_id, t.sample_index) for t in traces] == [(p.pk, i) for p in problems for i in range(3)]
    for trace in traces:
        assert trace.prompt == f"<｜begin▁of▁sentence｜><｜User｜>{trace.problem.prompt}<｜Assistant｜>"
        assert "<｜end▁of▁sentence｜>" not in trace.completion
        assert trace.finish_reason in {"stop", "length"}
        assert trace.completion_tokens <= 24
        assert trace.seed == seed_of(5, trace.problem.key, trace.sample_index)
        assert trace.mean_logprob < 0 < trace.mean_entropy
        assert 0 < trace.duration_seconds < 60
        assert trace.provenance == {"engine": "random", "checkpoint": engine.checkpoint_hash, "batch": 6}
        assert [s["token_start"] for s in trace.segments if s["kind"] == "prompt"] == [0]
    assert job.progress_done == job.progress_total == 6
    assert job.result["tokens"] == sum(t.completion_tokens for t in traces)
    assert job.result["seconds"] > 0
    assert Finding.objects.filter(trace__run=run, kind="no_think").count() == 6


def test_stored_tokens_say_the_text_exactly(engine, folder):
    run = started(engine, make_problems(["1"]), max_tokens=60)
    done(run)
    from inference import Tokenizer

    tokenizer = Tokenizer.from_path(folder)
    for trace in Trace.objects.filter(run=run):
        arrays = tokenstore.read(trace.store_path, trace.store_row_group, trace.store_tokens)
        whole = trace.prompt + trace.completion
        asked = trace.prompt_tokens
        said = arrays.token_id[asked : -1 if trace.finish_reason == "stop" else None]

        assert trace.store_tokens == trace.prompt_tokens + trace.completion_tokens
        assert tokenizer.decode(arrays.token_id[:asked].tolist()) == trace.prompt
        assert tokenizer.decode(said.tolist()).replace("\x00", "\u2400") == trace.completion
        assert arrays.text_end[-1] == len(whole)
        assert np.isnan(arrays.logprob).tolist() == [i < asked for i in range(len(arrays))]
        assert arrays.routing_count == trace.store_tokens - 1
        assert (arrays.routing_entropy[:-1] > 0).all()
        assert set(arrays.open_groups[:-1].flat) <= {1, 2}  # one of two groups is open
        assert tokenstore.read_meta(trace.store_path).n_group == 2
        assert trace.mean_logprob == pytest.approx(float(arrays.logprob[asked:].mean()))


def test_routing_agrees_with_a_plain_forward_pass(engine):
    run = started(engine, make_problems(["1"]), n=1)
    done(run)
    trace = Trace.objects.get(run=run)
    arrays = tokenstore.read(trace.store_path, trace.store_row_group, trace.store_tokens)
    reference = loaded.engine(engine).forward(arrays.token_id.tolist()).routing
    seen = np.sort(arrays.expert_ids[: arrays.routing_count], axis=2)

    assert (seen == np.sort(reference.expert_ids[:-1], axis=2)).all()


def test_same_seed_says_the_same_whatever_the_chunks(engine, settings):
    problems = make_problems(["1", "2", "3"])
    texts = []
    for batch in (32, 4, 1):
        settings.GENERATE_BATCH = batch
        run = started(engine, problems)
        done(run)
        texts.append(
            list(Trace.objects.filter(run=run).order_by("problem_id", "sample_index").values_list("completion", "seed"))
        )

    assert texts[0] == texts[1] == texts[2]
    assert len({text for text, _seed in texts[0]}) > 5


def test_slices_save_each_chunk_and_go_on(engine, settings):
    settings.GENERATE_BATCH = 3
    run = started(engine, make_problems(["1", "2", "3"]))
    for count in (3, 6):
        job = claimed(run)
        assert generate.run(job, LONG_AGO) is False
        assert Trace.objects.filter(run=run).count() == count
        jobs.hand_over(job)
    tokens = sum(Trace.objects.filter(run=run).values_list("completion_tokens", flat=True))
    assert Job.objects.get(pk=run.job_id).result["tokens"] == tokens
    job = done(run)
    assert (job.state, job.attempts, Trace.objects.filter(run=run).count()) == (JobState.DONE, 1, 9)


def test_samples_that_are_there_are_not_made_again(engine):
    problems = make_problems(["1", "2"])
    run = started(engine, problems)
    done(run)
    kept = dict(Trace.objects.filter(run=run).values_list("pk", "completion"))
    gone = list(Trace.objects.filter(run=run, sample_index=1))
    Trace.objects.filter(run=run, sample_index=1).delete()
    Job.objects.filter(pk=run.job_id).update(state=JobState.QUEUED, finished_at=None, attempts=0)
    done(run)
    again = Trace.objects.filter(run=run)

    assert again.count() == 6
    assert {t.pk: t.completion for t in again if t.pk in kept} == {
        t: c for t, c in kept.items() if t not in {g.pk for g in gone}
    }
    assert {(t.problem_id, t.completion) for t in again.filter(sample_index=1)} == {
        (g.problem_id, g.completion) for g in gone
    }


def test_a_killed_chunks_shard_stands_in_nobodys_way(engine, monkeypatch):
    run = started(engine, make_problems(["1"]))
    job = claimed(run)
    monkeypatch.setattr(generate, "add_traces", lambda *_: (_ for _ in ()).throw(SystemExit))
    with pytest.raises(SystemExit):
        generate.run(job, later())
    monkeypatch.undo()
    Job.objects.filter(pk=job.pk).update(lease_until=job.created_at)
    done(run)

    assert Trace.objects.filter(run=run).count() == 3


def test_cancel_stops_within_a_chunk_and_keeps_what_had_ended(engine, editor, monkeypatch):
    monkeypatch.setattr(generate, "CHECK_SECONDS", 0.0)
    run = started(engine, make_problems(["1"]), n=8, max_tokens=200, temperature=2.0)
    job = claimed(run)
    jobs.cancel(job.pk, by=editor)
    job_row = Job.objects.get(pk=job.pk)
    assert (job_row.state, job_row.cancel_requested) == (JobState.RUNNING, True)
    with pytest.raises(jobs.JobStopped):
        generate.run(job, later())

    assert Job.objects.get(pk=job.pk).state == JobState.CANCELLED
    assert Trace.objects.filter(run=run).count() < 8
    assert not Trace.objects.filter(run=run, finish_reason="cancelled").exists()
    assert jobs.resume(job.pk, by=editor)
    done(run)
    assert Trace.objects.filter(run=run).count() == 8


def test_what_ended_before_the_cancel_is_kept(engine, monkeypatch, editor, tmp_path):
    run = started(
        register(checkpoint.make(tmp_path / "ending", eos_bias=0.05), "ending", by=None),
        make_problems(["1"]),
        n=16,
        max_tokens=200,
    )
    job = claimed(run)
    real = generate._Watch.__call__

    def cancel_when_some_ended(watch):
        state = cache.get(live_key(run.pk)) or {"done": 0}
        if state["done"] >= 2 and not watch.stopped:
            jobs.cancel(job.pk, by=editor)
        return real(watch)

    monkeypatch.setattr(generate, "CHECK_SECONDS", 0.0)
    monkeypatch.setattr("workers.live.EVERY_SECONDS", 0.0)
    monkeypatch.setattr(generate._Watch, "__call__", cancel_when_some_ended)
    with pytest.raises(jobs.JobStopped):
        generate.run(job, later())

    assert 2 <= Trace.objects.filter(run=run).count() < 16
    assert set(Trace.objects.filter(run=run).values_list("finish_reason", flat=True)) == {"stop"}


def test_a_job_that_another_process_took_saves_nothing_more(engine, monkeypatch):
    monkeypatch.setattr(generate, "CHECK_SECONDS", 0.0)
    run = started(engine, make_problems(["1"]))
    job = claimed(run)
    real = generate.loaded.engine

    def taken_meanwhile(row):
        Job.objects.filter(pk=job.pk).update(lease_until=job.created_at)
        assert jobs.claim(job.pk)
        return real(row)

    monkeypatch.setattr(generate.loaded, "engine", taken_meanwhile)
    with pytest.raises(jobs.JobStopped):
        generate.run(job, later())
    assert not Trace.objects.filter(run=run).exists()


def test_a_prompt_near_the_end_of_the_context_gets_what_room_is_left(engine):
    problems = make_problems(["1", "2"], prompt="{}")
    near, over = problems
    type(near).objects.filter(pk=near.pk).update(prompt="x" * 240)
    type(over).objects.filter(pk=over.pk).update(prompt="x" * 300)
    run = started(engine, problems, max_tokens=100, n=2, temperature=0.0)
    job = done(run)
    traces = Trace.objects.filter(run=run)

    assert {t.problem_id for t in traces} == {near.pk}
    assert {t.prompt_tokens + t.completion_tokens for t in traces} == {256}
    assert {t.finish_reason for t in traces} == {"length"}
    assert job.result["too_long"] == [over.pk]
    assert "1 problems were not asked" in job.message
    assert (job.progress_done, job.progress_total) == (2, 2)


def test_refuses_when_no_prompt_fits(engine):
    problems = make_problems(["1"])
    type(problems[0]).objects.filter(pk=problems[0].pk).update(prompt="x" * 300)
    with pytest.raises(ValueError, match="No prompt fits the context of random, which is 256 tokens"):
        generate.run(claimed(started(engine, problems)), later())


def test_refuses_a_checkpoint_that_is_no_longer_the_registered_one(tmp_path):
    where = checkpoint.make(tmp_path / "changed")
    row = register(where, "changed", by=None)
    run = started(row, make_problems(["1"]))
    checkpoint.make(where, seed=1)
    with pytest.raises(ValueError, match="not those that were registered as changed"):
        generate.run(claimed(run), later())


def test_refuses_a_run_that_is_gone(engine):
    run = started(engine, make_problems(["1"]))
    job = claimed(run)
    Run.objects.filter(pk=run.pk).delete()
    with pytest.raises(ValueError, match="There is no run"):
        generate.run(job, later())
