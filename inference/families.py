"""What each generation's config.json says and leaves out: one row a model_type, and a reader that fills `DeepseekConfig`'s fields from it.

A default stands here only where every published implementation agrees on it. What no implementation agrees on, or what this engine would compute
otherwise than the model was trained, is refused by name. Ignored are fields without effect on inference (auxiliary losses, pretraining_tp, ep_size).
"""

from typing import Any, NamedTuple

from inference.scaling import read_scaling, read_theta

_SIZES = (
    "vocab_size", "hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads", "rms_norm_eps",
    "max_position_embeddings",
)  # fmt: skip
_LATENTS = ("kv_lora_rank", "qk_nope_head_dim", "qk_rope_head_dim", "v_head_dim")
_EXPERTS = ("moe_intermediate_size", "num_experts_per_tok", "first_k_dense_replace")
_NO_EXPERTS: dict[str, Any] = {
    "n_routed_experts": 0, "n_shared_experts": 0, "moe_intermediate_size": 0, "num_experts_per_tok": 0, "first_k_dense_replace": 0,
    "moe_layer_freq": 1, "n_group": 1, "topk_group": 1, "scoring_func": "softmax", "topk_method": "greedy", "norm_topk_prob": False,
    "routed_scaling_factor": 1.0,
}  # fmt: skip


class Family(NamedTuple):
    """One generation."""

    name: str  # as its authors write it
    mla: bool  # latents are cached, and RoPE pairs are interleaved; else MHA or GQA, half-split
    experts: bool
    defaults: dict[str, Any]  # fields that its config.json may leave out, beyond those of every family
    only: dict[
        str, tuple[Any, ...]
    ]  # values that this engine runs; a field that is absent or null is taken as the first
    required: tuple[str, ...] = ()
    scalings: tuple[str, ...] = ("yarn",)


FAMILIES = {
    # A bias on q, k and v comes with one on o in Llama's own code, never in this family.
    "llama": Family("Llama", mla=False, experts=False, defaults={}, only={"mlp_bias": (False,), "attention_bias": (False,)}, scalings=("llama3",)),
    # Biases of q, k and v are fixed in Qwen2's code; config.json does not name them.
    "qwen2": Family("Qwen2", mla=False, experts=False, defaults={}, only={"attention_bias": (True,), "use_mrope": (False,)}),
    # V1 knows neither groups nor a scale, and its code has one way to choose.
    "deepseek": Family(
        "DeepSeek MoE", mla=False, experts=True, defaults={"norm_topk_prob": False},
        only={
            "attention_bias": (False,), "scoring_func": ("softmax",), "topk_method": ("greedy",), "n_group": (1,),
            "topk_group": (1,), "routed_scaling_factor": (1.0,),
        },
    ),
    # With norm_topk_prob true, V2's own code normalises instead of scaling, official model.py and transformers scale and never normalise.
    "deepseek_v2": Family(
        "DeepSeek-V2", mla=True, experts=True, defaults={"routed_scaling_factor": 1.0},
        only={
            "attention_bias": (False,), "mlp_bias": (False,), "scoring_func": ("softmax",), "topk_method": ("greedy", "group_limited_greedy"),
            "norm_topk_prob": (False,), "rope_interleave": (True,),
        },
    ),
    "deepseek_v3": Family(
        "DeepSeek-V3", mla=True, experts=True, defaults={"norm_topk_prob": True}, required=("n_group", "topk_group", "routed_scaling_factor"),
        only={"attention_bias": (False,), "scoring_func": ("sigmoid",), "topk_method": ("noaux_tc",)},
    ),
}  # fmt: skip


def read(values: dict[str, Any]) -> dict[str, Any]:
    """`DeepseekConfig`'s fields from a Hugging Face config. Raises ValueError naming what is missing, contradictory or not supported."""
    family = FAMILIES.get(str(values.get("model_type")))
    if family is None:
        raise ValueError(
            f"model_type {values.get('model_type')!r} is not supported; this engine runs {', '.join(sorted(FAMILIES))}"
        )
    for name, allowed in {"hidden_act": ("silu",), **family.only}.items():
        if values.get(name) is not None and values[name] not in allowed:
            known = " or ".join(map(repr, allowed))
            raise ValueError(f"{name} = {values[name]!r} is not supported for {values['model_type']}, only {known}")
    dense = not family.experts or ("n_routed_experts" in values and values["n_routed_experts"] is None)
    _refuse_foreign(values, family)
    required = (*_SIZES, *(_LATENTS if family.mla else ()), *family.required)
    required += () if dense else ("n_routed_experts", *_EXPERTS)
    if missing := [name for name in required if name not in values]:
        raise ValueError(f"config.json lacks {', '.join(missing)}")
    attention = _latent_attention(values) if family.mla else _plain_attention(values)
    return {
        "model_type": values["model_type"],
        **{name: values[name] for name in _SIZES},
        **attention,
        **(_NO_EXPERTS if dense else _experts(values, family)),
        "attention_bias": family.only["attention_bias"][0],
        "rope_theta": read_theta(values),
        "rope_scaling": read_scaling(values, family.scalings),
        "rope_interleave": values.get("rope_interleave", True) if family.mla else False,
        "tie_word_embeddings": values.get("tie_word_embeddings", False),
        "eos_token_ids": _eos(values.get("eos_token_id")),
        "fp8_block": _fp8_block(values.get("quantization_config")),
        "num_nextn_predict_layers": values.get("num_nextn_predict_layers") or 0,
    }


