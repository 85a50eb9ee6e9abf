"""Compares what a checkpoint holds with what its config calls for, by the headers alone: nothing is allocated before all of it fits.

What does not fit is told at once and by name, with what to do. Left out: reading (loader) and the files themselves (shards).
"""

import logging
import re
from collections import Counter
from typing import NamedTuple

from inference.config import DeepseekConfig
from inference.fp8 import scale_shape
from inference.header import TensorInfo, shown
from inference.shapes import Shapes, expected_shapes, mtp_copies, mtp_shapes
from inference.shards import Shards, some

logger = logging.getLogger(__name__)

FLOATS = frozenset({"F32", "BF16", "F16"})
EIGHT_BIT = "F8_E4M3"
SCALE = "_scale_inv"  # behind a weight's name
PROJECTION = re.compile(
    r"model\.layers\.\d+\.(.+\.)?\w+_proj(_with_mqa)?\.weight"
)  # what is kept in 8 bit, if anything is
LAYER = re.compile(r"model\.layers\.(\d{1,9})\.")
EXPERT = re.compile(r"model\.layers\.(\d+)\.mlp\.experts\.")
LEFTOVER = "rotary_emb.inv_freq"  # a table that old versions of transformers saved; it follows from the config

HINTS = (  # the first that fits a name which the config does not explain
    (re.compile(r"\.lora_[ABE]|^base_model\."), "This is an adapter: merge it into its base model first."),
    (
        re.compile(r"mlp\.experts\.(gate_up|down)_proj"),
        "transformers 5 fuses experts under these names in memory; its save_pretrained writes the published names, which are read here.",
    ),
    (
        re.compile(r"\.(qweight|qzeros|scales|g_idx|weight_packed|weight_shape|weight_scale|input_scale|absmax|quant_state)\b"),
        "They are quantised in a way that is not read here; take weights of 16 or 32 bit, or e4m3 with weight_scale_inv.",
    ),
    (re.compile(r"^(layers|embed_tokens|norm)\."), "They were saved without the head: save the model for causal language modelling."),
    (re.compile(r"weight_scale_inv$"), "A scale belongs to a weight in 8 bit (e4m3); where a weight was expanded, remove its scale."),
    (re.compile(r"_proj\.bias$"), "Biases are read where config.json announces them (model_type qwen2)."),
)  # fmt: skip


class Inventory(NamedTuple):
    """Tensors that the model gets, with their shapes; those of `eight_bit` have a scale beside them."""

    shapes: Shapes
    eight_bit: frozenset[str]
    has_mtp: bool


def take_stock(shards: Shards, config: DeepseekConfig, *, mtp: bool) -> Inventory:
    """Check names, shapes and dtypes of a whole checkpoint. Raises ValueError naming what is missing, extra or wrong (at most eight of each)."""
    found = {name: place.info for name, place in shards.places.items()}
    _refuse_absurd(shards, config)
    left_out, has_mtp = _mtp(shards, config, wanted=mtp)
    shapes = expected_shapes(config) | (mtp_shapes(config) if has_mtp else {})
    eight_bit = frozenset(n for n in shapes if n in found and found[n].dtype == EIGHT_BIT and PROJECTION.fullmatch(n))
    scales: Shapes = {}
    if config.fp8_block is not None:
        block = config.fp8_block
        scales = {
            name + SCALE: scale_shape(shapes[name], block) for name in eight_bit if found[name].shape == shapes[name]
        }
    known = {**shapes, **scales}
    problems = [
        *_absent(known, found),
        *_unexplained([name for name in found if name not in known and name not in left_out], shards, config),
        *_misshapen(known, found),
        *_wrong_kind(known, found, eight_bit, config),
    ]
    if problems:
        raise ValueError(f"{shards.path} " + "; it ".join(problems))
    return Inventory(shapes, eight_bit, has_mtp)


