"""The replay stage against a real engine with random weights: what it stores and says, resumes, keeps, and refuses."""

from pathlib import Path

import numpy as np
import pytest

from tests.webapp.traces import factories as make
from tests.workers import checkpoint
from tests.workers.generating import done as generated
from tests.workers.generating import started
from tests.workers.loop import LONG_AGO, add, later, make_problems, make_run, r1, sample
from webapp.jobs import actions as jobs
from webapp.jobs.models import Job, JobKind
from webapp.traces import tokenstore
from webapp.traces.models import RoutingComparison, RunRouting, Trace
from webapp.traces.replay_actions import request_replay
from workers import loaded, replaying
from workers.registering import register

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("nothing_sent")]


@pytest.fixture
def run():
    """Two imported traces, one with its think in a field of its own."""
    (problem,) = make_problems(["3"])
    run = make_run([problem])
    add(
        run,
        sample(problem, 0, r1("1 and 2 等等", "3"), completion_tokens=99),
        sample(problem, 1, "3", reasoning="1 and 2"),
    )
    return run


@pytest.fixture
def other(tmp_path, db):
    return register(checkpoint.make(tmp_path / "other", seed=9), "other", by=None)


@pytest.fixture
def store_files(settings):
    """The shards that the store holds now, by path."""
    root = Path(settings.STORE_URL.removeprefix("file://"))
    return lambda: {str(path.relative_to(root)) for path in root.rglob("*.parquet")}


def claimed(engine, **what):
    return jobs.claim(request_replay(engine, by=None, **what).pk)


def worked(engine, **what):
    job = claimed(engine, **what)
    while not replaying.run(job, later()):
        pass
    jobs.finish(job, result=job.result, message=job.message)
    return job


def arrays(trace):
    return tokenstore.read(trace.store_path, trace.store_row_group, trace.store_tokens)


def traces(run):
    return list(Trace.objects.filter(run=run).order_by("pk"))


def test_a_trace_gets_tokens_and_routing_and_says_by_whom(run, engine):
    job = worked(engine, run=run)
    first = traces(run)[0]
    got, meta = arrays(first), tokenstore.read_meta(first.store_path)
    whole = first.prompt + first.completion
    assert meta.source == f"replayed by random {engine.checkpoint_hash[:12]}"
    assert "".join(whole[a:b] for a, b in zip(got.text_start, got.text_end, strict=True)).startswith(first.prompt)
    assert got.text_end[-1] == len(whole)
    reference = loaded.engine(engine).replay(got.token_id.tolist())
    np.testing.assert_array_equal(got.expert_ids, reference.routing.expert_ids)
    assert got.routing_count == len(got)
    assert (got.swapped is None, got.open_groups is None) == (False, False)
    asked = len(loaded.engine(engine).tokenizer.encode(first.prompt))
    assert np.isnan(got.logprob).tolist() == [i < asked for i in range(len(got))]
    np.testing.assert_allclose(got.logprob[asked:], reference.logprobs[asked:])
    assert first.provenance["replayed_by"] == "random"
    assert first.provenance["replayed_checkpoint"] == engine.checkpoint_hash
    assert first.completion_tokens == 99  # what the source said stays
    assert first.mean_logprob is None  # and what it did not say is not made up
    assert (job.result["replayed"], job.result["failures"], job.progress_done) == (2, 0, 2)
    assert "2 traces replayed through random" in job.message


def test_segments_get_their_tokens_the_reasoning_field_too(run, engine):
    worked(engine, run=run)
    for trace in traces(run):
        got = arrays(trace)
        assert [segment["token_start"] is None for segment in trace.segments] == [False] * len(trace.segments)
        think = next(segment for segment in trace.segments if segment["kind"] == "think")
        said = got.token_id[think["token_start"] : think["token_end"]].tolist()
        assert "1 and 2" in loaded.engine(engine).tokenizer.decode(said)


def test_the_load_of_experts_joins_the_runs(run, engine):
    worked(engine, run=run)
    rows = RunRouting.objects.filter(run=run)
    assert {row.layer for row in rows} == set(tokenstore.read_meta(traces(run)[0].store_path).layers)
    assert all(row.tokens == sum(len(arrays(trace)) for trace in traces(run)) for row in rows)


def test_done_again_nothing_is_written_twice(run, engine, store_files):
    worked(engine, run=run)
    before, files = [(t.store_path, t.provenance) for t in traces(run)], store_files()
    again = worked(engine, run=run)
    assert [(t.store_path, t.provenance) for t in traces(run)] == before
    assert store_files() == files
    assert (again.result["replayed"], again.result["kept"]) == (0, 2)
    assert "left as they are" in again.message


def test_a_slice_ends_at_its_deadline_and_the_next_goes_on(run, engine, monkeypatch):
    monkeypatch.setattr(replaying, "CHUNK_TRACES", 1)
    job = claimed(engine, run=run)
    assert replaying.run(job, LONG_AGO) is False
    assert [bool(trace.store_path) for trace in traces(run)] == [True, False]
    jobs.hand_over(job)
    job = jobs.claim(job.pk)
    assert replaying.run(job, later()) is True
    assert job.result["replayed"] == 2
    assert all(trace.store_path for trace in traces(run))


