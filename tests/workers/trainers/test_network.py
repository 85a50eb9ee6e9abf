"""The training form agrees with the engine, and is causal."""

import json

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from workers.trainers.network import Shape, TrainedNetwork, rotate
from workers.trainers.text import build_tokenizer, save_tokenizer


@pytest.fixture(scope="module")
def network():
    made = TrainedNetwork(Shape(initializer_range=0.2), seed=3)
    generator = torch.Generator().manual_seed(4)
    for bias in made.biases():
        bias.add_(0.1 * torch.randn(bias.shape, generator=generator))
    return made


def test_it_counts_every_token_in_every_routed_layer(network):
    ids = torch.randint(6, 500, (2, 9), generator=torch.Generator().manual_seed(1))
    _, loads = network.forward(ids)
    assert [int(load.sum()) for load in loads] == [2 * 9 * 2] * 3


def test_a_later_token_changes_nothing_before_it(network):
    ids = torch.randint(6, 500, (1, 20), generator=torch.Generator().manual_seed(1))
    other = ids.clone()
    other[0, 15] = 7
    with torch.no_grad():
        a, b = network.forward(ids)[0], network.forward(other)[0]
    assert torch.allclose(a[0, :15], b[0, :15], atol=1e-5)
    assert not torch.allclose(a[0, 15:], b[0, 15:], atol=1e-3)


def test_rotation_is_interleaved_and_keeps_lengths():
    x = torch.tensor([[1.0, 0.0, 0.0, 2.0]])
    angle = torch.tensor([[torch.pi / 2, 0.0]])
    assert torch.allclose(rotate(x, angle.cos(), angle.sin()), torch.tensor([[0.0, 1.0, 0.0, 2.0]]), atol=1e-6)


def test_the_engine_gives_the_same_logits(network, tmp_path):
    from inference import Engine

    (tmp_path / "config.json").write_text(json.dumps(network.shape.hf()), encoding="utf-8")
    save_file(network.model.state_dict(), str(tmp_path / "model.safetensors"), metadata={"format": "pt"})
    save_tokenizer(build_tokenizer(7, 40), tmp_path, 1024)
    ids = torch.randint(6, 500, (1, 40), generator=torch.Generator().manual_seed(2))
    engine = Engine.load(tmp_path, dtype="float32", device="cpu")
    forward = engine.forward(ids[0].tolist())
    with torch.no_grad():
        logits, loads = network.forward(ids)
    assert np.abs(forward.logits - logits.numpy()).max() < 1e-4
    counted = [np.bincount(forward.routing.expert_ids[:, layer].ravel(), minlength=16).tolist() for layer in range(3)]
    assert counted == [load.tolist() for load in loads]
