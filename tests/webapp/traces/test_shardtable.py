"""The columns of a shard: what version 2 added, what a trace may not know, one layer at a time, and shards of version 1."""

from dataclasses import replace

import numpy as np
import pyarrow.parquet as pq
import pytest

from webapp.traces import shardtable, tokenstore
from webapp.traces.tokenstore import ShardMeta, TokenArrays

META = ShardMeta(layers=[1, 4, 7], n_experts=16, top_k=2, source="tests", n_group=4)
PATH = "runs/7/chunk-1-0.parquet"
DETAIL = ("routing_entropy", "routing_margin", "swapped", "open_groups")


def full(n, *, seed=0):
    """All that a trace can know of `n` tokens."""
    rng = np.random.default_rng(seed)
    margin = rng.random((n, 3)).astype(np.float16)
    margin[::5] = np.inf
    return TokenArrays(
        token_id=rng.integers(0, 300, n, dtype=np.int32),
        text_start=np.arange(n, dtype=np.int32),
        text_end=np.arange(n, dtype=np.int32) + 1,
        logprob=-rng.random(n, dtype=np.float32),
        entropy=rng.random(n, dtype=np.float32),
        expert_ids=rng.integers(0, 16, (n, 3, 2)).astype(np.uint8),
        gate_weights=rng.random((n, 3, 2)).astype(np.float16),
        accepted=rng.random(n) < 0.5,
        routing_entropy=rng.random((n, 3)).astype(np.float16),
        routing_margin=margin,
        swapped=rng.integers(0, 3, (n, 3)).astype(np.uint8),
        open_groups=rng.integers(1, 2**32, (n, 3), dtype=np.uint32),
    )


def plain(n):
    return replace(full(n), expert_ids=None, gate_weights=None, accepted=None, **dict.fromkeys(DETAIL))


def test_what_the_router_weighed_comes_back_as_it_was(store):
    trace = full(2500)
    stored = tokenstore.write_shard(PATH, [trace], META)[0]
    got, meta = tokenstore.read_with_meta(PATH, 0, stored.count, 900, 2500)
    assert meta == META
    assert got.routing_count == 1599
    np.testing.assert_array_equal(got.accepted, trace.accepted[900:])
    for name in DETAIL:
        mine, theirs = getattr(got, name), getattr(trace, name)
        assert mine.dtype == theirs.dtype, name
        np.testing.assert_array_equal(mine[:1599], theirs[900:2499], err_msg=name)
    assert np.isinf(got.routing_margin).any()


def test_one_layer_alone(store):
    trace = full(1100)
    tokenstore.write_shard(PATH, [trace], META)
    got, meta = tokenstore.read_with_meta(PATH, 0, 1100, 1000, 1050, layer=4)
    assert (meta.layers, meta.n_experts) == ([4], 16)
    assert got.expert_ids.shape == (50, 1, 2)
    np.testing.assert_array_equal(got.expert_ids[:, 0], trace.expert_ids[1000:1050, 1])
    np.testing.assert_array_equal(got.gate_weights[:, 0], trace.gate_weights[1000:1050, 1])
    np.testing.assert_array_equal(got.open_groups, trace.open_groups[1000:1050, 1:2])
    np.testing.assert_array_equal(tokenstore.read(PATH, 0, 1100, layer=7).swapped[:-1, 0], trace.swapped[:-1, 2])
    np.testing.assert_array_equal(got.logprob, trace.logprob[1000:1050])


def test_no_layer_reads_no_routing(store, monkeypatch):
    trace = full(40)
    tokenstore.write_shard(PATH, [trace], META)
    asked = []
    original = pq.ParquetFile.read_row_groups
    monkeypatch.setattr(
        pq.ParquetFile,
        "read_row_groups",
        lambda self, groups, columns: asked.extend(columns) or original(self, groups, columns=columns),
    )
    got, meta = tokenstore.read_with_meta(PATH, 0, 40, layer="none")
    assert asked == ["token_id", "text_start", "text_end", "logprob", "entropy", "accepted"]
    assert (meta.layers, got.expert_ids, got.swapped, got.routing_count) == ([], None, None, 0)
    np.testing.assert_array_equal(got.accepted, trace.accepted)


@pytest.mark.parametrize("layer", [0, 2, 99])
def test_a_layer_without_a_router_is_refused_in_words(store, layer):
    tokenstore.write_shard(PATH, [full(4)], META)
    with pytest.raises(ValueError, match=f"layer {layer} has no router; those that have: 1, 4, 7"):
        tokenstore.read(PATH, 0, 4, layer=layer)


