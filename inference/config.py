"""DeepseekConfig: what config.json says of a DeepSeek-V3-architecture checkpoint, checked, in the official words.

Left out: what inference does not use (initialisation, auxiliary losses, expert parallelism). Differences between models are fields here;
no code tests a dimension to guess a model.
"""

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

LATENT_NORM_EPS = (
    1e-6  # q_a_layernorm and kv_a_layernorm keep their own default in the official code, whatever rms_norm_eps says
)


@dataclass(frozen=True, slots=True)
class Yarn:
    """YaRN as DeepSeek writes it in `rope_scaling`."""

    factor: float
    original_max_position_embeddings: int
    beta_fast: float = 32.0
    beta_slow: float = 1.0
    mscale: float = 1.0
    mscale_all_dim: float = 0.0

    def __post_init__(self) -> None:
        """Refuse nonsense, naming the value."""
        for name in Yarn.__slots__:
            value = getattr(self, name)
            if not isinstance(value, int | float) or not 0 <= value < math.inf:
                raise ValueError(f"rope scaling: {name} must be a number of at least 0, got {value!r}")
        if self.factor < 1 or self.original_max_position_embeddings < 1:
            raise ValueError("rope scaling: factor and original_max_position_embeddings must be at least 1")

    def softmax_mscale(self) -> float:
        """What the softmax scale is multiplied by: mscale(factor, mscale_all_dim) squared (official inference/model.py)."""
        return _mscale(self.factor, self.mscale_all_dim) ** 2 if self.mscale_all_dim else 1.0

    def rotary_mscale(self) -> float:
        """What cos and sin are multiplied by; 1 where both mscales are equal, as in every DeepSeek model."""
        if self.mscale and self.mscale_all_dim:
            return _mscale(self.factor, self.mscale) / _mscale(self.factor, self.mscale_all_dim)
        return _mscale(self.factor, 1.0)


def _mscale(scale: float, mscale: float) -> float:
    return 1.0 if scale <= 1 else 0.1 * mscale * math.log(scale) + 1.0


@dataclass(frozen=True, slots=True)
class DeepseekConfig:
    """Sizes and rules of a checkpoint. Built by `from_hf`, which refuses what this engine cannot run exactly."""

    vocab_size: int
    hidden_size: int
    intermediate_size: int
    moe_intermediate_size: int
    num_hidden_layers: int
    num_attention_heads: int
    n_routed_experts: int
    n_shared_experts: int
    num_experts_per_tok: int
    n_group: int
    topk_group: int
    first_k_dense_replace: int
    norm_topk_prob: bool
    routed_scaling_factor: float
    q_lora_rank: int | None
    kv_lora_rank: int
    qk_nope_head_dim: int
    qk_rope_head_dim: int
    v_head_dim: int
    rope_theta: float
    rope_interleave: bool
    yarn: Yarn | None
    rms_norm_eps: float
    max_position_embeddings: int
    tie_word_embeddings: bool
    eos_token_ids: tuple[int, ...]
    num_nextn_predict_layers: int = 0

    def __post_init__(self) -> None:
        """Refuse nonsense, naming the value."""
        self._check_numbers()
        if self.router_layers:
            self._check_experts()

    def _check_numbers(self) -> None:
        for name in _SIZES:
            value = getattr(self, name)
            least = 0 if name in _MAY_BE_ZERO else 1
            if not isinstance(value, int) or isinstance(value, bool) or value < least:
                raise ValueError(f"{name} must be a whole number of at least {least}, got {value!r}")
        for name in ("rope_theta", "rms_norm_eps", "routed_scaling_factor"):
            value = getattr(self, name)
            if not isinstance(value, int | float) or not 0 < value < math.inf:
                raise ValueError(f"{name} must be a positive number, got {value!r}")
        if self.q_lora_rank is not None and (not isinstance(self.q_lora_rank, int) or self.q_lora_rank < 1):
            raise ValueError(f"q_lora_rank must be null or at least 1, got {self.q_lora_rank!r}")
        if not all(isinstance(token, int) for token in self.eos_token_ids):
            raise ValueError(f"eos_token_id must be a token id or a list of them, got {self.eos_token_ids!r}")
        if self.qk_rope_head_dim % 2:
            raise ValueError(f"qk_rope_head_dim must be even, got {self.qk_rope_head_dim}")

    def _check_experts(self) -> None:
        if self.n_routed_experts % self.n_group:
            raise ValueError(f"n_routed_experts {self.n_routed_experts} is not divisible by n_group {self.n_group}")
        if self.n_routed_experts // self.n_group < 2:
            raise ValueError("a group's score is the sum of its two best experts; a group needs at least two")
        if not 1 <= self.topk_group <= self.n_group:
            raise ValueError(f"topk_group must lie in 1..{self.n_group}, got {self.topk_group}")
        open_experts = self.n_routed_experts // self.n_group * self.topk_group
        if not 1 <= self.num_experts_per_tok <= open_experts:
            raise ValueError(f"num_experts_per_tok must lie in 1..{open_experts}, got {self.num_experts_per_tok}")

    @property
    def router_layers(self) -> tuple[int, ...]:
        """Decoder-layer ids that have a router, ascending."""
        return tuple(range(self.first_k_dense_replace, self.num_hidden_layers))

    @property
    def softmax_scale(self) -> float:
        """(d_n + d_r)^-1/2, times YaRN's mscale squared."""
        scale = 1.0 / math.sqrt(self.qk_nope_head_dim + self.qk_rope_head_dim)
        return scale * self.yarn.softmax_mscale() if self.yarn else scale

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
        """Read the fields of a Hugging Face config. Raises ValueError naming what is missing or not supported."""
        if values.get("model_type") != "deepseek_v3":
            raise ValueError(f"model_type {values.get('model_type')!r} is not supported; this engine runs deepseek_v3")
        for name, expected in _FIXED.items():
            if values.get(name, expected) != expected:
                raise ValueError(f"{name} = {values[name]!r} is not supported, only {expected!r}")
        if values.get("quantization_config"):
            raise ValueError("quantised checkpoints are not supported; expand the weights to bfloat16 first")
        missing = [name for name in _REQUIRED if name not in values]
        if missing:
            raise ValueError(f"config.json lacks {', '.join(missing)}")
        eos = values.get("eos_token_id")
        return cls(
            **{name: values[name] for name in _REQUIRED},
            n_shared_experts=values.get("n_shared_experts") or 0,
            n_group=values.get("n_group") or 1,
            topk_group=values.get("topk_group") or 1,
            norm_topk_prob=values.get("norm_topk_prob", True),
            routed_scaling_factor=values.get("routed_scaling_factor", 1.0),
            q_lora_rank=values.get("q_lora_rank"),
            rope_theta=_rope_theta(values),
            rope_interleave=values.get("rope_interleave", True),
            yarn=_yarn(values.get("rope_scaling") or values.get("rope_parameters")),
            tie_word_embeddings=values.get("tie_word_embeddings", False),
            eos_token_ids=() if eos is None else tuple(eos) if isinstance(eos, list) else (eos,),
            num_nextn_predict_layers=values.get("num_nextn_predict_layers") or 0,
        )


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