def test_a_worker_that_died_before_it_saved_stands_in_nobodys_way(run, engine, monkeypatch):
    job = claimed(engine, run=run)
    with monkeypatch.context() as patch:
        patch.setattr(replaying, "save_replays", lambda replays: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            replaying.run(job, later())
    Job.objects.filter(pk=job.pk).update(lease_until="2020-01-01T00:00:00Z")
    job = jobs.claim(job.pk)
    assert replaying.run(job, later()) is True
    assert all(trace.store_path for trace in traces(run))


def test_a_cancelled_job_stops(run, engine, editor):
    job = claimed(engine, run=run)
    jobs.cancel(job.pk, by=editor)
    with pytest.raises(jobs.JobStopped):
        replaying.run(job, later())
    assert not any(trace.store_path for trace in traces(run))


def test_what_is_too_long_is_told_and_the_others_go_on(run, engine):
    (problem,) = make_problems(["3"])
    add(run, sample(problem, 7, "x" * 300))
    job = worked(engine, run=run)
    too_long = traces(run)[2]
    assert (job.result["replayed"], job.result["failures"]) == (2, 1)
    assert job.result["failed"] == [
        {"trace": too_long.pk, "why": "316 tokens are more than the context of random, which is 256"}
    ]
    assert f"the first is trace {too_long.pk}: 316 tokens are more than the context" in job.message
    assert too_long.store_path == ""


def test_where_nothing_could_be_replayed_the_job_fails_in_words(run, engine):
    (problem,) = make_problems(["3"])
    add(run, sample(problem, 7, "x" * 300))
    job = claimed(engine, trace_ids=[traces(run)[2].pk])
    with pytest.raises(ValueError, match="1 could not be replayed"):
        replaying.run(job, later())


def test_the_writers_own_routing_is_compared_and_never_replaced(engine, other, store_files):
    run = started(engine, make_problems(["1"]), n=2)
    generated(run)
    before, files = [trace.store_path for trace in traces(run)], store_files()
    job = worked(other, run=run)
    assert (job.result["compared"], job.result["replayed"]) == (2, 0)
    assert ([trace.store_path for trace in traces(run)], store_files()) == (before, files)
    for trace in traces(run):
        found = RoutingComparison.objects.get(trace=trace)
        stored = arrays(trace)
        theirs = loaded.engine(other).replay(stored.token_id.tolist()).routing
        own, new = (np.sort(ids[: stored.routing_count], -1) for ids in (stored.expert_ids, theirs.expert_ids))
        differ = (own != new).any(-1)
        assert (found.engine_name, found.tokens) == ("other", stored.routing_count)
        assert [(each["layer"], each["differ"]) for each in found.layers] == list(
            zip(theirs.layers, differ.sum(0).tolist(), strict=True)
        )
        assert differ.any()
        token, layers, first = found.worst[0]
        assert layers == differ.sum(1).max() == differ[token].sum()
        assert differ[token, theirs.layers.index(first)]


def test_against_the_engine_that_wrote_it_hardly_a_token_differs(engine):
    run = started(engine, make_problems(["1"]), n=1)
    generated(run)
    worked(engine, run=run)
    found = RoutingComparison.objects.get()
    assert all(each["differ"] <= 1 for each in found.layers)  # a tie may fall on the other side in another batch


def test_compared_once(engine, other):
    run = started(engine, make_problems(["1"]), n=2)
    generated(run)
    worked(other, run=run)
    assert worked(other, run=run).result["kept"] == 2
    assert RoutingComparison.objects.count() == 2


def test_routing_of_another_tokenizer_or_shape_cannot_be_compared(engine, folder, monkeypatch):
    (problem,) = make_problems(["3"])
    foreign = make.trace(make_run([problem]), problem, r1("1 and 2", "3"), tokens=True)
    with pytest.raises(ValueError, match="not those of the tokenizer of random"):
        replaying.run(claimed(engine, trace_ids=[foreign.pk]), later())
    run = started(engine, make_problems(["1"]), n=1)
    generated(run)
    monkeypatch.setattr(replaying, "read_meta", lambda _path: tokenstore.ShardMeta([1, 2, 3], 64, 6, "elsewhere"))
    with pytest.raises(ValueError, match="of another shape"):
        replaying.run(claimed(engine, run=run), later())


def test_a_replay_gives_way_to_another_engines_and_its_shard_stays(run, engine, other, store_files):
    worked(engine, run=run)
    first = traces(run)[0]
    loads = list(RunRouting.objects.filter(run=run).order_by("layer").values_list("tokens", flat=True))
    worked(other, run=run)
    now = traces(run)[0]
    assert now.provenance["replayed_by"] == "other"
    assert now.provenance["replayed_over"] == f"{first.store_path}, row group {first.store_row_group}"
    assert now.provenance["replayed_tokens"] == "as they are stored"
    assert {first.store_path, now.store_path} <= store_files()
    # the run's load is that of what is stored now, not of both
    assert list(RunRouting.objects.filter(run=run).order_by("layer").values_list("tokens", flat=True)) == loads


def test_an_engine_that_is_gone_is_said(run, engine):
    job = claimed(engine, run=run)
    engine.delete()
    with pytest.raises(ValueError, match="no engine"):
        replaying.run(job, later())


def test_asked_twice_it_is_one_job(run, engine):
    assert request_replay(engine, by=None, run=run) == request_replay(engine, by=None, run=run)
    assert Job.objects.filter(kind=JobKind.REPLAY).count() == 1
    with pytest.raises(ValueError, match="at least one trace"):
        request_replay(engine, by=None, trace_ids=[])
