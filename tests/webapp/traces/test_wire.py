"""A window in the form that the browser gets: types, places, and the layers it holds."""

import json
from dataclasses import replace

import numpy as np
import pytest

from tests.webapp.traces.test_shardtable import META, full
from webapp.traces import tokenstore, wire

PATH = "runs/7/chunk-1-0.parquet"


def decoded(body):
    length = int.from_bytes(body[:4], "little")
    assert (4 + length) % 8 == 0
    header = json.loads(body[4 : 4 + length])
    arrays = {}
    for described in header["arrays"]:
        assert described["offset"] % 8 == 0
        size = int(np.prod(described["shape"]))
        flat = np.frombuffer(body, described["type"], size, 4 + length + described["offset"])
        arrays[described["name"]] = flat.reshape(described["shape"])
    return header, arrays


def test_every_array_arrives_in_its_type(store):
    trace = full(20)
    tokenstore.write_shard(PATH, [trace], META)
    window, meta = tokenstore.read_with_meta(PATH, 0, 20, 5, 15)
    header, arrays = decoded(wire.encode(window, meta, start=5, count=20))
    assert (header["start"], header["stop"], header["count"], header["layers"]) == (5, 15, 20, [1, 4, 7])
    assert (header["version"], header["n_group"]) == (wire.VERSION, 4)
    kinds = {each["name"]: each["type"] for each in header["arrays"]}
    assert kinds == {
        "token_id": "int32", "text_start": "int32", "text_end": "int32", "logprob": "float32", "entropy": "float32", "accepted": "uint8",
        "expert_ids": "uint8", "gate_weights": "float16", "routing_entropy": "float16", "routing_margin": "float16", "swapped": "uint8",
        "open_groups": "uint32",
    }  # fmt: skip
    for name, array in arrays.items():
        np.testing.assert_array_equal(array, getattr(trace, name)[5:15], err_msg=name)


def test_one_layer_and_none(store):
    tokenstore.write_shard(PATH, [full(20)], META)
    header, arrays = decoded(wire.encode(*tokenstore.read_with_meta(PATH, 0, 20, layer=4), start=0, count=20))
    assert (header["layers"], arrays["expert_ids"].shape, arrays["swapped"].shape) == ([4], (20, 1, 2), (20, 1))
    header, arrays = decoded(wire.encode(*tokenstore.read_with_meta(PATH, 0, 20, layer="none"), start=0, count=20))
    assert (header["layers"], sorted(arrays)) == (
        [],
        ["accepted", "entropy", "logprob", "text_end", "text_start", "token_id"],
    )


def test_what_is_not_known_is_not_sent():
    window = replace(full(8), accepted=None, open_groups=None)
    _header, arrays = decoded(wire.encode(window, META, start=0, count=8))
    assert "accepted" not in arrays
    assert "open_groups" not in arrays


@pytest.mark.parametrize(("text", "layer"), [("", None), ("none", "none"), ("0", 0), ("57", 57)])
def test_the_layer_of_an_address(text, layer):
    assert wire.layer_of(text) == layer


@pytest.mark.parametrize("text", ["-1", "all", "1.5", "٣", "1234567", "None"])
def test_a_layer_that_makes_no_sense(text):
    with pytest.raises(ValueError, match="layer must be"):
        wire.layer_of(text)