def test_traces_that_know_less_share_a_shard_with_those_that_know_all(store):
    bare = replace(full(9), accepted=None, **dict.fromkeys(DETAIL))
    stored = tokenstore.write_shard(PATH, [plain(5), bare, full(7)], META)
    first, second, third = (tokenstore.read(PATH, at.row_group, at.count) for at in stored)
    assert (first.expert_ids, first.accepted, first.swapped) == (None, None, None)
    assert second.expert_ids is not None
    assert (second.accepted, second.swapped, second.routing_entropy) == (None, None, None)
    assert third.accepted is not None
    assert third.open_groups.shape == (7, 3)


def test_columns_that_nobody_knows_are_absent(store, tmp_path):
    tokenstore.write_shard(PATH, [replace(full(9), accepted=None, open_groups=None)], META)
    names = pq.ParquetFile(tmp_path / "store" / PATH).schema_arrow.names
    assert "accepted" not in names
    assert "open_groups" not in names
    assert "swapped" in names


def test_a_shard_of_version_1_is_read_as_it_is(store, tmp_path):
    bare = replace(full(1030), accepted=None, **dict.fromkeys(DETAIL))
    tokenstore.write_shard(PATH, [bare], META)
    file = pq.ParquetFile(tmp_path / "store" / PATH)
    old = {k: v for k, v in file.schema_arrow.metadata.items() if k != b"sluice_n_group"}
    table = file.read().replace_schema_metadata(old | {b"sluice_schema_version": b"1"})
    pq.write_table(table, tmp_path / "store" / "old.parquet", row_group_size=1024)
    got, meta = tokenstore.read_with_meta("old.parquet", 0, 1030, layer=7)
    assert meta == replace(META, layers=[7], n_group=0)
    np.testing.assert_array_equal(got.expert_ids[:1029, 0], bare.expert_ids[:1029, 2])
    assert got.swapped is None
    pq.write_table(
        table.replace_schema_metadata(old | {b"sluice_schema_version": b"3"}), tmp_path / "store" / "new.parquet"
    )
    with pytest.raises(ValueError, match="schema version 3; known are 1 to 2"):
        tokenstore.read_meta("new.parquet")


def test_other_content_in_a_new_column_is_other_content(store):
    trace = full(30)
    first = tokenstore.write_shard(PATH, [trace], META)
    assert tokenstore.write_shard(PATH, [trace], META) == first
    for change in ({"swapped": trace.swapped + 1}, {"accepted": ~trace.accepted}, {"open_groups": None}):
        with pytest.raises(ValueError, match="other content"):
            tokenstore.write_shard(PATH, [replace(trace, **change)], META)


def test_new_columns_that_do_not_fit_are_refused(store):
    trace = full(10)
    cases = {
        "accepted has shape": {"accepted": trace.accepted[:9]},
        "swapped has shape": {"swapped": trace.swapped[:, :2]},
        "routing_margin has shape": {"routing_margin": trace.routing_margin[:9]},
        "swapped without expert_ids": dict.fromkeys({"expert_ids", "gate_weights", *DETAIL} - {"swapped"}),
    }
    for words, change in cases.items():
        with pytest.raises(ValueError, match=words):
            tokenstore.write_shard(PATH, [replace(trace, **change)], META)


def test_the_load_of_a_trace_comes_with_its_place(store):
    trace = full(6)
    stored = tokenstore.write_shard(PATH, [trace, plain(3)], META)
    load = stored[0].load
    assert (load.layers, load.top_k, load.tokens) == ([1, 4, 7], 2, 5)
    for i in range(3):
        assert load.counts[i] == [int((trace.expert_ids[:5, i] == e).sum()) for e in range(16)]
    assert stored[1].load is None


def test_a_schema_names_its_version(store, tmp_path):
    tokenstore.write_shard(PATH, [full(3)], META)
    said = pq.ParquetFile(tmp_path / "store" / PATH).schema_arrow.metadata
    assert (said[b"sluice_schema_version"], said[b"sluice_n_group"]) == (str(shardtable.SCHEMA_VERSION).encode(), b"4")


def test_half_floats_have_no_dictionary_and_what_repeats_has_one(store, tmp_path):
    tokenstore.write_shard(PATH, [full(900)], META)
    group = pq.ParquetFile(tmp_path / "store" / PATH).metadata.row_group(0)
    chunks = [group.column(i) for i in range(group.num_columns)]
    held = {chunk.path_in_schema.split(".")[0] for chunk in chunks if chunk.has_dictionary_page}
    assert held == {"token_id", "expert_ids", "swapped", "open_groups"}
