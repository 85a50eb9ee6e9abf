"""Mistakes that others have made with this family, each put into our engine on purpose: the comparison with the reference must see every one.

Each case first holds the right engine to the bound on the same checkpoint and text, so that what is seen is the mistake and nothing else. Multi-token
prediction has its own in test_mtp.py, the gate's arithmetic in tests/inference/test_gate.py.
"""

from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import torch
from safetensors.torch import load_file, save_file

from inference import Engine, gate
from inference.config import DeepseekConfig
from inference.gate import Routed
from tests.parity.checkpoints import make, reference, save
from tests.parity.compare import Gap, text
from tests.parity.reference_moe_16b import Reference
from tests.parity.shapes import SHAPES

V2, V3 = SHAPES["deepseek_v2"], SHAPES["deepseek_v3"]


class Trap(NamedTuple):
    """A mistake: the checkpoint that shows it, and the config that the engine wrongly takes it for (or `patch`, a function to put in)."""

    family: str
    shape: dict[str, Any]
    wrong: dict[str, Any] | str
    made: dict[str, Any] = {}  # further arguments of `make`


def _mask_of_0(monkeypatch) -> None:
    monkeypatch.setattr(gate, "CLOSED", 0.0)


def _bias_in_the_weights(monkeypatch) -> None:
    def route(logits, bias, config, *, detail=False) -> Routed:
        right = gate.route(logits, bias, config, detail=detail)
        biased = gate.score(logits, config) + bias
        return right._replace(weights=gate.weigh(biased.gather(1, right.ids), config))

    monkeypatch.setattr("inference.feedforward.route", route)


def _group_by_its_best(monkeypatch) -> None:
    monkeypatch.setattr(gate, "group_score", lambda grouped, _config: grouped.amax(-1))


def _group_by_its_two_best(monkeypatch) -> None:
    monkeypatch.setattr(gate, "group_score", lambda grouped, _config: grouped.topk(2, -1).values.sum(-1))


def _rounded_bias(monkeypatch) -> None:
    def route(logits, bias, config, *, detail=False) -> Routed:
        return gate.route(logits, bias.bfloat16().float(), config, detail=detail)

    monkeypatch.setattr("inference.feedforward.route", route)


def _scale_before_normalising(monkeypatch) -> None:
    def weigh(chosen, config) -> torch.Tensor:
        scaled = chosen * config.routed_scaling_factor
        return scaled / scaled.sum(-1, keepdim=True)

    monkeypatch.setattr(gate, "weigh", weigh)


