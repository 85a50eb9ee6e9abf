"""Facts of a checkpoint from its config alone: parameters in all and at work for a token, what a token costs in the cache, experts, context.

Shapes are all it takes: nothing is allocated, no weight is read. Left out: speed, and what depends on the machine.
"""

import math
from pathlib import Path
from typing import Any

from inference.config import DeepseekConfig, Llama3
from inference.families import FAMILIES
from inference.official import OFFICIAL, official
from inference.shapes import Shapes, expected_shapes, mtp_shapes

BYTES = 2  # of a number in the cache, 16 bit
GQA_GROUPS = 8  # of the comparison: LLM 67B's key-value heads; fewer where the model has fewer than 16 heads


def facts(config: DeepseekConfig) -> dict[str, Any]:
    """Facts of an architecture, for people and for `Engine` rows; plain JSON values. Sizes are counts of numbers; `cache_...` are bytes a
    token in 16 bit. `active_parameters` count the embedding and the head whole, each of which has its own count beside it.
    """
    c, shapes = config, expected_shapes(config)
    table = c.vocab_size * c.hidden_size
    return {
        "architecture": FAMILIES[c.model_type].name,
        "model_type": c.model_type,
        "parameters": _count(shapes),
        "active_parameters": _active(shapes, c),
        "embedding_parameters": table,
        "head_parameters": 0 if c.tie_word_embeddings else table,
        "hidden_size": c.hidden_size,
        "layers": c.num_hidden_layers,
        "vocabulary": c.vocab_size,
        "context": c.max_position_embeddings,
        **_rope(c),
        **_attention(c),
        **_router(c),
        **_mtp(c),
        "fp8_block": list(c.fp8_block) if c.fp8_block else None,
    }


def facts_of(source: str | Path) -> dict[str, Any]:
    """Facts of a checkpoint directory, of a config.json, or of a published model by its name. Raises ValueError saying what is wrong with which."""
    path = Path(source)
    if path.is_file():
        path = path.parent if path.name == "config.json" else path
    if path.is_dir():
        return facts(DeepseekConfig.from_path(path))
    if path.exists() or path.suffix == ".json" or len(path.parts) > 1:
        raise ValueError(
            f"{path} is neither a checkpoint directory nor a config.json; published models are {', '.join(OFFICIAL)}"
        )
    name, config, context = official(str(source))
    return {"name": name, "stated_context": context, **facts(config)}


def _count(shapes: Shapes) -> int:
    """Numbers that were trained by gradient; the correction bias was not, and libraries do not count it."""
    return sum(math.prod(shape) for name, shape in shapes.items() if "e_score_correction_bias" not in name)


def _active(shapes: Shapes, c: DeepseekConfig) -> int:
    """Numbers that one token meets: all but the experts that it is not sent to."""
    routed = _count({name: shape for name, shape in shapes.items() if ".mlp.experts." in name})
    idle = routed // c.n_routed_experts * (c.n_routed_experts - c.num_experts_per_tok) if routed else 0
    return _count(shapes) - idle


def _attention(c: DeepseekConfig) -> dict[str, Any]:
    """What the cache keeps, and what attention of the same heads with keys and values of its own would keep."""
    key_value = c.qk_nope_head_dim + c.v_head_dim if c.is_mla else 2 * c.head_dim  # of one head
    groups = min(GQA_GROUPS, max(c.num_attention_heads // 2, 1))
    if c.num_key_value_heads < c.num_attention_heads:
        groups = c.num_key_value_heads
    kind = "MLA" if c.is_mla else "MHA" if c.num_key_value_heads == c.num_attention_heads else "GQA"
    row = BYTES * c.num_hidden_layers
    return {
        "attention": kind,
        "attention_heads": c.num_attention_heads,
        "key_value_heads": None if c.is_mla else c.num_key_value_heads,
        "cache_bytes_per_token": row * c.cache_width,
        "cache_bytes_per_token_mha": row * c.num_attention_heads * key_value,
        "cache_bytes_per_token_gqa": row * groups * key_value,
        "gqa_groups": groups,
    }


def _rope(c: DeepseekConfig) -> dict[str, Any]:
    scaling = c.rope_scaling
    name = "Llama 3" if isinstance(scaling, Llama3) else "YaRN" if scaling else None
    return {
        "rope_theta": c.rope_theta,
        "rope_scaling": name,
        "rope_factor": scaling.factor if scaling else None,
        "original_context": scaling.original_max_position_embeddings if scaling else None,
    }


def _router(c: DeepseekConfig) -> dict[str, Any]:
    return {
        "router_layers": list(c.router_layers),
        "n_routed_experts": c.n_routed_experts,
        "n_shared_experts": c.n_shared_experts,
        "top_k": c.num_experts_per_tok,
        "n_group": c.n_group,
        "topk_group": c.topk_group,
        "scoring_func": c.scoring_func if c.n_routed_experts else None,
        "topk_method": c.topk_method if c.n_routed_experts else None,
        "correction_bias": c.has_correction_bias,
        "norm_topk_prob": c.norm_topk_prob,
        "routed_scaling_factor": c.routed_scaling_factor,
    }


def _mtp(c: DeepseekConfig) -> dict[str, Any]:
    """Multi-token prediction: depth, and what it adds; the copies of embedding and head that a checkpoint may bring are not counted."""
    depth, shapes = c.num_nextn_predict_layers, mtp_shapes(c)
    return {
        "mtp_depth": depth,
        "mtp_parameters": _count(shapes),
        "mtp_active_parameters": _active(shapes, c),
        "mtp_cache_bytes_per_token": BYTES * depth * c.cache_width,
    }
