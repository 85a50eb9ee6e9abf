"""What is read of a checkpoint: as it was written, once, in the kind that was asked for, and never twice in memory."""

import subprocess
import sys

import pytest
import torch

from inference import Engine, checkpoint_hash
from inference.config import DeepseekConfig
from inference.fp8 import Q_DTYPE, Fp8Weight
from inference.shapes import expected_shapes
from tests.inference.configs import SMALL
from tests.inference.folders import (
    eight_bit,
    everything,
    opened,
    read_index,
    save,
    sharded,
    tensors,
    values,
)

ONE = "model.layers.1.mlp.experts.3.up_proj.weight"
Q = "model.layers.0.self_attn.kv_a_proj_with_mqa.weight"


@pytest.fixture
def v3(tmp_path):
    return sharded(tmp_path / "v3")


@pytest.fixture
def eight(tmp_path):
    return eight_bit(tmp_path / "eight")


@pytest.mark.parametrize("model_type", SMALL)
@pytest.mark.parametrize("shards", [1, 3])
def test_every_generation_is_read_as_it_was_written(tmp_path, model_type, shards):
    made = tensors(DeepseekConfig.from_hf(values(model_type)))
    read = everything(save(tmp_path / "x", values(model_type), made, shards=shards))
    assert read.keys() == made.keys()
    assert all(torch.equal(read[name], made[name]) for name in made)
    assert all(tensor.data_ptr() % 64 == 0 for tensor in read.values())


def test_the_router_stays_in_float32(v3):
    folder, _, made = v3
    read = everything(folder, torch.bfloat16)
    kept = {name for name, tensor in read.items() if tensor.dtype == torch.float32}
    router = ("mlp.gate.weight", "mlp.gate.e_score_correction_bias")
    assert kept == {f"model.layers.{i}.{name}" for i in (1, 2, 3) for name in router}
    assert torch.equal(read["model.norm.weight"], made["model.norm.weight"].bfloat16())
    assert torch.equal(read["model.layers.1.mlp.gate.weight"], made["model.layers.1.mlp.gate.weight"])


@pytest.mark.parametrize("stored", [torch.bfloat16, torch.float16])
def test_stored_halves_become_the_engines_dtype(tmp_path, stored):
    made = {name: tensor.to(stored) for name, tensor in tensors(DeepseekConfig.from_hf(values("qwen2"))).items()}
    read = everything(save(tmp_path / "x", values("qwen2"), made))
    assert all(torch.equal(read[name], made[name].float()) for name in made)


def test_a_tensor_is_given_once(v3):
    weights = opened(v3[0])
    weights("model.norm.weight")
    with pytest.raises(KeyError, match=r"model\.norm"):
        weights("model.norm.weight")
    weights.close()


def test_a_model_that_forgets_a_tensor_is_told(v3):
    weights = opened(v3[0])
    for name in list(weights.left):
        if name != "lm_head.weight":
            weights(name)
    with pytest.raises(AssertionError, match=r"did not ask for .*lm_head"), weights:
        pass


def test_mtp_layers_may_stay_unread(v3):
    with opened(v3[0]) as weights:
        assert weights.has_mtp
        for name in expected_shapes(v3[1]):
            weights(name)


def test_the_last_tensor_closes_the_files(v3):
    weights = opened(v3[0])
    for name in list(weights.left):
        weights(name)
    assert all(place.file.closed for place in weights._shards.places.values())


def test_weights_in_eight_bit_stay_so_with_scales_from_other_shards(eight):
    folder, config, made = eight
    index = read_index(folder)
    scales = [name for name in made if name.endswith("_scale_inv")]
    assert any(index[name] != index[name.removesuffix("_scale_inv")] for name in scales)
    read = everything(folder, torch.bfloat16)
    assert len([tensor for tensor in read.values() if isinstance(tensor, Fp8Weight)]) == len(scales)
    for name in scales:
        weight = read[name.removesuffix("_scale_inv")]
        assert weight.q.dtype == Q_DTYPE
        assert weight.block == config.fp8_block == (16, 32)
        assert torch.equal(weight.q.view(torch.uint8), made[name.removesuffix("_scale_inv")].view(torch.uint8))
        assert torch.equal(weight.scale, made[name])
    assert read["model.layers.3.eh_proj.weight"].dtype == torch.bfloat16  # released checkpoints keep it


def test_weights_are_expanded_on_request(eight):
    folder = eight[0]
    kept, expanded = everything(folder), everything(folder, expand_fp8=True)
    assert all(isinstance(tensor, torch.Tensor) for tensor in expanded.values())
    for name, tensor in kept.items():
        assert torch.equal(expanded[name], tensor.dense(torch.float32) if isinstance(tensor, Fp8Weight) else tensor)
    original = tensors(DeepseekConfig.from_hf(values("deepseek_v3")))
    assert all((expanded[n] - original[n]).norm() / original[n].norm() < 0.04 for n in original if "_proj." in n)


