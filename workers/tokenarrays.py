"""From an engine's completion to what the token store keeps: text, character ranges, and arrays over prompt and completion."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from webapp.traces.tokenstore import ShardMeta, TokenArrays

if TYPE_CHECKING:
    from inference import Completion, Routing, Tokenizer
    from inference.config import DeepseekConfig

MOST_GROUPS = 32  # bits of the mask of open groups


@dataclass(frozen=True, slots=True, eq=False)
class Arranged:
    """A completion's text without its stop token, the ranges of all tokens in prompt + text, and the arrays to be stored."""

    text: str
    spans: list[tuple[int, int]]
    arrays: TokenArrays


def arrange(tokenizer: "Tokenizer", prompt: str, prompt_ids: list[int], completion: "Completion") -> Arranged:
    """Lay a completion out. The stop token is stored as a token of no characters: it was sampled, but it is not text."""
    stopped = completion.finish_reason == "stop"
    said = completion.token_ids[:-1] if stopped else completion.token_ids
    # PostgreSQL stores no NUL; as in imports its visible sign, one character for one, stands for it
    text = tokenizer.decode(said).replace("\x00", "\u2400")
    base = len(prompt)
    spans = tokenizer.token_spans(prompt_ids) + [(base + a, base + b) for a, b in tokenizer.token_spans(said)]
    if stopped:
        spans.append((base + len(text), base + len(text)))
    unknown = np.full(len(prompt_ids), np.nan, np.float32)
    accepted = completion.accepted
    arrays = TokenArrays(
        token_id=np.array([*prompt_ids, *completion.token_ids], np.int32),
        text_start=np.array([a for a, _ in spans], np.int32),
        text_end=np.array([b for _, b in spans], np.int32),
        logprob=np.concatenate((unknown, completion.logprobs)),
        entropy=np.concatenate((unknown, completion.entropies)),
        accepted=None if accepted is None else np.concatenate((np.zeros(len(prompt_ids), np.bool_), accepted)),
        **routed(completion.routing, len(spans)),
    )
    return Arranged(text, spans, arrays)


def shard_meta(config: "DeepseekConfig", source: str) -> ShardMeta:
    """What the shard of an engine with this config says of itself."""
    if not config.router_layers:
        return ShardMeta([], 0, 0, source)
    layers = list(config.router_layers)
    return ShardMeta(layers, config.n_routed_experts, config.num_experts_per_tok, source, config.n_group)


def routed(routing: "Routing | None", count: int) -> dict[str, Any]:
    """The fields of TokenArrays that routing fills, for `count` tokens. The last token of a sample never went through the model: rows that
    lack are rows that mean nothing, so that all arrays are of one length. Empty without routing.
    """
    if routing is None:
        return {}
    fields: dict[str, Any] = {"expert_ids": routing.expert_ids, "gate_weights": routing.gate_weights}
    detail = routing.detail
    if detail is not None:
        fields["routing_entropy"] = detail.entropy.astype(np.float16)
        fields["routing_margin"] = detail.margin.astype(np.float16)
        fields["swapped"] = detail.swapped
        fields["open_groups"] = _mask(detail.open_groups)
    passed = len(routing.expert_ids)
    filled = {name: None if rows is None else _filled(rows, count) for name, rows in fields.items()}
    return {**filled, "routing_count": passed}


def _mask(open_groups: np.ndarray) -> np.ndarray | None:
    """Open groups bool [S, L, G] as bits: uint32 [S, L]. None where there is no choice of groups, or more than there are bits."""
    groups = open_groups.shape[-1]
    if not 1 < groups <= MOST_GROUPS:
        return None
    bits = np.left_shift(np.uint32(1), np.arange(groups, dtype=np.uint32))
    mask: np.ndarray = (open_groups * bits).sum(-1, dtype=np.uint32)
    return mask


def _filled(rows: np.ndarray, count: int) -> np.ndarray:
    """`rows` with rows of zeros behind them, `count` in all."""
    return np.concatenate((rows, np.zeros((count - len(rows), *rows.shape[1:]), rows.dtype)))
