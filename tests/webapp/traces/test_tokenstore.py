"""The token store over a folder and over a filesystem without one; what it refuses."""

import os
import subprocess
import sys

import numpy as np
import polars as pl
import pyarrow.parquet as pq
import pytest

from webapp.traces import shardfile, tokenstore
from webapp.traces.tokenstore import ShardMeta, TokenArrays

META = ShardMeta(layers=[1, 2, 3], n_experts=16, top_k=2, source="tests")
PATH = "runs/7/chunk-1-0.parquet"


@pytest.fixture(params=["file", "memory"])
def store(request, settings, tmp_path):
    settings.STORE_URL = f"file://{tmp_path}/store" if request.param == "file" else f"memory://store-{tmp_path.name}"
    return settings.STORE_URL


@pytest.fixture
def folder(settings, tmp_path):
    settings.STORE_URL = f"file://{tmp_path}/store"
    return tmp_path / "store"


def arrays(n, *, seed=0, dtype=np.uint8, n_experts=16, routed=True, layers=3, top_k=2):
    rng = np.random.default_rng(seed)
    logprob = -rng.random(n, dtype=np.float32)
    logprob[: n // 4] = np.nan
    return TokenArrays(
        token_id=rng.integers(0, 300, n, dtype=np.int32),
        text_start=np.arange(n, dtype=np.int32) * 3,
        text_end=np.arange(n, dtype=np.int32) * 3 + 3,
        logprob=logprob,
        entropy=rng.random(n, dtype=np.float32),
        expert_ids=rng.integers(0, n_experts, (n, layers, top_k)).astype(dtype) if routed else None,
        gate_weights=rng.random((n, layers, top_k)).astype(np.float16) if routed else None,
    )


def assert_same(got, want, part=slice(None)):
    for name in ("token_id", "text_start", "text_end", "logprob", "entropy"):
        np.testing.assert_array_equal(getattr(got, name), getattr(want, name)[part], err_msg=name)
        assert getattr(got, name).dtype == getattr(want, name).dtype
    for name in ("expert_ids", "gate_weights"):
        window = getattr(want, name)[part][: got.routing_count]
        np.testing.assert_array_equal(getattr(got, name)[: got.routing_count], window, err_msg=name)
        assert getattr(got, name).dtype == getattr(want, name).dtype


def test_round_trip(store):
    traces = [arrays(5, seed=1), arrays(2500, seed=2), arrays(1024, seed=3)]
    stored = tokenstore.write_shard(PATH, traces, META)
    assert [(s.path, s.row_group, s.count) for s in stored] == [(PATH, 0, 5), (PATH, 1, 2500), (PATH, 4, 1024)]
    for trace, at in zip(traces, stored, strict=True):
        got = tokenstore.read(PATH, at.row_group, at.count)
        assert_same(got, trace)
        assert got.routing_count == at.count - 1
    assert tokenstore.read_meta(PATH) == META


@pytest.mark.parametrize("window", [(0, 1), (0, 1024), (1000, 1100), (1023, 2049), (2048, 2500), (2499, 2500), (7, 7)])
def test_a_window_may_cross_row_groups(store, window):
    long = arrays(2500, seed=4)
    stored = tokenstore.write_shard(PATH, [arrays(9), long], META)[1]
    got = tokenstore.read(PATH, stored.row_group, stored.count, *window)
    assert len(got) == window[1] - window[0]
    np.testing.assert_array_equal(got.text_start, long.text_start[slice(*window)])
    # the last token never went through the model: its row has no routing
    assert got.routing_count == max(0, min(window[1], 2499) - window[0])
    if got.routing_count:
        assert_same(got, long, slice(*window))


def test_a_window_past_the_end_is_cut(store):
    stored = tokenstore.write_shard(PATH, [arrays(10)], META)[0]
    assert len(tokenstore.read(PATH, 0, stored.count, 8, 9000)) == 2


def test_a_window_reads_only_its_row_groups(folder, monkeypatch):
    tokenstore.write_shard(PATH, [arrays(5000)], META)
    asked = []
    original = pq.ParquetFile.read_row_groups
    monkeypatch.setattr(
        pq.ParquetFile,
        "read_row_groups",
        lambda self, groups, **options: asked.append(groups) or original(self, groups, **options),
    )
    tokenstore.read(PATH, 0, 5000, 3000, 3100)
    assert asked == [[2, 3]]


def test_more_than_256_experts_take_two_bytes(store):
    wide = arrays(40, dtype=np.uint16, n_experts=400)
    tokenstore.write_shard(PATH, [wide], ShardMeta([1, 2, 3], 400, 2))
    assert_same(tokenstore.read(PATH, 0, 40), wide)


def test_traces_without_routing(store):
    plain, routed = arrays(30, routed=False), arrays(1100, seed=5)
    tokenstore.write_shard("runs/8/a.parquet", [plain], ShardMeta([], 0, 0))
    assert tokenstore.read("runs/8/a.parquet", 0, 30).expert_ids is None
    stored = tokenstore.write_shard("runs/8/b.parquet", [plain, routed], META)
    assert tokenstore.read("runs/8/b.parquet", 0, 30).expert_ids is None
    assert_same(tokenstore.read("runs/8/b.parquet", stored[1].row_group, 1100), routed)


def test_a_source_may_know_the_last_tokens_routing(store):
    whole = arrays(12)
    whole = TokenArrays(**{name: getattr(whole, name) for name in whole.__slots__} | {"routing_count": 12})
    tokenstore.write_shard(PATH, [whole], META)
    assert tokenstore.read(PATH, 0, 12).routing_count == 12


def test_written_once(store):
    traces = [arrays(50, seed=1)]
    first = tokenstore.write_shard(PATH, traces, META)
    assert tokenstore.write_shard(PATH, traces, META) == first  # a chunk done twice
    with pytest.raises(ValueError, match="exists with other content"):
        tokenstore.write_shard(PATH, [arrays(50, seed=2)], META)
    assert_same(tokenstore.read(PATH, 0, 50), traces[0])


def test_half_written_is_never_visible(folder, monkeypatch):
    def full_disk(_descriptor):
        assert not (folder / PATH).exists()
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full_disk)
    with pytest.raises(OSError, match="No space left"):
        tokenstore.write_shard(PATH, [arrays(50)], META)
    assert [p for p in folder.rglob("*") if p.is_file()] == []


