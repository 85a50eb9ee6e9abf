"""Hostile headers: refused with words, in a bounded time, before anything of what they claim is believed."""

import json
import random
import struct
import time

import pytest
import torch
from safetensors.torch import save_file

from inference.header import read_header, shown
from tests.inference.folders import write_raw

SECONDS = 5  # far above what any case takes, far below what believing one would


def entry(shape=(1,), offsets=(0, 4), dtype="F32"):
    return {"dtype": dtype, "shape": list(shape), "data_offsets": list(offsets)}


def written(tmp_path, header, data=b""):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return write_raw(tmp_path / "x.safetensors", text, data)


def test_offsets_are_of_the_file(tmp_path):
    file = tmp_path / "x.safetensors"
    save_file({"a": torch.arange(6).view(2, 3).float(), "b": torch.ones(1)}, file)
    info = read_header(file)["a"]
    assert (info.dtype, info.shape) == ("F32", (2, 3))
    assert file.read_bytes()[info.begin : info.end] == struct.pack("<6f", *range(6))


@pytest.mark.parametrize(("name", "words"), [("41_st_bad_offsets", "does not fill"), ("43_st_dup_key", "twice")])
def test_broken_files_of_others_are_refused(shared_data, name, words):
    with pytest.raises(ValueError, match=words):
        read_header(shared_data / "bad_inputs" / f"{name}.safetensors")


@pytest.mark.parametrize(
    ("header", "data", "words"),
    [
        (b"{", b"", "not JSON"),
        (b"[]", b"", "not a JSON object"),
        (b"\xff\xfe", b"", "not JSON"),
        (b"[" * 100_000, b"", "not JSON"),
        (b'{"a":' * 50_000, b"", "not JSON"),
        (b'{"a":' + b"9" * 6000 + b"}", b"", "x.safetensors: .*integer"),
        ({"a": 3}, b"", "lacks dtype"),
        ({"a": [1, 2]}, b"", "lacks dtype"),
        ({"a": {"dtype": "F32", "shape": [1]}}, b"1234", "lacks dtype"),
        ({"a": entry(offsets=(0, 4, 8))}, b"1234", "lacks dtype"),
        ({"a": entry(shape=[-1])}, b"1234", "no size"),
        ({"a": entry(shape=[1.0])}, b"1234", "no size"),
        ({"a": entry(shape=[True])}, b"1234", "no size"),
        ({"a": entry(shape=["1"])}, b"1234", "no size"),
        ({"a": entry(offsets=(-4, 0))}, b"1234", "no size"),
        ({"a": entry(offsets=(4, 0))}, b"1234", "does not fill"),
        ({"a": entry(shape=[2**63], offsets=(0, 2**65))}, b"1234", "no size"),
        ({"a": entry(shape=[10**4000, 0], offsets=(0, 0))}, b"", "no size"),
        ({"a": entry(shape=[2**40, 2**40], offsets=(0, 2**60))}, b"1234", "does not fill"),
        ({"a": entry(shape=[2**58], offsets=(0, 2**60))}, b"1234", "damaged or cut off"),
        ({"a": entry(shape=[2**62] * 200_000)}, b"1234", "200000 dimensions"),
        ({"a": entry(dtype="Q9")}, b"1234", "unknown dtype Q9"),
        ({"a": entry(dtype=["F32"])}, b"1234", "unknown dtype"),
        ({"a": entry(dtype="F4")}, b"1234", "unknown dtype F4"),
        ({"a": entry(), "b": entry(offsets=(2, 6))}, b"123456", "overlap"),
        ({"a": entry(), "b": entry()}, b"1234", "overlap"),
        ({"a": entry(), "b": entry(offsets=(8, 12))}, b"1" * 12, "gap"),
        ({"a": entry()}, b"12345678", "damaged or cut off"),
        ({"a": entry()}, b"12", "damaged or cut off"),
        ({}, b"1", "damaged or cut off"),
        (b'{"a":' + json.dumps(entry()).encode() + b',"a":' + json.dumps(entry()).encode() + b"}", b"1234", "twice"),
        (b'{"a":{"dtype":"F32","dtype":"F32","shape":[1],"data_offsets":[0,4]}}', b"1234", "twice"),
    ],
)  # fmt: skip
def test_hostile_headers_are_refused_in_time(tmp_path, header, data, words):
    file = written(tmp_path, header, data)
    begin = time.monotonic()
    with pytest.raises(ValueError, match=words):
        read_header(file)
    assert time.monotonic() - begin < SECONDS


@pytest.mark.parametrize("claim", [2**60, 2**63, 2**64 - 1, 10**8 + 1, 3])
def test_a_header_larger_than_the_file_is_refused_before_it_is_read(tmp_path, claim):
    file = tmp_path / "x.safetensors"
    file.write_bytes(struct.pack("<Q", claim) + b"{}")
    with pytest.raises(ValueError, match=f"header claims {claim} bytes"):
        read_header(file)


@pytest.mark.parametrize("content", [b"", b"\0" * 7])
def test_a_file_without_a_header_is_refused(tmp_path, content):
    (tmp_path / "x.safetensors").write_bytes(content)
    with pytest.raises(ValueError, match="not a safetensors file"):
        read_header(tmp_path / "x.safetensors")


def test_a_pointer_to_large_file_storage_is_told_from_weights(tmp_path):
    pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:" + "ab" * 32 + "\nsize 134\n"
    (tmp_path / "x.safetensors").write_text(pointer)
    with pytest.raises(ValueError, match=r"Git LFS pointer.*git lfs pull"):
        read_header(tmp_path / "x.safetensors")


@pytest.mark.parametrize("name", ["\x1b[31mred", "line\nbreak", "\ud800", "x" * 5000, ""])
def test_errors_show_hostile_names_short_and_printable(tmp_path, name):
    with pytest.raises(ValueError, match="no size") as caught:
        read_header(written(tmp_path, {name: entry(shape=[-1])}))
    words = str(caught.value)
    words.encode()
    assert words.isprintable()
    assert len(words) < len(str(tmp_path)) + 300
    assert shown("model.norm.weight") == "model.norm.weight"


@pytest.mark.parametrize("seed", range(4))
def test_damage_anywhere_in_a_file_is_refused_or_harmless(tmp_path, seed):
    """Bytes flipped, cut and doubled at random: ValueError, or tensors that lie inside the file; never another error, never a long wait."""
    draw, file = random.Random(seed), tmp_path / "x.safetensors"
    save_file({f"layer.{i}.weight": torch.ones(i + 1, 3) for i in range(6)}, file, metadata={"format": "pt"})
    whole, refused, begin = file.read_bytes(), 0, time.monotonic()
    for _ in range(250):
        data = bytearray(whole)
        for _ in range(draw.randint(1, 4)):
            at = draw.randrange(min(len(data), 700))
            change = draw.choice(("flip", "cut", "double", "digit"))
            if change == "flip":
                data[at] ^= 1 << draw.randrange(8)
            elif change == "digit":
                data[at] = draw.choice(b'0123456789-"[]{}')
            else:
                data[at : at + draw.randint(1, 9)] = data[at : at + 4] * 2 if change == "double" else b""
        file.write_bytes(data)
        try:
            found = read_header(file)
        except ValueError:
            refused += 1
        else:
            assert all(8 <= info.begin <= info.end <= len(data) for info in found.values())
    assert refused > 150
    assert time.monotonic() - begin < SECONDS
