"""What the loader refuses, and that it names it."""

import json
import shutil
import struct

import pytest
import torch
from safetensors.torch import load_file, save_file

from inference import Engine, checkpoint_hash
from inference.header import read_header


@pytest.fixture
def copy(checkpoint, tmp_path):
    return shutil.copytree(checkpoint, tmp_path / "copy")


def rewrite(folder, change):
    tensors = load_file(folder / "model.safetensors")
    change(tensors)
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})


def write_raw(path, header: bytes, data: bytes = b""):
    path.write_bytes(struct.pack("<Q", len(header)) + header + data)
    return path


def test_a_missing_tensor_is_named(copy):
    rewrite(copy, lambda t: t.pop("model.layers.1.mlp.experts.3.up_proj.weight"))
    with pytest.raises(ValueError, match=r"lacks model\.layers\.1\.mlp\.experts\.3\.up_proj\.weight"):
        Engine.load(copy)


def test_an_extra_tensor_is_named(copy):
    rewrite(copy, lambda t: t.update({"model.layers.0.self_attn.sink": torch.ones(3)}))
    with pytest.raises(ValueError, match=r"does not explain.*sink"):
        Engine.load(copy)


def test_a_misshapen_tensor_is_named_with_both_shapes(copy):
    rewrite(copy, lambda t: t.update({"model.norm.weight": torch.ones(47)}))
    with pytest.raises(ValueError, match=r"model\.norm\.weight \[47\], expected \[48\]"):
        Engine.load(copy)


def test_a_cut_off_file_is_named(copy):
    file = copy / "model.safetensors"
    file.write_bytes(file.read_bytes()[:-100])
    with pytest.raises(ValueError, match="damaged or cut off"):
        Engine.load(copy)


def test_shards_load_like_one_file(copy, checkpoint):
    tensors = load_file(copy / "model.safetensors")
    names = sorted(tensors)
    parts = {"a.safetensors": names[::2], "b.safetensors": names[1::2]}
    for file, part in parts.items():
        save_file({name: tensors[name] for name in part}, copy / file)
    (copy / "model.safetensors").unlink()
    index = {"weight_map": {name: file for file, part in parts.items() for name in part}}
    (copy / "model.safetensors.index.json").write_text(json.dumps(index))
    ids = [0, 4, 8]
    assert (Engine.load(copy).forward(ids).logits == Engine.load(checkpoint).forward(ids).logits).all()


def test_an_index_cannot_point_out_of_its_directory(copy):
    (copy / "model.safetensors.index.json").write_text(json.dumps({"weight_map": {"a": "../x.safetensors"}}))
    with pytest.raises(ValueError, match="outside its directory"):
        Engine.load(copy)


def test_pickled_weights_are_refused_with_what_to_do(copy, shared_data):
    (copy / "model.safetensors").unlink()
    shutil.copy(shared_data / "bad_inputs" / "39_evil_checkpoint.pt", copy / "pytorch_model.pt")
    with pytest.raises(ValueError, match=r"pickled weights.*Convert them to safetensors"):
        Engine.load(copy)


@pytest.mark.parametrize(("name", "words"), [("41_st_bad_offsets", "does not fill"), ("43_st_dup_key", "twice")])
def test_broken_headers_are_refused(shared_data, name, words):
    with pytest.raises(ValueError, match=words):
        read_header(shared_data / "bad_inputs" / f"{name}.safetensors")


@pytest.mark.parametrize(
    ("header", "data", "words"),
    [
        (b"{", b"", "not JSON"),
        (b"[]", b"", "not a JSON object"),
        (b"[" * 100_000, b"", "not JSON"),
        (b'{"a":{"dtype":"F32","shape":[-1],"data_offsets":[0,4]}}', b"1234", "no size"),
        (b'{"a":{"dtype":"Q9","shape":[1],"data_offsets":[0,4]}}', b"1234", "unknown dtype"),
        (
            b'{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"b":{"dtype":"F32","shape":[1],"data_offsets":[2,6]}}',
            b"123456",
            "overlap",
        ),
        (b'{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}', b"12345678", "damaged or cut off"),
        (b'{"a":3}', b"", "lacks dtype"),
    ],
)
def test_hostile_headers_are_refused(tmp_path, header, data, words):
    with pytest.raises(ValueError, match=words):
        read_header(write_raw(tmp_path / "x.safetensors", header, data))


def test_a_header_larger_than_the_file_is_refused_before_it_is_read(tmp_path):
    file = tmp_path / "x.safetensors"
    file.write_bytes(struct.pack("<Q", 2**62) + b"{}")
    with pytest.raises(ValueError, match="header claims"):
        read_header(file)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"model_type": "gpt2"}, "model_type 'gpt2' is not supported"),
        ({"scoring_func": "softmax"}, "scoring_func"),
        ({"quantization_config": {"quant_method": "fp8"}}, "quantised"),
        ({"n_group": 5}, "not divisible"),
        ({"num_experts_per_tok": 99}, "num_experts_per_tok"),
        ({"rope_parameters": {"rope_type": "longrope"}}, "longrope"),
    ],
)
def test_configs_that_it_cannot_run_exactly_are_refused(copy, changes, words):
    values = json.loads((copy / "config.json").read_text())
    (copy / "config.json").write_text(json.dumps({**values, **changes}))
    with pytest.raises(ValueError, match=words):
        Engine.load(copy)


def test_absent_directory_and_config_are_named(tmp_path):
    with pytest.raises(ValueError, match="is not a directory"):
        Engine.load(tmp_path / "none")
    with pytest.raises(ValueError, match=r"no config\.json"):
        Engine.load(tmp_path)


def test_hash_follows_the_weights(copy):
    before = checkpoint_hash(copy)
    rewrite(copy, lambda t: t["model.norm.weight"].mul_(1.001))
    assert checkpoint_hash(copy) != before