def test_row_groups_hold_at_most_1024_tokens_and_begin_with_a_trace(folder):
    tokenstore.write_shard(PATH, [arrays(1025), arrays(3)], META)
    metadata = pq.ParquetFile(folder / PATH).metadata
    assert [metadata.row_group(i).num_rows for i in range(metadata.num_row_groups)] == [1024, 1, 3]


def test_other_readers_open_a_shard(folder):
    trace = arrays(20)
    tokenstore.write_shard(PATH, [trace], META)
    frame = pl.read_parquet(folder / PATH)
    assert frame.columns == [
        "token_id", "text_start", "text_end", "logprob", "entropy", "expert_ids", "gate_weights",
    ]  # fmt: skip
    assert frame["expert_ids"][3].to_list() == trace.expert_ids[3].reshape(-1).tolist()
    assert frame["expert_ids"][19] is None
    # pyarrow alone, in a process that knows nothing of Sluice and has no pandas
    code = (
        "import sys, pyarrow.parquet as pq; sys.modules['pandas'] = None; f = pq.ParquetFile(sys.argv[1]); t = f.read();"
        "print(t.num_rows, f.schema_arrow.metadata[b'sluice_layers'].decode(), f.schema_arrow.metadata[b'sluice_top_k'].decode())"
    )
    done = subprocess.run([sys.executable, "-c", code, folder / PATH], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "20 [1, 2, 3] 2"


@pytest.mark.parametrize(
    "path",
    [
        "",
        "/etc/passwd",
        "../up.parquet",
        "runs/../../up.parquet",
        "runs//a.parquet",
        "runs/./a",
        "a\\b",
        "s3://x/a",
        "a\0b",
        "-a",
    ],
)
def test_a_path_stays_in_the_store(store, path):
    with pytest.raises(ValueError, match="not a path below the token store"):
        tokenstore.read_meta(path)
    with pytest.raises(ValueError, match="not a path below the token store"):
        tokenstore.write_shard(path, [arrays(3)], META)


def test_missing_and_damaged_shards_say_so(folder, shared_data):
    with pytest.raises(ValueError, match=r"no shard 'runs/7/none\.parquet'"):
        tokenstore.read("runs/7/none.parquet", 0, 5)
    tokenstore.write_shard(PATH, [arrays(3000)], META)
    whole = (folder / PATH).read_bytes()
    (folder / "cut.parquet").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ValueError, match=r"cut\.parquet' cannot be read"):
        tokenstore.read("cut.parquet", 0, 3000)
    (folder / "noise.parquet").write_bytes(whole[:100] + bytes(9000) + whole[9100:])
    with pytest.raises(ValueError, match=r"noise\.parquet' cannot be read"):
        tokenstore.read("noise.parquet", 0, 3000)
    (folder / "text.parquet").write_bytes((shared_data / "bad_inputs" / "33_not_parquet.parquet").read_bytes())
    with pytest.raises(ValueError, match="cannot be read"):
        tokenstore.read_meta("text.parquet")
    pl.DataFrame({"a": [1]}).write_parquet(folder / "other.parquet")
    with pytest.raises(ValueError, match="no token shard"):
        tokenstore.read_meta("other.parquet")


