"""The MTP's agreement: which guesses count, what they are held against, and a checkpoint of any sizes."""

from dataclasses import replace

import pytest
import torch

from workers.trainers.drafts import compare, load_network, measure
from workers.trainers.families import FAMILIES, generate
from workers.trainers.network import Pass, TrainedNetwork
from workers.trainers.shape import Shape
from workers.trainers.text import build_tokenizer, save_tokenizer
from workers.trainers.tiny import save_model

SMALL = Shape(hidden_size=32, intermediate_size=64, moe_intermediate_size=16, kv_lora_rank=16, qk_nope_head_dim=8,
              qk_rope_head_dim=8, v_head_dim=8, num_hidden_layers=3)  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    made = tmp_path_factory.mktemp("checkpoint")
    save_model(TrainedNetwork(SMALL, seed=3), made)
    save_tokenizer(build_tokenizer(7, 40), made, 1024)
    return made


def _logits(*tokens):
    return torch.nn.functional.one_hot(torch.tensor([tokens]), 8).float() * 100


def test_a_guess_is_held_against_the_main_model_one_position_later():
    targets, weights = torch.tensor([3, 4, 5, 6, 7]), torch.tensor([0.0, 1, 1, 1, 1])
    said, drafted = _logits(0, 4, 5, 2, 7), _logits(1, 5, 2, 2)  # for targets 0 to 4, and for targets 1 to 4
    guesses = compare(Pass(said, drafted, []), targets, weights)
    assert guesses.made == 3  # the guess for target 1 is made before anything was sampled
    assert guesses.agreed == 2  # 5 and the wrong 2; at the last place the model says 7
    assert guesses.right == 1
    assert guesses.nats == pytest.approx(200)


def test_padding_makes_no_guess():
    targets, weights = torch.tensor([3, 4, 5, 1, 1]), torch.tensor([1.0, 1, 1, 0, 0])
    assert compare(Pass(_logits(3, 4, 5, 1, 1), _logits(4, 5, 1, 1), []), targets, weights).made == 2


def test_a_checkpoint_is_loaded_as_it_was_saved(folder):
    saved, loaded = TrainedNetwork(SMALL, seed=3), load_network(folder)
    assert loaded.shape == SMALL
    ids = torch.arange(6, 18)[None]
    with torch.no_grad():
        assert torch.equal(saved.forward(ids).drafts, loaded.forward(ids).drafts)


def test_every_family_is_measured_and_an_untrained_mtp_guesses_by_chance(folder):
    items = [item for name in FAMILIES for item in generate(name, 2, seed=5, split="heldout")]
    found = measure(folder, items)
    assert set(found["families"]) == set(FAMILIES)
    assert found["guesses"] == sum(each["guesses"] for each in found["families"].values())
    assert found["right"] < 0.1
    assert 5 < found["loss"] < 8  # ln 512 = 6.2
    assert 0 <= found["least_share"] < 1 / 16


def test_a_checkpoint_without_an_mtp_is_refused(folder, tmp_path):
    save_model(TrainedNetwork(replace(SMALL, num_nextn_predict_layers=0), seed=3), tmp_path)
    (tmp_path / "tokenizer.json").write_bytes((folder / "tokenizer.json").read_bytes())
    with pytest.raises(ValueError, match="without an MTP"):
        measure(tmp_path, [])
