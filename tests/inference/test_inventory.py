"""What a checkpoint must hold to fit its config: what does not is named, with what to do."""

import json

import pytest
import torch

from inference.config import DeepseekConfig
from inference.fp8 import Q_DTYPE, Fp8Weight
from inference.shapes import expected_shapes, mtp_copies, mtp_shapes
from tests.inference.folders import (
    FP8,
    eight_bit,
    everything,
    opened,
    read_index,
    rewrite,
    save,
    shard_of,
    sharded,
    tensors,
    values,
    write_index,
)

ONE = "model.layers.1.mlp.experts.3.up_proj.weight"
Q = "model.layers.0.self_attn.kv_a_proj_with_mqa.weight"


@pytest.fixture
def v3(tmp_path):
    return sharded(tmp_path / "v3")


@pytest.fixture
def eight(tmp_path):
    return eight_bit(tmp_path / "eight")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda t: t.pop(ONE), r"lacks model\.layers\.1\.mlp\.experts\.3\.up_proj\.weight$"),
        (lambda t: t.update({"model.layers.0.self_attn.sink": torch.ones(3)}), r"does not explain: .*sink\. Is config\.json"),
        (lambda t: t.update({"model.norm.weight": torch.ones(47)}), r"model\.norm\.weight \[47\], expected \[48\]"),
        (lambda t: t.update({ONE: torch.ones(48, 24)}), r"up_proj\.weight \[48, 24\], expected \[24, 48\]"),
        (lambda t: t.update({"model.norm.weight": torch.ones(48).long()}), r"model\.norm\.weight \(I64\)"),
        (lambda t: t.update({"model.norm.weight": torch.ones(48).double()}), r"model\.norm\.weight \(F64\)"),
        (lambda t: t.update({ONE + "_scale_inv": torch.ones(2, 2)}), r"does not explain: .*_scale_inv\."),
        (lambda t: t.update({"model.layers.0.self_attn.o_proj.bias": torch.ones(48)}), r"Biases are read where"),
        (lambda t: t.update({"base_model.model.x.lora_A.weight": torch.ones(2)}), r"an adapter: merge it"),
        (lambda t: t.update({"model.layers.0.mlp.up_proj.qweight": torch.ones(2)}), r"quantised in a way"),
        (lambda t: t.update({"model.layers.9.input_layernorm.weight": torch.ones(48)}), r"num_hidden_layers = 3"),
        (lambda t: t.update({"model.layers.1.mlp.experts.gate_up_proj": torch.ones(2)}), r"published names"),
        (lambda t: t.update({"\x1b[2J": torch.ones(2)}), r"'\\x1b\[2J'"),
        (lambda t: [t.pop(n) for n in list(t) if ".experts." in n], r"(, model\S+){7} and 136 more"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_named_before_anything_is_allocated(tmp_path, monkeypatch, change, words):
    made = tensors(DeepseekConfig.from_hf(values("deepseek_v3")))
    change(made)
    folder = save(tmp_path / "x", values("deepseek_v3"), made)
    monkeypatch.setattr("torch.empty", None)
    with pytest.raises(ValueError, match=words):
        opened(folder)


def test_all_that_is_wrong_is_told_at_once(tmp_path):
    made = tensors(DeepseekConfig.from_hf(values("llama")))
    made["model.sink"] = made.pop("model.norm.weight")
    made["lm_head.weight"] = made["lm_head.weight"][:5].clone()
    with pytest.raises(
        ValueError, match=r"lacks model\.norm.*; it has tensors.*model\.sink.*; it has misshapen.*lm_head"
    ):
        opened(save(tmp_path / "x", values("llama"), made))


def test_a_model_saved_without_its_head_is_told_so(tmp_path):
    made = tensors(DeepseekConfig.from_hf(values("llama")))
    bare = {name.removeprefix("model."): tensor for name, tensor in made.items() if name != "lm_head.weight"}
    with pytest.raises(ValueError, match=r"lacks .* and \d+ more; it has .* saved without the head"):
        opened(save(tmp_path / "x", values("llama"), bare))


def test_a_tied_head_that_is_saved_all_the_same_must_be_the_embedding(tmp_path):
    config = values("qwen2", tie_word_embeddings=True)
    made = tensors(DeepseekConfig.from_hf(config))
    same = {**made, "lm_head.weight": made["model.embed_tokens.weight"].clone()}
    assert everything(save(tmp_path / "same", config, same)).keys() == made.keys()
    with pytest.raises(ValueError, match=r"lm_head\.weight.*tie_word_embeddings"):
        opened(save(tmp_path / "other", config, {**made, "lm_head.weight": same["lm_head.weight"] + 1}))


def test_old_tables_of_rope_are_left_out(v3):
    folder, _, made = v3
    rewrite(shard_of(folder, ONE), lambda t: t.update({"model.layers.0.self_attn.rotary_emb.inv_freq": torch.ones(4)}))
    assert everything(folder).keys() == made.keys()


def test_a_config_that_speaks_of_far_more_than_there_is_costs_nothing(v3):
    (v3[0] / "config.json").write_text(json.dumps(values("deepseek_v3", num_hidden_layers=1000, n_routed_experts=4096)))
    with pytest.raises(ValueError, match=r"1000 layers and 4096 experts.*do not belong together"):
        opened(v3[0])


def test_mtp_layers_are_left_out_by_name_when_asked(v3, caplog):
    with caplog.at_level("INFO"):
        read = everything(v3[0], mtp=False)
    assert read.keys() == expected_shapes(v3[1]).keys()
    assert "model.layers.3.enorm.weight" in caplog.text


def test_a_checkpoint_that_lost_its_mtp_layers_is_whole_without_them(tmp_path, caplog):
    """transformers drops them on loading and keeps num_nextn_predict_layers in the config that it saves."""
    made = tensors(DeepseekConfig.from_hf(values("deepseek_v3")), mtp=False)
    with caplog.at_level("INFO"), opened(save(tmp_path / "x", values("deepseek_v3"), made)) as weights:
        assert not weights.has_mtp
        assert list(weights.left) == list(made)
        weights.left.clear()
    assert "the weights have none" in caplog.text


def test_a_checkpoint_with_some_of_an_mtp_layer_is_not_whole(v3):
    rewrite(shard_of(v3[0], "model.layers.3.enorm.weight"), lambda t: t.pop("model.layers.3.enorm.weight"))
    index = read_index(v3[0])
    del index["model.layers.3.enorm.weight"]
    write_index(v3[0], index)
    with pytest.raises(ValueError, match=r"lacks model\.layers\.3\.enorm\.weight$"):
        opened(v3[0])
    opened(v3[0], mtp=False).close()


@pytest.mark.parametrize("mtp", [True, False])
def test_the_copies_of_embedding_and_head_are_left_out(v3, mtp):
    folder, config, _ = v3
    copies = {name: torch.ones(shape) for name, shape in mtp_copies(config).items()}
    assert len(copies) == 2
    rewrite(shard_of(folder, ONE), lambda t: t.update(copies))
    shapes = expected_shapes(config) | (mtp_shapes(config) if mtp else {})
    assert everything(folder, mtp=mtp).keys() == shapes.keys()


def test_a_config_that_does_not_announce_its_mtp_layer_is_told_so(v3):
    (v3[0] / "config.json").write_text(json.dumps(values("deepseek_v3", num_nextn_predict_layers=0)))
    with pytest.raises(ValueError, match=r"model\.layers\.3\..*num_nextn_predict_layers = 0"):
        opened(v3[0])


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda t: t.pop(Q + "_scale_inv"), r"lacks model\.layers\.0\.self_attn\.kv_a_proj_with_mqa\.weight_scale_inv"),
        (lambda t: t.update({Q + "_scale_inv": torch.ones(2, 1)}), r"_scale_inv \[2, 1\], expected \[2, 2\]"),
        (lambda t: t.update({Q + "_scale_inv": torch.ones(2, 2).long()}), r"_scale_inv \(I64\)"),
        (lambda t: t.update({Q: torch.ones(32, 48)}), r"kv_a_proj_with_mqa\.weight_scale_inv\. .*remove its scale"),
        (lambda t: t.update({Q: torch.ones(32, 48).to(torch.float8_e5m2)}), r"kv_a_proj_with_mqa\.weight \(F8_E5M2\)"),
        (lambda t: t.update({"model.norm.weight": torch.ones(48).to(Q_DTYPE)}), r"model\.norm\.weight \(F8_E4M3\)"),
        (
            lambda t: t.update({"model.layers.0.mlp.up_proj.weight_scale": torch.ones(1)}),
            "quantised in a way that is not read here",
        ),
    ],
)
def test_wrong_scales_are_named(tmp_path, change, words):
    with pytest.raises(ValueError, match=words):
        opened(eight_bit(tmp_path / "x", change)[0])