def test_a_row_that_disagrees_with_the_shard_says_so(store):
    tokenstore.write_shard(PATH, [arrays(10)], META)
    for row_group, count in ((0, 11), (1, 10)):
        with pytest.raises(ValueError, match="the trace says"):
            tokenstore.read(PATH, row_group, count)
    with pytest.raises(ValueError, match="not a window"):
        tokenstore.read(PATH, 0, 10, 9, 8)
    with pytest.raises(ValueError, match="not a window"):
        tokenstore.read(PATH, -1, 10)


def test_arrays_that_do_not_fit_are_refused_before_anything_is_written(folder):
    good = arrays(10)
    fields = {name: getattr(good, name) for name in good.__slots__}
    cases = {
        "logprob has shape": {"logprob": good.logprob[:9]},
        "together or not at all": {"gate_weights": None},
        "gate_weights has shape": {"gate_weights": good.gate_weights[:, :2]},
        "not uint8 or uint16": {"expert_ids": good.expert_ids.astype(np.int64)},
        "expert 200 of 16": {"expert_ids": np.full_like(good.expert_ids, 200)},
    }
    for words, change in cases.items():
        with pytest.raises(ValueError, match=words):
            tokenstore.write_shard(PATH, [TokenArrays(**fields | change)], META)
    with pytest.raises(ValueError, match="has no tokens"):
        tokenstore.write_shard(PATH, [arrays(0)], META)
    with pytest.raises(ValueError, match="no traces"):
        tokenstore.write_shard(PATH, [], META)
    assert not folder.exists()


def test_two_writers_at_once_leave_one_shard(folder, monkeypatch):
    """The second writer is past its look at the path when the first one's shard appears."""
    original = shardfile._link_into_place

    def slow(target, data):
        monkeypatch.setattr(shardfile, "_link_into_place", original)
        tokenstore.write_shard(PATH, [arrays(10, seed=1)], META)
        original(target, data)

    monkeypatch.setattr(shardfile, "_link_into_place", slow)
    with pytest.raises(ValueError, match="other content"):
        tokenstore.write_shard(PATH, [arrays(10, seed=2)], META)
    assert_same(tokenstore.read(PATH, 0, 10), arrays(10, seed=1))