def _refuse_foreign(values: dict[str, Any], family: Family) -> None:
    """Fields of another generation mean that model_type is wrong, or that the model is one nobody here knows."""
    foreign = [] if family.mla else ["kv_lora_rank", "q_lora_rank"]
    foreign += [] if family.experts else ["n_routed_experts", "num_experts_per_tok"]
    foreign += [] if values["model_type"] == "deepseek_v3" else ["num_nextn_predict_layers"]
    for name in foreign:
        if values.get(name):
            raise ValueError(
                f"{name} = {values[name]!r} contradicts model_type {values['model_type']!r}; correct one of them"
            )
    if values.get("rope_interleave") and not family.mla:
        raise ValueError(
            f"rope_interleave = True is not supported for {values['model_type']}, whose rope is half-split"
        )
    _refuse_windows(values)


def _refuse_windows(values: dict[str, Any]) -> None:
    """Layers that see a part of the text only. Qwen2's files carry a window that no layer uses."""
    slides = values.get("layer_types") or []
    sliding = not isinstance(slides, list) or any(kind != "full_attention" for kind in slides)
    windowed = values.get("use_sliding_window", values["model_type"] != "qwen2") and values.get("sliding_window")
    first, layers = values.get("max_window_layers", 0), values.get("num_hidden_layers", 0)
    if windowed and type(first) is int and type(layers) is int:
        windowed = first < layers  # counted from there on
    if sliding or windowed:
        raise ValueError(
            "layers with a sliding window are not supported; only full attention (use_sliding_window false)"
        )


def _latent_attention(values: dict[str, Any]) -> dict[str, Any]:
    """MLA; what config.json says of key-value heads and head_dim has no meaning there."""
    sizes = {name: values[name] for name in _LATENTS}
    return {
        **sizes,
        "q_lora_rank": values.get("q_lora_rank"),
        "num_key_value_heads": values["num_attention_heads"],
        "head_dim": 0,
    }


def _plain_attention(values: dict[str, Any]) -> dict[str, Any]:
    """MHA or GQA."""
    heads = values["num_attention_heads"]
    head_dim = values.get("head_dim")
    if head_dim is None:
        hidden = values["hidden_size"]
        if type(heads) is not int or type(hidden) is not int or heads < 1 or hidden % heads:
            raise ValueError(f"hidden_size {hidden!r} is not divisible by num_attention_heads {heads!r}")
        head_dim = hidden // heads
    kv_heads = values.get("num_key_value_heads")
    return {
        **dict.fromkeys(_LATENTS, 0), "kv_lora_rank": None, "q_lora_rank": None,
        "num_key_value_heads": heads if kv_heads is None else kv_heads, "head_dim": head_dim,
    }  # fmt: skip


def _experts(values: dict[str, Any], family: Family) -> dict[str, Any]:
    """Sizes and rules of the router."""
    rules = {name: allowed[0] for name, allowed in family.only.items() if name in _NO_EXPERTS}
    rules = {**_NO_EXPERTS, **rules, **family.defaults}
    found = {name: default if values.get(name) is None else values[name] for name, default in rules.items()}
    if found["topk_method"] == "group_limited_greedy" and not (values.get("n_group") and values.get("topk_group")):
        raise ValueError("topk_method 'group_limited_greedy' needs n_group and topk_group")
    if found["topk_method"] == "greedy" and found["topk_group"] != found["n_group"]:
        raise ValueError(
            f"topk_group {found['topk_group']} of n_group {found['n_group']} contradicts topk_method 'greedy', which knows no groups"
        )
    return found


def _eos(eos: Any) -> tuple[Any, ...]:
    return () if eos is None else tuple(eos) if isinstance(eos, list) else (eos,)


def _fp8_block(quantization: Any) -> tuple[int, int] | None:
    """Rows and columns that share a scale, of DeepSeek's fp8 format; None when the checkpoint is not quantised."""
    if not quantization:
        return None
    known = quantization if isinstance(quantization, dict) else {}
    method, block = known.get("quant_method"), known.get("weight_block_size")
    sizes = block if isinstance(block, list) and [type(size) for size in block] == [int, int] else [0, 0]
    if method != "fp8" or known.get("fmt", "e4m3") != "e4m3" or min(sizes) < 1:
        raise ValueError(
            f"quantised checkpoints are only supported as fp8, e4m3, with weight_block_size [rows, columns]; got {quantization!r:.200}. "
            "Expand the weights to bfloat16 and remove quantization_config"
        )
    return sizes[0], sizes[1]