def test_experts_of_a_layer_are_of_one_kind(tmp_path):
    def expand(made):
        made[ONE] = torch.ones(made[ONE].shape)
        del made[ONE + "_scale_inv"]

    with pytest.raises(ValueError, match=r"some experts in 8 bit and some not in layers 1$"):
        opened(eight_bit(tmp_path / "x", expand)[0])


def test_weights_in_eight_bit_need_their_config(eight):
    (eight[0] / "config.json").write_text(json.dumps(values("deepseek_v3")))
    with pytest.raises(
        ValueError, match=r"weights in 8 bit \(.* and \d+ more\), but its config.json has no quantization"
    ):
        opened(eight[0])


def test_a_config_of_eight_bit_needs_such_weights(v3):
    (v3[0] / "config.json").write_text(json.dumps(values("deepseek_v3", quantization_config=FP8)))
    with pytest.raises(ValueError, match=r"has no weight in 8 bit.*Remove that entry"):
        opened(v3[0])


def test_a_projection_may_be_left_in_full(tmp_path):
    def expand(made):
        made[Q] = torch.ones(made[Q].shape)
        del made[Q + "_scale_inv"]

    read = everything(eight_bit(tmp_path / "x", expand)[0])
    assert isinstance(read[Q], torch.Tensor)
    assert isinstance(read["model.layers.0.self_attn.o_proj.weight"], Fp8Weight)