PATCHES = {
    "mask of 0": _mask_of_0,
    "bias in the weights": _bias_in_the_weights,
    "group by its best": _group_by_its_best,
    "group by its two best": _group_by_its_two_best,
    "bias rounded to bfloat16": _rounded_bias,
    "scale before normalising": _scale_before_normalising,
}
TRAPS = {
    "closed groups get 0 instead of -inf": Trap("deepseek_v3", V3["groups"], "mask of 0", {"shift": -3.0}),
    "the correction bias weighs": Trap("deepseek_v3", V3["groups"], "bias in the weights"),
    "the correction bias weighs, Moonlight": Trap("deepseek_v3", V3["Moonlight"], "bias in the weights"),
    "the correction bias is rounded": Trap("deepseek_v3", V3["groups"], "bias rounded to bfloat16"),
    "V3's groups by their best": Trap("deepseek_v3", V3["groups"], "group by its best"),
    "V2's groups by their two best": Trap("deepseek_v2", V2["V2: groups, times 16"], "group by its two best"),
    "half-split rope on V3": Trap("deepseek_v3", V3["groups"], {"rope_interleave": False}),
    "half-split rope on V2": Trap("deepseek_v2", V2["V2: groups, times 16"], {"rope_interleave": False}),
    "interleaved rope on a half-split checkpoint": Trap("deepseek_v3", V3["half-split rope"], {"rope_interleave": True}),
    "interleaved rope on Llama": Trap("llama", {}, {"rope_interleave": True}),
    "interleaved rope on MoE-16B": Trap("deepseek", {}, {"rope_interleave": True}),
    "the scale divides": Trap("deepseek_v3", V3["groups"], {"routed_scaling_factor": 1 / 2.5}),
    "the scale is cancelled by normalising after it": Trap("deepseek_v3", V3["groups"], "scale before normalising"),
    "V2 without its scale of 16": Trap("deepseek_v2", V2["V2: groups, times 16"], {"routed_scaling_factor": 1.0}),
    "V2 normalised": Trap("deepseek_v2", V2["V2: groups, times 16"], {"norm_topk_prob": True}),
    "MoE-16B normalised": Trap("deepseek", {}, {"norm_topk_prob": True}),
    "V3 not normalised": Trap("deepseek_v3", V3["groups"], {"norm_topk_prob": False}),
    "latent norms with the config's eps": Trap("deepseek_v3", V3["Moonlight"], {"latent_norm_eps": 1e-5}),
    "latent norms with the config's eps, query latent": Trap(
        "deepseek_v2", {**V2["groups of one"], "q_lora_rank": 20}, {"latent_norm_eps": 1e-5}
    ),
    "other norms with the latents' eps": Trap("llama", {"rms_norm_eps": 1e-2}, {"rms_norm_eps": 1e-6}),
    "no YaRN": Trap("deepseek_v3", V3["yarn past its original context"], {"rope_scaling": None}),
    "YaRN without mscale in the softmax": Trap(
        "deepseek_v3", V3["yarn past its original context"], {"rope_scaling": {"mscale_all_dim": 0.0, "mscale": 0.0}}
    ),
    "V2 with V2.5's mscale": Trap(
        "deepseek_v2", V2["V2: groups, times 16"], {"rope_scaling": {"mscale_all_dim": 1.0, "mscale": 1.0}}
    ),
    "Llama 3.1 without its scaling": Trap("llama", SHAPES["llama"]["R1-Distill-Llama"], {"rope_scaling": None}),
    "the wrong base of the frequencies": Trap("qwen2", SHAPES["qwen2"]["R1-Distill-Qwen 14B"], {"rope_theta": 10_000.0}),
    "Qwen2 without its biases": Trap("qwen2", {}, {"attention_bias": False}),
}  # fmt: skip


def _made(trap: Trap, folder: Path) -> Any:
    """The checkpoint, and a function that gives the reference's answer."""
    if trap.family == "deepseek":
        model = Reference(trap.shape, seed=5)
        model.save(folder)
        return model
    model = make(folder, trap.shape, seed=5, family=trap.family, **trap.made)
    if "latent_norm_eps" in trap.wrong:  # an eps shows where what is normed is small
        with torch.no_grad():
            for name, value in model.named_parameters():
                if "kv_a_proj" in name or "q_a_proj" in name:
                    value.mul_(0.01)
        save(model, folder)
    return lambda ids: reference(model, ids)


def _mistaken(config: DeepseekConfig, wrong: dict[str, Any]) -> DeepseekConfig:
    changes = dict(wrong)
    if changes.get("rope_scaling"):
        assert config.rope_scaling is not None
        changes["rope_scaling"] = replace(config.rope_scaling, **changes["rope_scaling"])
    return replace(config, **changes)


@pytest.mark.parametrize("name", TRAPS)
def test_the_comparison_sees_the_mistake(name, tmp_path, monkeypatch):
    trap = TRAPS[name]
    answer, ids = _made(trap, tmp_path), text(11, 120)
    expected = answer(ids)
    right = Gap(Engine.load(tmp_path, native=False), *expected, ids)
    assert right.equal, right
    if isinstance(trap.wrong, str):
        PATCHES[trap.wrong](monkeypatch)
    else:
        read, wrong = DeepseekConfig.from_path, trap.wrong
        monkeypatch.setattr(DeepseekConfig, "from_path", lambda path: _mistaken(read(path), wrong))
        if "attention_bias" in wrong:  # the loader would name the tensors that such a config does not explain
            _without_biases(tmp_path)
    seen = Gap(Engine.load(tmp_path, native=False), *expected, ids)
    assert not seen.equal
    assert seen.logits > 10 * right.logits


def _without_biases(folder: Path) -> None:
    file = folder / "model.safetensors"
    kept = {name: value for name, value in load_file(file).items() if not name.endswith(".bias")}
    save_file(kept, file, metadata={"format": "pt"})
