"""Windows of tokens as the browser asks for them."""

import json

import numpy as np
import pytest
from django.urls import reverse

from tests.webapp.traces import factories as make
from webapp.traces import tokenstore, windows

pytestmark = pytest.mark.django_db


def header_of(body):
    length = int.from_bytes(body[:4], "little")
    return json.loads(body[4 : 4 + length]), body[4 + length :]


def test_a_window_of_tokens(member, group_of_three):
    trace = group_of_three[0]
    answer = member.get(reverse("traces:tokens", args=[trace.pk]) + "?start=2&stop=9")
    header, arrays = header_of(answer.content)
    whole = tokenstore.read(trace.store_path, trace.store_row_group, trace.store_tokens)
    assert (header["start"], header["stop"], header["count"], header["routing_count"]) == (2, 9, trace.store_tokens, 7)
    for described in header["arrays"]:
        got = np.frombuffer(arrays, described["type"], int(np.prod(described["shape"])), described["offset"])
        np.testing.assert_array_equal(
            got, getattr(whole, described["name"])[2:9].reshape(-1), err_msg=described["name"]
        )
    assert [described["name"] for described in header["arrays"]][-2:] == ["expert_ids", "gate_weights"]


def test_a_window_may_be_kept_for_ever(member, group_of_three):
    address = reverse("traces:tokens", args=[group_of_three[0].pk]) + "?start=0&stop=9"
    answer = member.get(address)
    assert answer["Cache-Control"] == "private, max-age=31536000, immutable"
    again = member.get(address, headers={"If-None-Match": answer["ETag"]})
    assert (again.status_code, again.content) == (304, b"")
    assert member.get(address.replace("stop=9", "stop=8"), headers={"If-None-Match": answer["ETag"]}).status_code == 200


@pytest.mark.parametrize(
    "query",
    ["start=5&stop=5", "start=9&stop=2", "start=-1&stop=5", "start=x", "start=99999&stop=100000", "start=0&stop=8193"],
)
def test_a_window_that_makes_no_sense(member, group_of_three, query):
    answer = member.get(f"{reverse('traces:tokens', args=[group_of_three[0].pk])}?{query}")
    assert answer.status_code == 400
    assert "ask for at most" in answer.json()["error"]


def test_a_trace_without_tokens_says_so(member, group_of_three):
    answer = member.get(reverse("traces:tokens", args=[group_of_three[2].pk]))
    assert answer.status_code == 404
    assert "no per-token data" in answer.json()["error"]


def test_tokens_without_routing(member):
    trace = make.trace(make.run(), make.problem(), "<think>a</think>b", tokens="plain")
    header, _ = header_of(member.get(reverse("traces:tokens", args=[trace.pk])).content)
    assert header["layers"] == []
    assert "expert_ids" not in [described["name"] for described in header["arrays"]]
    text = member.get(reverse("traces:detail", args=[trace.pk])).content.decode()
    assert 'id="layer"' not in text
    assert 'id="overlay"' in text


def test_the_routing_of_one_layer_or_of_none(member, group_of_three):
    trace = group_of_three[0]
    address = reverse("traces:tokens", args=[trace.pk])
    whole = tokenstore.read(trace.store_path, trace.store_row_group, trace.store_tokens)
    header, arrays = header_of(member.get(f"{address}?start=0&stop=9&layer=2").content)
    described = next(array for array in header["arrays"] if array["name"] == "expert_ids")
    assert (header["layers"], described["shape"]) == ([2], [9, 1, 2])
    got = np.frombuffer(arrays, described["type"], 18, described["offset"])
    np.testing.assert_array_equal(got, whole.expert_ids[:9, 1].reshape(-1))
    bare = member.get(f"{address}?start=0&stop=9&layer=none")
    assert "expert_ids" not in [array["name"] for array in header_of(bare.content)[0]["arrays"]]
    other = member.get(f"{address}?start=0&stop=9&layer=none", headers={"If-None-Match": bare["ETag"]})
    assert other.status_code == 304
    assert member.get(f"{address}?start=0&stop=9&layer=2", headers={"If-None-Match": bare["ETag"]}).status_code == 200


@pytest.mark.parametrize(("start", "stop"), [(0, 9), (1000, 1100), (1023, 2048), (2048, 2049), (0, 2049)])
def test_one_layer_is_the_same_from_windows_that_are_kept(store, start, stop):
    """Over the borders of row groups, and with the last token, which alone in its row group has no routing."""
    text = "ab " * 1023 + "c"
    arrays = make.token_arrays("", text)
    assert len(arrays) == 2048
    arrays = make.token_arrays("", text + " ")
    assert len(arrays) == 2049
    meta = tokenstore.ShardMeta([1, 2, 3], 16, 2, "test")
    place = tokenstore.write_shard("runs/1/kept.parquet", [arrays], meta)[0]
    for _ in range(2):
        got, held = windows.one_layer(place.path, place.row_group, place.count, start, stop, layer=2)
        wanted, same = tokenstore.read_with_meta(place.path, place.row_group, place.count, start, stop, layer=2)
        assert (held, got.routing_count) == (same, wanted.routing_count)
        np.testing.assert_array_equal(got.text_end, wanted.text_end)
        if wanted.expert_ids is not None:
            n = wanted.routing_count
            np.testing.assert_array_equal(got.expert_ids[:n], wanted.expert_ids[:n])
            np.testing.assert_array_equal(got.gate_weights[:n], wanted.gate_weights[:n])


@pytest.mark.parametrize(("layer", "status"), [("x", 400), ("-1", 400), ("99", 410)])
def test_a_layer_that_is_not_there(member, group_of_three, layer, status):
    answer = member.get(f"{reverse('traces:tokens', args=[group_of_three[0].pk])}?layer={layer}")
    assert answer.status_code == status
    assert "layer" in answer.json()["error"]
