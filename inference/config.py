"""DeepseekConfig: what config.json says of a checkpoint of the DeepSeek family, checked, in the official words.

Left out: what inference does not use (initialisation, auxiliary losses, expert parallelism). Differences between models are fields here;
no code tests a dimension to guess a model. How each generation's file is read is in families.py.
"""

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from inference import families
from inference.scaling import Llama3, Scaling, Yarn

__all__ = ["LATENT_NORM_EPS", "DeepseekConfig", "Llama3", "Scaling", "Yarn", "read_json"]

# q_a_layernorm and kv_a_layernorm keep their own default in the official code, whatever rms_norm_eps says
LATENT_NORM_EPS = 1e-6


@dataclass(frozen=True, slots=True)
class DeepseekConfig:
    """Sizes and rules of a checkpoint. Built by `from_hf`, which refuses what this engine cannot run exactly."""

    model_type: str
    vocab_size: int
    hidden_size: int
    intermediate_size: int
    num_hidden_layers: int
    num_attention_heads: int
    rms_norm_eps: float
    max_position_embeddings: int
    # attention: multi-head latent (kv_lora_rank), or plain with as many key-value heads as it says
    kv_lora_rank: int | None
    q_lora_rank: int | None
    qk_nope_head_dim: int
    qk_rope_head_dim: int
    v_head_dim: int
    num_key_value_heads: int
    head_dim: int  # 0 under MLA
    attention_bias: bool  # of q, k and v
    rope_theta: float
    rope_scaling: Scaling | None
    rope_interleave: bool  # pairs (0, 1), (2, 3), ... as the checkpoint stores them; else half-split
    # experts; n_routed_experts is 0 in a dense model
    n_routed_experts: int
    n_shared_experts: int
    num_experts_per_tok: int
    moe_intermediate_size: int
    first_k_dense_replace: int
    moe_layer_freq: int
    n_group: int
    topk_group: int
    scoring_func: str  # "softmax" | "sigmoid"
    topk_method: str  # "greedy" | "group_limited_greedy" | "noaux_tc"
    norm_topk_prob: bool
    routed_scaling_factor: float
    tie_word_embeddings: bool
    eos_token_ids: tuple[int, ...]
    fp8_block: tuple[int, int] | None  # rows and columns that share a scale
    num_nextn_predict_layers: int = 0
    latent_norm_eps: float = LATENT_NORM_EPS

    def __post_init__(self) -> None:
        """Refuse nonsense, naming the value."""
        self._check_numbers()
        self._check_heads()
        if self.n_routed_experts:
            self._check_experts()

    def _check_numbers(self) -> None:
        sizes = _SIZES + (_LATENT_SIZES if self.is_mla else _HEAD_SIZES)
        for name in sizes + (_EXPERT_SIZES if self.n_routed_experts else ()) + _MAY_BE_ZERO:
            value = getattr(self, name)
            least = 0 if name in _MAY_BE_ZERO else 1
            if not isinstance(value, int) or isinstance(value, bool) or value < least:
                raise ValueError(f"{name} must be a whole number of at least {least}, got {value!r}")
            if value > _MOST.get(name, 2**31 - 1):
                raise ValueError(f"{name} must be at most {_MOST.get(name, 2**31 - 1)}, got {value}")
        for name in ("rope_theta", "rms_norm_eps", "routed_scaling_factor"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < math.inf:
                raise ValueError(f"{name} must be a positive number, got {value!r}")
        for name in ("norm_topk_prob", "tie_word_embeddings", "rope_interleave"):
            if not isinstance(getattr(self, name), bool):
                raise ValueError(f"{name} must be true or false, got {getattr(self, name)!r}")  # noqa: TRY004  # the file is bad
        if self.q_lora_rank is not None and (not isinstance(self.q_lora_rank, int) or self.q_lora_rank < 1):
            raise ValueError(f"q_lora_rank must be null or at least 1, got {self.q_lora_rank!r}")
        if not all(type(token) is int for token in self.eos_token_ids):
            raise ValueError(f"eos_token_id must be a token id or a list of them, got {self.eos_token_ids!r}")

    def _check_heads(self) -> None:
        if self.rope_dim % 2:
            name = "qk_rope_head_dim" if self.is_mla else "head_dim"
            raise ValueError(f"{name} must be even, got {self.rope_dim}")
        if not self.is_mla and self.num_attention_heads % self.num_key_value_heads:
            raise ValueError(
                f"num_attention_heads {self.num_attention_heads} is not divisible by num_key_value_heads {self.num_key_value_heads}"
            )

    def _check_experts(self) -> None:
        if self.n_routed_experts % self.n_group:
            raise ValueError(f"n_routed_experts {self.n_routed_experts} is not divisible by n_group {self.n_group}")
        if self.has_correction_bias and self.n_routed_experts // self.n_group < 2:
            raise ValueError("a group's score is the sum of its two best experts; a group needs at least two")
        if not 1 <= self.topk_group <= self.n_group:
            raise ValueError(f"topk_group must lie in 1..{self.n_group}, got {self.topk_group}")
        open_experts = self.n_routed_experts // self.n_group * self.topk_group
        if not 1 <= self.num_experts_per_tok <= open_experts:
            raise ValueError(f"num_experts_per_tok must lie in 1..{open_experts}, got {self.num_experts_per_tok}")

    @property
    def is_mla(self) -> bool:
        """Whether attention is multi-head latent: latents are cached, not keys and values."""
        return self.kv_lora_rank is not None

    @property
    def has_correction_bias(self) -> bool:
        """Whether the router chooses with `e_score_correction_bias`."""
        return self.topk_method == "noaux_tc"

    @property
    def router_layers(self) -> tuple[int, ...]:
        """Decoder-layer ids that have a router, ascending."""
        return tuple(index for index in range(self.num_hidden_layers) if self.has_router(index))

    def has_router(self, index: int) -> bool:
        """Whether layer `index` has experts; layers of multi-token prediction are numbered on after the last (official code)."""
        return self.n_routed_experts > 0 and index >= self.first_k_dense_replace and index % self.moe_layer_freq == 0

    @property
    def rope_dim(self) -> int:
        """How many dimensions of a head rotate."""
        return self.head_dim if self.kv_lora_rank is None else self.qk_rope_head_dim

    @property
    def cache_width(self) -> int:
        """Numbers that the cache keeps of a token and layer."""
        if self.kv_lora_rank is None:
            return 2 * self.num_key_value_heads * self.head_dim
        return self.kv_lora_rank + self.qk_rope_head_dim

    @property
    def softmax_scale(self) -> float:
        """Width of a query to the power -1/2, times YaRN's mscale squared."""
        width = self.qk_nope_head_dim + self.qk_rope_head_dim if self.is_mla else self.head_dim
        return 1.0 / math.sqrt(width) * (self.yarn.softmax_mscale() if self.yarn else 1.0)

    @property
    def yarn(self) -> Yarn | None:
        """The rope scaling where it is YaRN."""
        return self.rope_scaling if isinstance(self.rope_scaling, Yarn) else None

    @classmethod
    def from_path(cls, path: Path) -> "DeepseekConfig":
        """Read `config.json` of a checkpoint directory. Raises ValueError when it is absent or not understood."""
        values = read_json(path / "config.json")
        generation = path / "generation_config.json"
        if generation.exists():
            values |= {k: v for k, v in read_json(generation).items() if k == "eos_token_id"}
        return cls.from_hf(values)

    @classmethod
    def from_hf(cls, values: dict[str, Any]) -> "DeepseekConfig":
        """Read the fields of a Hugging Face config. Raises ValueError naming what is missing, contradictory or not supported."""
        return cls(**families.read(values))


def read_json(file: Path) -> dict[str, Any]:
    """The JSON object in a checkpoint's file. Raises ValueError naming the file and what is wrong with it."""
    try:
        values = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise ValueError(f"no {file.name} in {file.parent}; name the directory of a Hugging Face checkpoint") from error
    except (UnicodeDecodeError, json.JSONDecodeError, RecursionError) as error:
        raise ValueError(f"{file} is not JSON: {error}") from error
    if not isinstance(values, dict):
        raise ValueError(f"{file} is not a JSON object")  # noqa: TRY004  # the file is bad, not the call
    return values


_SIZES = (
    "vocab_size",
    "hidden_size",
    "intermediate_size",
    "num_hidden_layers",
    "num_attention_heads",
    "max_position_embeddings",
)
_LATENT_SIZES = ("kv_lora_rank", "qk_nope_head_dim", "qk_rope_head_dim", "v_head_dim")
_HEAD_SIZES = ("num_key_value_heads", "head_dim")
_EXPERT_SIZES = ("num_experts_per_tok", "moe_intermediate_size", "moe_layer_freq", "n_group", "topk_group")
_MAY_BE_ZERO = ("n_routed_experts", "n_shared_experts", "first_k_dense_replace", "num_nextn_predict_layers")
# Beyond any model; without a bound, a file that claims 10^12 layers is believed for as long as it takes to name their tensors.
_MOST = {"num_hidden_layers": 1000, "n_routed_experts": 4096, "num_nextn_predict_layers": 100}
