"""The sizes of DeepSeek-V3's architecture in training form, and the config.json that goes with them."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any, Self


@dataclass(frozen=True)
class Shape:
    """Sizes by their official names; `hf()` is the config.json that goes with them."""

    vocab_size: int = 512
    hidden_size: int = 192
    intermediate_size: int = 512
    moe_intermediate_size: int = 96
    num_hidden_layers: int = 4
    num_nextn_predict_layers: int = 1  # MTP depths, 0 or 1; V3 has one
    first_k_dense_replace: int = 1
    num_attention_heads: int = 4
    kv_lora_rank: int = 64
    qk_nope_head_dim: int = 32
    qk_rope_head_dim: int = 16
    v_head_dim: int = 32
    n_routed_experts: int = 16
    num_experts_per_tok: int = 2
    n_group: int = 4
    topk_group: int = 2
    n_shared_experts: int = 1
    routed_scaling_factor: float = 1.0
    rope_theta: float = 100.0  # eight frequencies only: a low base keeps them all within a few hundred tokens
    rms_norm_eps: float = 1e-6
    max_position_embeddings: int = 1024
    initializer_range: float = 0.05  # 0.02 learned more slowly at this width

    def __post_init__(self) -> None:
        """Refuse more MTP depths than the pass knows."""
        if self.num_nextn_predict_layers not in (0, 1):
            raise ValueError(f"num_nextn_predict_layers must be 0 or 1, got {self.num_nextn_predict_layers}")

    @classmethod
    def of(cls, config: dict[str, Any]) -> Self:
        """The sizes in a config.json. Raises ValueError where one is missing."""
        names = [each.name for each in fields(cls)]
        if missing := [name for name in names if name not in config]:
            raise ValueError(f"config.json lacks {', '.join(missing)}")
        return cls(**{name: config[name] for name in names})

    def hf(self) -> dict[str, Any]:
        """config.json in transformers' layout."""
        fixed = {
            "architectures": ["DeepseekV3ForCausalLM"],
            "model_type": "deepseek_v3",
            "attention_bias": False,
            "attention_dropout": 0.0,
            "bos_token_id": 0,
            "eos_token_id": 1,
            "pad_token_id": 1,
            "hidden_act": "silu",
            "moe_layer_freq": 1,
            "norm_topk_prob": True,
            "num_key_value_heads": self.num_attention_heads,
            "q_lora_rank": None,
            "rope_interleave": True,
            "rope_scaling": None,
            "scoring_func": "sigmoid",
            "tie_word_embeddings": False,
            "topk_method": "noaux_tc",
            "torch_dtype": "float32",
            "use_cache": True,
        }
        return dict(sorted((fixed | vars(self)).items()))
