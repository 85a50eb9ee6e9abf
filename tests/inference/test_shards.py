"""The files of a checkpoint: index, shards, and what is not read at all."""

import json
import shutil

import pytest
import torch
from safetensors.torch import save_file

from tests.inference.folders import (
    opened,
    read_index,
    rewrite,
    shard_of,
    sharded,
    values,
    write_index,
)

ONE = "model.layers.1.mlp.experts.3.up_proj.weight"


@pytest.fixture
def v3(tmp_path):
    return sharded(tmp_path / "v3")


def test_a_refused_checkpoint_leaves_no_file_open(v3):
    shard_of(v3[0], ONE).write_bytes(b"")
    with pytest.raises(ValueError, match="not a safetensors file"):
        opened(v3[0])  # an unclosed file is a warning, and warnings fail tests


def test_files_that_are_replaced_while_open_do_not_matter(v3):
    folder, _, made = v3
    weights = opened(folder)
    for file in folder.glob("*.safetensors"):
        file.unlink()
        file.write_bytes(b"another")
    assert torch.equal(weights(ONE), made[ONE])
    weights.close()


def test_a_file_that_shrinks_while_open_is_an_error_not_a_crash(v3):
    weights = opened(v3[0])
    shard_of(v3[0], ONE).write_bytes(b"")
    with pytest.raises(ValueError, match=r"became shorter while model\.layers\.1\.mlp\.experts\.3"):
        weights(ONE)
    weights.close()


def test_a_cut_off_shard_is_named(v3):
    file = shard_of(v3[0], ONE)
    file.write_bytes(file.read_bytes()[:-1])
    with pytest.raises(
        ValueError, match=rf"{file.name}: the tensors end at byte \d+, the file at \d+; it is damaged or cut off"
    ):
        opened(v3[0])


def test_an_absent_shard_is_named(v3):
    shard_of(v3[0], ONE).unlink()
    with pytest.raises(ValueError, match=rf"lacks {read_index(v3[0])[ONE]}, which its index names; fetch"):
        opened(v3[0])


@pytest.mark.parametrize(
    ("place", "words"),
    [
        ({ONE: "model-00001-of-00016.safetensors"}, r"up_proj\.weight in model-00001\S+ \(it is in model-000"),
        ({"model.nothing": "model-00001-of-00016.safetensors"}, r"not there: model\.nothing in model-00001"),
        ({ONE: "../x.safetensors"}, r"outside its directory: '\.\./x"),
        ({ONE: "/etc/passwd"}, "outside its directory"),
        ({ONE: "a\0b"}, "outside its directory"),
        ({ONE: ""}, "outside its directory"),
        ({ONE: ".."}, "outside its directory"),
        ({ONE: 3}, "no weight_map"),
        ({ONE: "model.bin"}, r"lacks model\.bin"),
    ],
)
def test_an_index_that_does_not_fit_is_refused(v3, place, words):
    write_index(v3[0], {**read_index(v3[0]), **place})
    with pytest.raises(ValueError, match=words):
        opened(v3[0])


@pytest.mark.parametrize("text", ["{", "[]", "{}", '{"weight_map": {}}', '{"weight_map": [1]}', "[" * 100_000])
def test_a_broken_index_is_named(v3, text):
    (v3[0] / "model.safetensors.index.json").write_text(text)
    with pytest.raises(ValueError, match=r"model\.safetensors\.index\.json"):
        opened(v3[0])


def test_a_tensor_in_two_shards_is_refused(v3):
    other = next(file for file in v3[0].glob("*.safetensors") if file != shard_of(v3[0], ONE))
    rewrite(other, lambda t: t.update({ONE: torch.ones(24, 48)}))
    with pytest.raises(ValueError, match=r"up_proj\.weight stands in model-\S+ and in model-\S+"):
        opened(v3[0])


def test_an_index_beside_a_file_that_it_does_not_name_is_refused(v3):
    save_file(v3[2], v3[0] / "model.safetensors")
    with pytest.raises(ValueError, match="remove the one that is not meant"):
        opened(v3[0])


def test_shards_without_an_index_are_told_what_is_missing(v3):
    (v3[0] / "model.safetensors.index.json").unlink()
    with pytest.raises(ValueError, match=r"holds model-00001\S+, .* and 8 more but neither .*; fetch the index"):
        opened(v3[0])


def save_config(folder):
    (folder / "config.json").write_text(json.dumps(values("llama")))
    return folder


def test_a_folder_without_weights_says_what_it_lacks(tmp_path):
    with pytest.raises(ValueError, match=r"lacks model\.safetensors and model\.safetensors\.index\.json"):
        opened(save_config(tmp_path))


@pytest.mark.parametrize("name", ["pytorch_model.bin", "consolidated.00.pth", "model.pt", "model.ckpt"])
def test_pickled_weights_are_refused_with_what_to_do(tmp_path, shared_data, name):
    shutil.copy(shared_data / "bad_inputs" / "39_evil_checkpoint.pt", tmp_path / name)
    with pytest.raises(ValueError, match=rf"pickled weights \({name}\).*Convert them to safetensors"):
        opened(save_config(tmp_path))


def test_an_index_cannot_name_pickled_weights(v3, shared_data):
    shutil.copy(shared_data / "bad_inputs" / "39_evil_checkpoint.pt", v3[0] / "model.bin")
    write_index(v3[0], {**read_index(v3[0]), ONE: "model.bin"})
    with pytest.raises(ValueError, match=r"pickled weights \(model\.bin\)"):
        opened(v3[0])
