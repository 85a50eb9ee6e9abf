"""From an engine's records to what is stored: rows, masks, types, and what an engine may not say."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from inference.records import Completion, Routing, RoutingDetail
from webapp.traces.tokenstore import ShardMeta
from workers.tokenarrays import arrange, routed, shard_meta


class Letters:
    """A tokenizer whose tokens are characters by number."""

    def decode(self, ids):
        return "".join(map(chr, ids))

    def token_spans(self, ids):
        return [(i, i + 1) for i in range(len(ids))]


def routing(rows, *, groups=4):
    rng = np.random.default_rng(1)
    detail = RoutingDetail(
        open_groups=rng.random((rows, 2, groups)) < 0.5,
        swapped=rng.integers(0, 3, (rows, 2)).astype(np.uint8),
        entropy=rng.random((rows, 2), dtype=np.float32),
        margin=np.full((rows, 2), np.inf, np.float32),
    )
    ids = rng.integers(0, 16, (rows, 2, 3)).astype(np.uint8)
    return Routing((1, 2), ids, rng.random((rows, 2, 3)).astype(np.float16), detail)


def completion(text, *, stop=True, accepted=None, rows=None):
    ids = [*map(ord, text), *([0] if stop else [])]
    n = len(ids)
    said = np.arange(n, dtype=np.float32)
    return Completion(ids, -said, said, "stop" if stop else "length", rows, 1, accepted)


def test_rows_are_as_many_as_tokens_and_the_last_means_nothing():
    made = arrange(Letters(), "ab", [97, 98], completion("cde", rows=routing(5))).arrays
    assert len(made) == 6
    assert made.routing_count == 5
    for name in ("expert_ids", "gate_weights", "routing_entropy", "routing_margin", "swapped", "open_groups"):
        array = getattr(made, name)
        assert len(array) == 6, name
        assert not array[5].any(), name
    assert (made.routing_entropy.dtype, made.open_groups.dtype) == (np.float16, np.uint32)


def test_open_groups_become_bits():
    given = routing(5)
    made = routed(given, 6)["open_groups"]
    for group in range(4):
        np.testing.assert_array_equal((made[:5] >> group) & 1, given.detail.open_groups[..., group])


@pytest.mark.parametrize("groups", [1, 33])
def test_no_mask_where_there_is_no_choice_of_groups_or_no_room_for_it(groups):
    assert routed(routing(3, groups=groups), 3)["open_groups"] is None


def test_accepted_counts_from_the_prompts_first_token():
    made = arrange(Letters(), "ab", [97, 98], completion("cd", accepted=np.array([False, True, True]))).arrays
    assert made.accepted.tolist() == [False, False, False, True, True]
    assert arrange(Letters(), "ab", [97, 98], completion("cd")).arrays.accepted is None


def test_without_routing_or_its_detail():
    assert routed(None, 4) == {}
    bare = routed(replace(routing(3), detail=None), 4)
    assert sorted(bare) == ["expert_ids", "gate_weights", "routing_count"]


def test_what_a_shard_says_of_its_engine():
    config = SimpleNamespace(router_layers=(1, 2), n_routed_experts=16, num_experts_per_tok=3, n_group=4)
    assert shard_meta(config, "tiny") == ShardMeta([1, 2], 16, 3, "tiny", 4)
    assert shard_meta(SimpleNamespace(router_layers=()), "dense") == ShardMeta([], 0, 0, "dense", 0)
