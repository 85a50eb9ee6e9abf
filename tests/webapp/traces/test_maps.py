"""The map of a trace: each cell against a plain loop over the same tokens, and its address."""

from collections import Counter
from itertools import pairwise

import numpy as np
import pytest
from django.urls import reverse

from tests.webapp.traces import factories as make
from tests.webapp.traces.test_windows import header_of
from webapp.traces import maps, tokenstore
from webapp.traces.tokenstore import ShardMeta

TEXT = "<think>" + "12 and 30 make 42, or so I think.\n" * 60 + "</think>42"


@pytest.fixture
def stored():
    """Tokens in a shard, and what is needed to draw them: (arrays, path, row group, count)."""
    arrays = make.token_arrays("What is 12 + 30?", TEXT)
    place = tokenstore.write_shard("runs/1/map.parquet", [arrays], ShardMeta([1, 2, 3], 16, 2, "test", n_group=4))[0]
    return arrays, place.path, place.row_group, place.count


def drawn(stored, kind, bins=10):
    return maps.draw(*stored[1:], kind=kind, bins=bins)


def stretches(stored, bins=10):
    """The routed tokens of each bin."""
    bounds = maps.edges(stored[3], bins)
    return [range(a, min(b, stored[3] - 1)) for a, b in pairwise(bounds)]


def top(arrays, i, n):
    return int(arrays.expert_ids[i, n, arrays.gate_weights[i, n].argmax()])


@pytest.mark.parametrize(("kind", "size"), [("expert", 1), ("group", 4)])
@pytest.mark.parametrize("window", [100, 4096])
def test_a_cell_is_what_comes_most(stored, kind, size, window, monkeypatch):
    monkeypatch.setattr(maps, "WINDOW", window)
    cells = drawn(stored, kind).cells
    assert cells.shape == (10, 3)
    for bin_, tokens in enumerate(stretches(stored)):
        for n in range(3):
            counts = Counter(top(stored[0], i, n) // size for i in tokens)
            assert counts[int(cells[bin_, n])] == max(counts.values())


@pytest.mark.parametrize("window", [100, 4096])
def test_a_cell_is_a_mean(stored, window, monkeypatch):
    monkeypatch.setattr(maps, "WINDOW", window)
    ids, weights = stored[0].expert_ids, stored[0].gate_weights
    gate, change = drawn(stored, "gate"), drawn(stored, "change")
    for bin_, tokens in enumerate(stretches(stored)):
        for n in range(3):
            mean = np.mean([weights[i, n].max().astype(float) for i in tokens])
            assert gate.cells[bin_, n] / 254 * gate.high == pytest.approx(mean, abs=gate.high / 250)
            fresh = [len(set(ids[i, n].tolist()) - set(ids[i - 1, n].tolist())) for i in tokens if i]
            assert change.cells[bin_, n] / 254 * change.high == pytest.approx(np.mean(fresh), abs=change.high / 250)


def test_what_is_not_known_is_255(stored):
    cells = drawn(stored, "expert", bins=stored[3]).cells  # a bin a token: the last was never routed
    assert (cells[-1] == maps.UNKNOWN).all()
    assert (cells[:-1] < 16).all()
    assert len(drawn(stored, "expert", bins=maps.MOST_BINS * 100).cells) == stored[3]


@pytest.mark.parametrize("kind", ["nothing", "swapped"])
def test_a_map_of_what_is_not_stored_is_refused(stored, kind):
    with pytest.raises(ValueError, match=kind):
        drawn(stored, kind)


@pytest.mark.django_db
def test_the_address_of_a_map(member, group_of_three):
    address = reverse("traces:map", args=[group_of_three[0].pk])
    answer = member.get(f"{address}?kind=expert&bins=4")
    header, body = header_of(answer.content)
    assert (header["kind"], header["layers"], header["arrays"][0]["shape"], len(body)) == (
        "expert",
        [1, 2, 3],
        [4, 3],
        12,
    )
    assert "immutable" in answer["Cache-Control"]
    assert member.get(f"{address}?kind=expert&bins=4", headers={"If-None-Match": answer["ETag"]}).status_code == 304
    for query in ("kind=other", "bins=0", "bins=5000", "bins=x"):
        assert member.get(f"{address}?{query}").status_code == 400
    assert member.get(f"{address}?kind=swapped").status_code == 410
    assert member.get(reverse("traces:map", args=[group_of_three[2].pk])).status_code == 404