@pytest.mark.parametrize(("dtype", "bound"), [("float32", 1e-5), ("bfloat16", 0)])
def test_a_model_in_eight_bit_says_what_its_expansion_says(tmp_path, dtype, bound):
    def calm(made):
        for name, tensor in made.items():
            if tensor.dtype == torch.float32 and not name.endswith("_scale_inv") and "norm" not in name:
                tensor.mul_(0.1)

    _, config, made = eight_bit(tmp_path / "x", calm)
    plain = {
        name: Fp8Weight(tensor, made[name + "_scale_inv"], config.fp8_block).dense(torch.float32)
        if tensor.dtype == Q_DTYPE
        else tensor
        for name, tensor in made.items()
        if not name.endswith("_scale_inv")
    }
    save(tmp_path / "plain", values("deepseek_v3"), plain)
    says = lambda name, **how: Engine.load(tmp_path / name, dtype, native=False, **how).forward(range(2, 60)).logits  # noqa: E731
    assert (says("x", expand_fp8=True) == says("plain")).all()
    assert abs(says("x") - says("plain")).max() <= bound


@pytest.mark.parametrize("code", [0x7F, 0xFF])
def test_eight_bit_nan_is_refused_by_name(tmp_path, code):
    folder = eight_bit(tmp_path / "x", lambda t: t[Q].view(torch.uint8)[3].fill_(code))[0]
    with pytest.raises(ValueError, match=r"kv_a_proj_with_mqa\.weight holds NaN"):
        everything(folder)


PEAK = """
import sys
from pathlib import Path
import torch
from inference.config import DeepseekConfig
from inference.loader import open_weights

def status(key):
    line = next(line for line in open("/proc/self/status") if line.startswith(key + ":"))
    return int(line.split()[1]) * 1024

folder = Path(sys.argv[1])
torch.ones(8).to(torch.bfloat16).aminmax()  # what torch itself takes, before the count begins
config = DeepseekConfig.from_path(folder)
Path("/proc/self/clear_refs").write_text("5")  # the peak so far is forgotten
before = status("VmRSS")
with open_weights(folder, config, torch.bfloat16) as weights:
    kept = [weights(name) for name in list(weights.left)]
print(before, status("VmHWM"), status("RssFile"), sum(tensor.nbytes for tensor in kept))
"""


@pytest.mark.slow
def test_loading_never_holds_the_model_twice(tmp_path):
    """Peak resident memory, file pages included, of a process that loads 300 MB of many shards, and of one file."""
    config = values(
        "llama",
        hidden_size=1024,
        intermediate_size=3072,
        num_hidden_layers=12,
        num_attention_heads=8,
        num_key_value_heads=8,
    )
    shapes = expected_shapes(DeepseekConfig.from_hf(config))
    made = {name: torch.ones(shape, dtype=torch.bfloat16) for name, shape in shapes.items()}
    for shards in (1, 30):
        folder = save(tmp_path / str(shards), config, made, shards=shards)
        run = subprocess.run([sys.executable, "-c", PEAK, str(folder)], capture_output=True, text=True, check=True)
        before, peak, of_files, size = map(int, run.stdout.split())
        assert size > 300e6
        assert peak - before < 1.1 * size
        assert peak - before > 0.9 * size  # it is the weights that were measured
        assert of_files < before


@pytest.mark.parametrize("name", ["model.safetensors", "config.json", "tokenizer.json", "chat_template.jinja"])
def test_hash_follows_what_decides_what_a_model_says(tmp_path, name):
    folder = save(tmp_path / "x", values("llama"), tensors(DeepseekConfig.from_hf(values("llama"))))
    (folder / "README.md").write_text("A model.")
    before = checkpoint_hash(folder)
    (folder / "README.md").write_text("The same model.")
    assert checkpoint_hash(folder) == before
    with (folder / name).open("ab") as file:
        file.write(b" ")
    assert checkpoint_hash(folder) != before


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -float("inf")])
def test_numbers_that_are_none_are_refused_by_name(tmp_path, bad):
    made = tensors(DeepseekConfig.from_hf(values("llama")))
    made["model.layers.2.mlp.up_proj.weight"][7, 7] = bad
    with pytest.raises(ValueError, match=r"model\.layers\.2\.mlp\.up_proj\.weight holds NaN or infinity"):
        everything(save(tmp_path / "x", values("llama"), made))


def test_absent_directory_and_config_are_named(tmp_path):
    with pytest.raises(ValueError, match="is not a directory"):
        Engine.load(tmp_path / "none")
    with pytest.raises(ValueError, match=r"no config\.json"):
        Engine.load(tmp_path)


def test_a_model_without_a_tokenizer_runs_and_says_what_is_missing(tmp_path):
    made = tensors(DeepseekConfig.from_hf(values("llama")))
    folder = save(tmp_path / "x", values("llama"), made)
    (folder / "tiktoken.model").touch()
    engine = Engine.load(folder, native=False)
    assert engine.forward([1, 2]).logits.shape == (1, 2, 97)
    with pytest.raises(ValueError, match=r"tiktoken\.model but no tokenizer\.json"):
        _ = engine.tokenizer
