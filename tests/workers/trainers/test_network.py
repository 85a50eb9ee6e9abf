"""The training form agrees with the engine, and is causal."""

import json

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from workers.trainers.layers import rotate
from workers.trainers.network import TrainedNetwork
from workers.trainers.shape import Shape
from workers.trainers.text import build_tokenizer, save_tokenizer


@pytest.fixture(scope="module")
def network():
    made = TrainedNetwork(Shape(initializer_range=0.2), seed=3)
    generator = torch.Generator().manual_seed(4)
    for bias in made.biases():
        bias.add_(0.1 * torch.randn(bias.shape, generator=generator))
    return made


def _ids(*size):
    return torch.randint(6, 500, size, generator=torch.Generator().manual_seed(1))


def test_it_counts_every_token_in_every_routed_layer(network):
    loads = network.forward(_ids(2, 9)).loads
    assert [int(load.sum()) for load in loads] == [2 * 9 * 2] * 3 + [2 * 8 * 2]  # a row's last token has no next one


def test_a_later_token_changes_nothing_before_it(network):
    ids = _ids(1, 20)
    other = ids.clone()
    other[0, 15] = 7
    with torch.no_grad():
        a, b = network.forward(ids), network.forward(other)
    for one, two, first in ((a.logits, b.logits, 15), (a.drafts, b.drafts, 14)):  # a draft reads one token further
        assert torch.allclose(one[0, :first], two[0, :first], atol=1e-4)
        assert not torch.allclose(one[0, first], two[0, first], atol=1e-3)


def test_the_mtp_has_v3s_names_and_shapes(network):
    shapes = {name: tuple(tensor.shape) for name, tensor in network.model.state_dict().items()}
    mtp = {name.removeprefix("model.layers.4."): size for name, size in shapes.items() if ".layers.4." in name}
    last = {name.removeprefix("model.layers.3."): size for name, size in shapes.items() if ".layers.3." in name}
    own = {
        "enorm.weight": (192,),
        "hnorm.weight": (192,),
        "eh_proj.weight": (192, 384),
        "shared_head.norm.weight": (192,),
    }
    assert mtp == last | own  # a routed layer like the one before, and no copy of embedding or head
    assert {"mlp.gate.weight", "mlp.gate.e_score_correction_bias", "self_attn.kv_b_proj.weight"} <= set(mtp)


def test_the_mtp_reads_the_next_embedding_first_and_the_normed_state_second(network):
    model, ids, seen = network.model, _ids(1, 12), {}
    mtp = model.mtp
    model.model.norm.register_forward_hook(lambda _module, _args, out: seen.update(hidden=out))
    hook = mtp.eh_proj.register_forward_hook(lambda _module, args, _out: seen.update(joined=args[0]))
    with torch.no_grad():
        mtp.enorm.weight.fill_(2.0)
        mtp.hnorm.weight.fill_(3.0)
        network.forward(ids)
        mtp.enorm.weight.fill_(1.0)
        mtp.hnorm.weight.fill_(1.0)
    hook.remove()

    def unit(x):
        return x / (x.pow(2).mean(-1, keepdim=True) + 1e-6).sqrt()

    for i in (0, 5, 10):
        by_hand = torch.cat([2 * unit(model.model.embed_tokens.weight[ids[0, i + 1]]), 3 * unit(seen["hidden"][0, i])])
        assert torch.allclose(seen["joined"][0, i], by_hand, atol=1e-5)


def test_the_mtp_shares_embedding_and_head_and_teaches_the_main_layers():
    model = TrainedNetwork(Shape(), seed=3).model
    model(_ids(1, 12))[1].sum().backward()
    names = ["model.embed_tokens.weight", "lm_head.weight", "model.norm.weight", "model.layers.0.mlp.up_proj.weight"]
    assert all(model.get_parameter(name).grad.abs().sum() > 0 for name in names)


def test_without_an_mtp_the_main_model_is_the_same():
    alone, both = (TrainedNetwork(Shape(num_nextn_predict_layers=depth), seed=3) for depth in (0, 1))
    with torch.no_grad():
        a, b = alone.forward(_ids(1, 12)), both.forward(_ids(1, 12))
    assert a.drafts is None
    assert torch.equal(a.logits, b.logits)
    assert (len(a.loads), len(b.loads)) == (3, 4)


def test_a_second_mtp_is_refused():
    with pytest.raises(ValueError, match="num_nextn_predict_layers must be 0 or 1, got 2"):
        Shape(num_nextn_predict_layers=2)


def test_a_shape_survives_its_config_and_a_lacking_one_is_refused():
    config = Shape(hidden_size=64, num_nextn_predict_layers=0).hf()
    assert Shape.of(config) == Shape(hidden_size=64, num_nextn_predict_layers=0)
    del config["n_group"]
    with pytest.raises(ValueError, match="lacks n_group"):
        Shape.of(config)


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
        logits, _, loads = network.forward(ids)
    assert np.abs(forward.logits - logits.numpy()).max() < 1e-4
    counted = [np.bincount(forward.routing.expert_ids[:, layer].ravel(), minlength=16).tolist() for layer in range(3)]
    assert counted == [load.tolist() for load in loads[:3]]


def test_the_engines_mtp_drafts_the_same(network):
    from inference.attend import Chunk
    from inference.cache import Cache
    from inference.config import DeepseekConfig
    from inference.decoder import Decoder
    from inference.mtp import MTP

    config, weights = DeepseekConfig.from_hf(network.shape.hf()), network.model.state_dict().__getitem__
    ids, place = _ids(1, 40), torch.arange(40)
    with torch.inference_mode():
        decoder, cache = Decoder(config, weights, torch.float32), Cache(config, 3, torch.float32, "cpu", mtp=1)
        hidden = decoder.prefill(ids[0], place, place, [Chunk(40, 0, place[:0])], cache)
        mtp, place = MTP(decoder, weights, torch.float32), place[:-1]
        states = mtp.prefill(hidden[:-1], ids[0, 1:], place, place, [Chunk(39, 0, place[:0])], cache=cache)
        theirs, ours = decoder.logits(states), network.forward(ids).drafts
    assert (theirs - ours[0]).abs().max() < 1e-4