_MAY_BE_ZERO = ("n_shared_experts", "first_k_dense_replace", "num_nextn_predict_layers")
_SIZES = (
    "vocab_size", "hidden_size", "intermediate_size", "moe_intermediate_size", "num_hidden_layers", "num_attention_heads",
    "n_routed_experts", "num_experts_per_tok", "n_group", "topk_group", "kv_lora_rank", "qk_nope_head_dim", "qk_rope_head_dim",
    "v_head_dim", "max_position_embeddings", *_MAY_BE_ZERO,
)  # fmt: skip
_FIXED = {
    "scoring_func": "sigmoid",
    "topk_method": "noaux_tc",
    "moe_layer_freq": 1,
    "hidden_act": "silu",
    "attention_bias": False,
}
_REQUIRED = (
    "vocab_size", "hidden_size", "intermediate_size", "moe_intermediate_size", "num_hidden_layers", "num_attention_heads",
    "n_routed_experts", "num_experts_per_tok", "first_k_dense_replace", "kv_lora_rank", "qk_nope_head_dim", "qk_rope_head_dim",
    "v_head_dim", "rms_norm_eps", "max_position_embeddings",
)  # fmt: skip


def _rope_theta(values: dict[str, Any]) -> float:
    """Transformers 5 writes it inside `rope_parameters`, everyone else at the top."""
    return values.get("rope_theta") or (values.get("rope_parameters") or {}).get("rope_theta") or 10_000.0


def _yarn(scaling: Any) -> Yarn | None:
    if scaling is not None and not isinstance(scaling, dict):
        raise ValueError(f"rope_scaling must be an object or null, got {scaling!r}")
    kind = (scaling or {}).get("rope_type") or (scaling or {}).get("type") or "default"
    if scaling is None or kind == "default":
        return None
    if kind != "yarn":
        raise ValueError(f"rope scaling {kind!r} is not supported, only yarn")
    known = {name: scaling[name] for name in Yarn.__slots__ if scaling.get(name) is not None}
    if missing := {"factor", "original_max_position_embeddings"} - known.keys():
        raise ValueError(f"rope_scaling lacks {', '.join(sorted(missing))}")
    return Yarn(**known)
