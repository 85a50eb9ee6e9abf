"""Reads a Hugging Face checkpoint directory, strictly: every tensor that the model needs is there once, in the right shape, and every tensor
that is there is used or known to be skipped (the MTP layers). Safetensors only; nothing is ever unpickled.
"""

import hashlib
import logging
import re
from pathlib import Path

import torch
from safetensors import safe_open

from inference.config import DeepseekConfig, read_json
from inference.header import TensorInfo, read_header

logger = logging.getLogger(__name__)

PICKLED = ("*.bin", "*.pt", "*.pth", "*.ckpt", "*.pkl")
FLOATS = {"F32", "BF16", "F16"}


def load_weights(path: Path, config: DeepseekConfig, dtype: torch.dtype) -> dict[str, torch.Tensor]:
    """Tensors by name in `dtype` (the router's in float32). Raises ValueError naming every tensor that is missing, extra or misshapen."""
    files = _headers(path)
    expected = expected_shapes(config)
    skipped = re.compile(r"model\.layers\.(\d+)\.")
    found: dict[str, tuple[Path, TensorInfo]] = {}
    extra = []
    for file, tensors in files.items():
        for name, info in tensors.items():
            if name in expected and name not in found:
                found[name] = (file, info)
            elif name in found:
                raise ValueError(f"{name} stands in {found[name][0].name} and in {file.name}")
            elif not _is_skipped(name, skipped, config):
                extra.append(name)
    _refuse(path, "lacks", [name for name in expected if name not in found])
    _refuse(path, "has tensors that its config.json does not explain:", extra)
    wrong = [
        f"{name} {list(found[name][1].shape)}, expected {list(shape)}"
        for name, shape in expected.items()
        if found[name][1].shape != shape
    ]
    _refuse(path, "has misshapen tensors:", wrong)
    _refuse(
        path,
        "has tensors that are no floats:",
        [f"{n} ({i.dtype})" for n, (_, i) in found.items() if i.dtype not in FLOATS],
    )
    weights: dict[str, torch.Tensor] = {}
    for file in files:
        with safe_open(file, framework="pt", device="cpu") as tensors_file:
            for name in (name for name, (where, _) in found.items() if where == file):
                keep = torch.float32 if ".mlp.gate." in name else dtype  # a rounded correction bias changes the choice
                # a copy: its memory is aligned, so sums do not depend on where a tensor lay in its file, and the file may change
                weights[name] = tensors_file.get_tensor(name).to(keep, copy=True)
    return weights


def checkpoint_hash(path: Path) -> str:
    """SHA-256 over names and contents of the files that decide what the model says."""
    digest = hashlib.sha256()
    for file in sorted([*path.glob("*.safetensors"), *path.glob("*.json")]):
        if (
            file.name in {"config.json", "generation_config.json", "tokenizer.json", "tokenizer_config.json"}
            or file.suffix == ".safetensors"
        ):
            digest.update(file.name.encode() + b"\0")
            with file.open("rb") as stream:
                digest.update(hashlib.file_digest(stream, "sha256").digest())
    return digest.hexdigest()


def expected_shapes(config: DeepseekConfig) -> dict[str, tuple[int, ...]]:
    """Every tensor that a checkpoint of this config holds, by its official name."""
    c = config
    shapes: dict[str, tuple[int, ...]] = {
        "model.embed_tokens.weight": (c.vocab_size, c.hidden_size),
        "model.norm.weight": (c.hidden_size,),
    }
    if not c.tie_word_embeddings:
        shapes["lm_head.weight"] = (c.vocab_size, c.hidden_size)
    for index in range(c.num_hidden_layers):
        below = f"model.layers.{index}."
        shapes |= {
            f"{below}{norm}.weight": (c.hidden_size,) for norm in ("input_layernorm", "post_attention_layernorm")
        }
        shapes |= {f"{below}self_attn.{name}": shape for name, shape in _attention_shapes(c).items()}
        shapes |= {f"{below}mlp.{name}": shape for name, shape in _mlp_shapes(c, index).items()}
    return shapes


def _attention_shapes(c: DeepseekConfig) -> dict[str, tuple[int, ...]]:
    q_out = c.num_attention_heads * (c.qk_nope_head_dim + c.qk_rope_head_dim)
    shapes: dict[str, tuple[int, ...]] = {
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


def _mlp_shapes(c: DeepseekConfig, index: int) -> dict[str, tuple[int, ...]]:
    if index not in c.router_layers:
        return _swiglu("", c.hidden_size, c.intermediate_size)
    shapes: dict[str, tuple[int, ...]] = {
        "gate.weight": (c.n_routed_experts, c.hidden_size),
        "gate.e_score_correction_bias": (c.n_routed_experts,),
    }
    for expert in range(c.n_routed_experts):
        shapes |= _swiglu(f"experts.{expert}.", c.hidden_size, c.moe_intermediate_size)
    if c.n_shared_experts:
        shapes |= _swiglu("shared_experts.", c.hidden_size, c.moe_intermediate_size * c.n_shared_experts)
    return shapes


def _swiglu(prefix: str, hidden: int, width: int) -> dict[str, tuple[int, ...]]:
    return {
        f"{prefix}gate_proj.weight": (width, hidden),
        f"{prefix}up_proj.weight": (width, hidden),
        f"{prefix}down_proj.weight": (hidden, width),
    }


def _headers(path: Path) -> dict[Path, dict[str, TensorInfo]]:
    """Headers of the checkpoint's files: those that the index names, else model.safetensors."""
    index = path / "model.safetensors.index.json"
    if index.exists():
        places = read_json(index).get("weight_map")
        if not isinstance(places, dict) or not all(isinstance(name, str) for name in places.values()):
            raise ValueError(f"{index} has no weight_map of tensor names to file names")
        names = sorted(set(places.values()))
        bad = [name for name in names if Path(name).name != name]
        if bad:
            raise ValueError(f"{index} names a file outside its directory: {bad[0]!r}")
        files = [path / name for name in names]
    else:
        files = [path / "model.safetensors"]
    absent = [file.name for file in files if not file.is_file()]
    if absent:
        pickled = [file.name for pattern in PICKLED for file in path.glob(pattern)]
        if pickled:
            raise ValueError(
                f"{path} holds pickled weights ({pickled[0]}), which can run code when loaded. Convert them to safetensors first."
            )
        raise ValueError(f"{path} lacks {', '.join(absent)}")
    return {file: read_header(file) for file in files}


def _is_skipped(name: str, skipped: re.Pattern[str], config: DeepseekConfig) -> bool:
    match = skipped.match(name)
    if (
        match
        and match[1]
        and config.num_hidden_layers <= int(match[1]) < config.num_hidden_layers + config.num_nextn_predict_layers
    ):
        logger.info("skipped %s: multi-token prediction is not used", name)
        return True
    return name.endswith("rotary_emb.inv_freq")


def _refuse(path: Path, what: str, names: list[str]) -> None:
    if names:
        more = f" and {len(names) - 8} more" if len(names) > 8 else ""
        raise ValueError(f"{path} {what} {', '.join(names[:8])}{more}")
