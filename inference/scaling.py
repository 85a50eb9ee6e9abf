"""How a checkpoint stretches its rotary frequencies: YaRN (DeepSeek V2, V3), Llama 3.1's, or not at all. Read from config.json, checked.

The frequencies themselves are in rope.py. Left out: linear, dynamic and long-RoPE scaling, which no member of the family uses.
"""

import math
from dataclasses import dataclass, fields
from typing import Any


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
        _check(self)

    def softmax_mscale(self) -> float:
        """What the softmax scale is multiplied by: mscale(factor, mscale_all_dim) squared (official inference/model.py)."""
        return _mscale(self.factor, self.mscale_all_dim) ** 2 if self.mscale_all_dim else 1.0

    def rotary_mscale(self) -> float:
        """What cos and sin are multiplied by; 1 where both mscales are equal, as in every DeepSeek model."""
        if self.mscale and self.mscale_all_dim:
            return _mscale(self.factor, self.mscale) / _mscale(self.factor, self.mscale_all_dim)
        return _mscale(self.factor, 1.0)


@dataclass(frozen=True, slots=True)
class Llama3:
    """Llama 3.1's scaling: long wavelengths are divided by `factor`, short ones kept, those between blended."""

    factor: float
    original_max_position_embeddings: int
    low_freq_factor: float
    high_freq_factor: float

    def __post_init__(self) -> None:
        """Refuse nonsense, naming the value."""
        _check(self)
        if self.high_freq_factor <= self.low_freq_factor:
            raise ValueError(
                f"rope scaling: high_freq_factor {self.high_freq_factor} must be above low_freq_factor {self.low_freq_factor}"
            )


Scaling = Yarn | Llama3
_KINDS: dict[str, type[Scaling]] = {"yarn": Yarn, "llama3": Llama3}
# Keys that change the result in transformers, and the one value that means what is computed here.
_NEUTRAL = {"partial_rotary_factor": 1.0, "truncate": True, "attention_factor": None}


def _mscale(scale: float, mscale: float) -> float:
    return 1.0 if scale <= 1 else 0.1 * mscale * math.log(scale) + 1.0


def _check(scaling: Scaling) -> None:
    for field in fields(scaling):
        value = getattr(scaling, field.name)
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < math.inf:
            raise ValueError(f"rope scaling: {field.name} must be a number of at least 0, got {value!r}")
    if scaling.factor < 1 or scaling.original_max_position_embeddings < 1:
        raise ValueError("rope scaling: factor and original_max_position_embeddings must be at least 1")


def read_theta(values: dict[str, Any]) -> float:
    """The base of the frequencies; transformers 5 writes it inside `rope_parameters`, everyone else at the top. 10,000 where both are silent."""
    inner = _rope(values, "rope_parameters").get("rope_theta")
    outer = values.get("rope_theta")
    if inner is not None and outer is not None and inner != outer:
        raise ValueError(
            f"rope_theta is {outer!r}, but {inner!r} inside rope_parameters; keep the one it was trained with"
        )
    return inner if outer is None and inner is not None else 10_000.0 if outer is None else outer


def read_scaling(values: dict[str, Any], allowed: tuple[str, ...]) -> Scaling | None:
    """The scaling that `rope_scaling` (or transformers 5's `rope_parameters`) asks for. Raises ValueError naming the kind that is not among
    `allowed`, or the key that is missing, unknown or not computed here.
    """
    scaling = _rope(values, "rope_scaling") or _rope(values, "rope_parameters")
    names = [str(scaling[key]) for key in ("rope_type", "type") if scaling.get(key) is not None]
    kind = names[0] if names else "default"
    if any(name != kind for name in names):
        raise ValueError(f"rope scaling is {names[0]!r} by rope_type and {names[1]!r} by type; keep one")
    if kind != "default" and kind not in allowed:
        raise ValueError(f"rope scaling {kind!r} is not supported for this model_type, only {' and '.join(allowed)}")
    own = [field.name for field in fields(_KINDS[kind])] if kind != "default" else []
    for key, value in scaling.items():
        if key in _NEUTRAL and value != _NEUTRAL[key]:
            raise ValueError(f"rope scaling: {key} = {value!r} is not supported, only {_NEUTRAL[key]!r}")
        if key not in {*own, *_NEUTRAL, "rope_type", "type", "rope_theta"}:
            raise ValueError(f"rope scaling {kind!r} with {key} is not understood; what would it change?")
    if kind == "default":
        return None
    known = {name: scaling[name] for name in own if scaling.get(name) is not None}
    needed = {"factor", "original_max_position_embeddings"} | (set(own) if kind == "llama3" else set())
    if missing := needed - known.keys():
        raise ValueError(f"rope_scaling lacks {', '.join(sorted(missing))}")
    if ("mscale" in known) != ("mscale_all_dim" in known):
        raise ValueError(
            "rope scaling: give mscale and mscale_all_dim both or neither; implementations differ over one alone"
        )
    return _KINDS[kind](**known)


def _rope(values: dict[str, Any], name: str) -> dict[str, Any]:
    found = values.get(name)
    if found is not None and not isinstance(found, dict):
        raise ValueError(f"{name} must be an object or null, got {found!r}")
    return found or {}
