"""Names and shapes of every tensor in a checkpoint, from its config alone, as the published files spell them.

One set of rules for all families: attention is MLA (DeepSeek-V2, eq. 9-19) or has keys and values of its own (MHA, GQA); a layer's feed-forward is
dense or a mixture of experts. Left out: quantisation scales, which the loader pairs with the weights that have them.
"""

from inference.config import DeepseekConfig

Shapes = dict[str, tuple[int, ...]]

MTP_COPIES = ("embed_tokens.weight", "shared_head.head.weight")  # of the main embedding and head, below an MTP layer


def expected_shapes(config: DeepseekConfig) -> Shapes:
    """Every tensor of the main model. MTP layers are not among them, nor is the head of a model that uses its embedding as one."""
    c = config
    shapes: Shapes = {
        "model.embed_tokens.weight": (c.vocab_size, c.hidden_size),
        "model.norm.weight": (c.hidden_size,),
    }
    if not c.tie_word_embeddings:
        shapes["lm_head.weight"] = (c.vocab_size, c.hidden_size)
    for index in range(c.num_hidden_layers):
        shapes |= _layer(c, index)
    return shapes


def mtp_shapes(config: DeepseekConfig) -> Shapes:
    """Tensors of the MTP layers (DeepSeek-V3, eq. 21-23), which stand behind the main ones; empty for a model without. The copies that released
    checkpoints bring of the embedding and the head are not among them: see `mtp_copies`.
    """
    shapes: Shapes = {}
    for index in _mtp_layers(config):
        below, width = f"model.layers.{index}.", config.hidden_size
        shapes |= {f"{below}{norm}.weight": (width,) for norm in ("enorm", "hnorm", "shared_head.norm")}
        shapes |= {f"{below}eh_proj.weight": (width, 2 * width)} | _layer(config, index)
    return shapes


def mtp_copies(config: DeepseekConfig) -> Shapes:
    """Copies of the embedding and the head that an MTP layer may bring. Paper and released weights share them with the main model."""
    shape = (config.vocab_size, config.hidden_size)
    return {f"model.layers.{index}.{name}": shape for index in _mtp_layers(config) for name in MTP_COPIES}


def _mtp_layers(config: DeepseekConfig) -> range:
    return range(config.num_hidden_layers, config.num_hidden_layers + config.num_nextn_predict_layers)


def _layer(c: DeepseekConfig, index: int) -> Shapes:
    """A decoder layer: attention and feed-forward, each behind its norm."""
    below = f"model.layers.{index}."
    attention = _latent_attention(c) if c.is_mla else _attention(c)
    mlp = _mixture(c) if c.has_router(index) else _swiglu("", c.hidden_size, c.intermediate_size)
    return {
        f"{below}input_layernorm.weight": (c.hidden_size,),
        f"{below}post_attention_layernorm.weight": (c.hidden_size,),
        **{f"{below}self_attn.{name}": shape for name, shape in attention.items()},
        **{f"{below}mlp.{name}": shape for name, shape in mlp.items()},
    }


def _attention(c: DeepseekConfig) -> Shapes:
    rows = {"q": c.num_attention_heads, "k": c.num_key_value_heads, "v": c.num_key_value_heads}
    shapes: Shapes = {}
    for name, heads in rows.items():
        shapes[f"{name}_proj.weight"] = (heads * c.head_dim, c.hidden_size)
        if c.attention_bias:
            shapes[f"{name}_proj.bias"] = (heads * c.head_dim,)
    return {**shapes, "o_proj.weight": (c.hidden_size, c.num_attention_heads * c.head_dim)}


def _latent_attention(c: DeepseekConfig) -> Shapes:
    assert c.kv_lora_rank is not None
    q_out = c.num_attention_heads * (c.qk_nope_head_dim + c.qk_rope_head_dim)
    shapes: Shapes = {
        "kv_a_proj_with_mqa.weight": (c.kv_lora_rank + c.qk_rope_head_dim, c.hidden_size),
        "kv_a_layernorm.weight": (c.kv_lora_rank,),
        "kv_b_proj.weight": (c.num_attention_heads * (c.qk_nope_head_dim + c.v_head_dim), c.kv_lora_rank),
        "o_proj.weight": (c.hidden_size, c.num_attention_heads * c.v_head_dim),
    }
    if c.q_lora_rank is None:
        return {**shapes, "q_proj.weight": (q_out, c.hidden_size)}
    lora = {
        "q_a_proj.weight": (c.q_lora_rank, c.hidden_size),
        "q_a_layernorm.weight": (c.q_lora_rank,),
        "q_b_proj.weight": (q_out, c.q_lora_rank),
    }
    return {**shapes, **lora}


def _mixture(c: DeepseekConfig) -> Shapes:
    shapes: Shapes = {"gate.weight": (c.n_routed_experts, c.hidden_size)}
    if c.has_correction_bias:
        shapes["gate.e_score_correction_bias"] = (c.n_routed_experts,)
    for expert in range(c.n_routed_experts):
        shapes |= _swiglu(f"experts.{expert}.", c.hidden_size, c.moe_intermediate_size)
    if c.n_shared_experts:  # stored as one network of n times the width
        shapes |= _swiglu("shared_experts.", c.hidden_size, c.moe_intermediate_size * c.n_shared_experts)
    return shapes


def _swiglu(prefix: str, hidden: int, width: int) -> Shapes:
    return {
        f"{prefix}gate_proj.weight": (width, hidden),
        f"{prefix}up_proj.weight": (width, hidden),
        f"{prefix}down_proj.weight": (hidden, width),
    }
