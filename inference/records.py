"""What goes in and out of the engine: plain values and numpy arrays, never tensors. Arrays are documented in design terms: P prompt tokens,
T sampled tokens, L layers that have a router, K experts a token.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class SamplingParams:
    """How to sample. `temperature` 0 is greedy; `top_k` 0 and `top_p` 1 switch the filters off."""

    max_tokens: int = 256
    temperature: float = 1.0
    top_p: float = 1.0
    top_k: int = 0
    seed: int = 0
    n: int = 1
    stop_token_ids: tuple[int, ...] = ()
    ignore_eos: bool = False

    def __post_init__(self) -> None:
        """Refuse what cannot be sampled, naming the value."""
        if self.max_tokens < 1:
            raise ValueError(f"max_tokens must be at least 1, got {self.max_tokens}")
        if not 0 <= self.temperature <= 100:
            raise ValueError(f"temperature must lie in 0..100, got {self.temperature}")
        if not 0 < self.top_p <= 1:
            raise ValueError(f"top_p must lie in (0, 1], got {self.top_p}")
        if self.top_k < 0:
            raise ValueError(f"top_k must be 0 (off) or more, got {self.top_k}")
        if self.n < 1:
            raise ValueError(f"n must be at least 1, got {self.n}")
        if not 0 <= self.seed < 2**63:
            raise ValueError(f"seed must lie in 0..2^63-1, got {self.seed}")


@dataclass(frozen=True, slots=True)
class RoutingDetail:
    """What the router weighed at each position, S positions, L layers, G groups."""

    open_groups: NDArray[np.bool_]  # [S, L, G]: the groups whose experts could be chosen
    swapped: NDArray[np.uint8]  # [S, L]: experts chosen with the correction bias that would not be without it
    entropy: NDArray[np.float32]  # [S, L], nats, of the scores divided by their sum over all experts
    margin: NDArray[
        np.float32
    ]  # [S, L]: last chosen minus best refused of the scores that chose; inf where none was refused


@dataclass(frozen=True, slots=True)
class Routing:
    """Which experts each position that went through the model was sent to, and with what weight."""

    layers: tuple[int, ...]  # decoder-layer ids that have a router, ascending
    expert_ids: NDArray[np.uint8] | NDArray[np.uint16]  # [P + T - 1, L, K]; [S, L, K] from forward and replay
    gate_weights: NDArray[np.float16]  # same shape: what multiplied the expert's output, expert by expert
    detail: RoutingDetail | None = None  # with capture="full"


@dataclass(frozen=True, slots=True)
class Completion:
    """One sample. The stop token is part of `token_ids`, with its log-probability."""

    token_ids: list[int]
    logprobs: NDArray[np.float32]  # [T], natural log, of the sampled token under the untempered distribution
    entropies: NDArray[np.float32]  # [T], nats, of the untempered distribution
    finish_reason: str  # "stop" | "length" | "cancelled"
    routing: Routing | None  # None without capture, and of a cancelled sample that was not running
    seed: int  # reproduces this sample alone: generate([prompt], ..., seeds=[[seed]])
    accepted: NDArray[np.bool_] | None = (
        None  # [T]: the token had been drafted, and was what was sampled; None without drafts
    )


@dataclass(frozen=True, slots=True)
class Finished:
    """A sample that is complete: of prompt `prompt`, the `sample`-th."""

    prompt: int
    sample: int
    completion: Completion


@dataclass(frozen=True, slots=True)
class Step:
    """One pass of a stream: tokens of (prompt, sample) pairs, then what finished with them. Not every running pair need have one in every step;
    with drafts a pair can have two, in order.
    """

    rows: list[tuple[int, int]]
    token_ids: list[int]
    finished: list[Finished]


@dataclass(frozen=True, slots=True)
class Forward:
    """A plain pass over a text: logits float32 [1, S, V] and the routing of its S positions."""

    logits: NDArray[np.float32]
    routing: Routing


@dataclass(frozen=True, slots=True)
class Replay:
    """A known text as the model sees it. Row i of the first two tells how token i was predicted from those before it; the first is NaN."""

    logprobs: NDArray[np.float32]  # [S], natural log, untempered
    entropies: NDArray[np.float32]  # [S], nats
    routing: Routing | None  # of all S positions; None without capture or routers