def _refuse_absurd(shards: Shards, config: DeepseekConfig) -> None:
    """Names are made for every layer and expert: refuse a config that speaks of far more than there is before making them."""
    named = (config.num_hidden_layers + config.num_nextn_predict_layers) * max(1, 3 * config.n_routed_experts)
    if named > 10_000 + 10 * len(shards.places):
        raise ValueError(
            f"{shards.path / 'config.json'} speaks of {config.num_hidden_layers} layers and {config.n_routed_experts} experts in each; "
            f"the weights are {len(shards.places)} tensors. They do not belong together."
        )


def _mtp(shards: Shards, config: DeepseekConfig, *, wanted: bool) -> tuple[set[str], bool]:
    """Names that are left out, and whether the MTP layers are taken. transformers drops them when it loads and saves a model, and leaves
    `num_nextn_predict_layers` in its config: a checkpoint without any of them is whole, one with some is not.
    """
    left_out = {name for name in shards.places if name.endswith(LEFTOVER)}
    first = config.num_hidden_layers
    behind = range(first, first + config.num_nextn_predict_layers)
    there = {name for name in shards.places if (match := LAYER.match(name)) and int(match[1]) in behind}
    if wanted and there:
        return left_out | mtp_copies(config).keys(), True
    if there:
        logger.info("%s: left out multi-token prediction, as asked: %s", shards.path, some(sorted(there)))
    elif wanted and behind:
        logger.info("%s: config.json announces multi-token prediction, the weights have none", shards.path)
    return left_out | there, False


def _absent(known: Shapes, found: dict[str, TensorInfo]) -> list[str]:
    absent = [shown(name) for name in known if name not in found]
    return [f"lacks {some(absent)}"] if absent else []


def _unexplained(extra: list[str], shards: Shards, config: DeepseekConfig) -> list[str]:
    head = "lm_head.weight"
    if head in extra and config.tie_word_embeddings and shards.same(head, "model.embed_tokens.weight"):
        extra.remove(head)
    if not extra:
        return []
    return [f"has tensors that its config.json does not explain: {some(map(shown, extra))}. {_hint(extra, config)}"]


def _hint(extra: list[str], config: DeepseekConfig) -> str:
    if "lm_head.weight" in extra and config.tie_word_embeddings:
        return "config.json ties the head to the embedding (tie_word_embeddings), but they differ."
    if any((match := LAYER.match(name)) and int(match[1]) >= config.num_hidden_layers for name in extra):
        count = f"num_hidden_layers = {config.num_hidden_layers}"
        return f"config.json has {count}, num_nextn_predict_layers = {config.num_nextn_predict_layers}."
    fitting = (hint for pattern, hint in HINTS if any(map(pattern.search, extra)))
    return next(fitting, "Is config.json the one of these weights?")


def _misshapen(known: Shapes, found: dict[str, TensorInfo]) -> list[str]:
    wrong = [
        f"{shown(name)} {list(found[name].shape)}, expected {list(shape)}"
        for name, shape in known.items()
        if name in found and found[name].shape != shape
    ]
    return [f"has misshapen tensors: {some(wrong)}"] if wrong else []


def _wrong_kind(
    known: Shapes, found: dict[str, TensorInfo], eight_bit: frozenset[str], config: DeepseekConfig
) -> list[str]:
    problems = []
    wrong = [
        f"{name} ({found[name].dtype})"
        for name in known
        if name in found and found[name].dtype not in FLOATS and name not in eight_bit
    ]
    if wrong:
        problems.append(f"has tensors of a kind that is not read here: {some(wrong)}. Take floats of 16 or 32 bit.")
    experts = Counter(match[1] for name in eight_bit if (match := EXPERT.match(name)))
    mixed = [layer for layer, count in experts.items() if count != 3 * config.n_routed_experts]
    if mixed:
        problems.append(f"has some experts in 8 bit and some not in layers {some(mixed)}")
    if eight_bit and config.fp8_block is None:
        problems.append(
            f"has weights in 8 bit ({some(sorted(eight_bit))}), but its config.json has no quantization_config "
            "(fp8, e4m3, weight_block_size) to read them by. Take the config.json of these weights."
        )
    if config.fp8_block is not None and not eight_bit:
        problems.append(
            "has no weight in 8 bit, but its config.json has a quantization_config. Remove that entry if the weights were expanded."
        )
    return problems
