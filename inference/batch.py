"""The samples that are being decoded together: their caches, draws, and what was recorded of each.

Rows leave when they finish, so a batch narrows. Records are written into arrays that were allocated once, by the sample's own number.
"""

from dataclasses import dataclass

import numpy as np
import torch

from inference.config import DeepseekConfig
from inference.model import Routed
from inference.records import Completion, Routing, SamplingParams
from inference.sampling import uniforms

BLOCK = 128  # positions by which caches grow


@dataclass(slots=True)
class Sample:
    """One row of the request: where it belongs and how its prompt went through the model."""

    prompt: int
    sample: int
    seed: int
    prompt_ids: np.ndarray | None  # [P, L, K] expert ids of the prompt
    prompt_weights: np.ndarray | None


class Batch:
    """State of a decoding batch. Tensors with a first dimension B hold the rows still running, `alive` says which samples they are."""

    def __init__(
        self,
        config: DeepseekConfig,
        samples: list[Sample],
        lengths: list[int],
        params: SamplingParams,
        *,
        capture: bool,
    ) -> None:
        self.config, self.samples, self.params = config, samples, params
        count, layers, k = len(samples), len(config.router_layers), config.num_experts_per_tok
        self.alive = torch.arange(count)
        self.length_B = torch.tensor(lengths)  # positions in the cache
        self.caches: list[torch.Tensor] = []
        self.step = 0
        if params.temperature == 0:
            self.draws_NT = torch.zeros(count, params.max_tokens, dtype=torch.float64)
        else:
            self.draws_NT = torch.from_numpy(np.stack([uniforms(s.seed, params.max_tokens) for s in samples]))
        self.tokens_NT = torch.zeros(count, params.max_tokens, dtype=torch.int64)
        self.logprobs_NT = torch.zeros(count, params.max_tokens)
        self.entropies_NT = torch.zeros(count, params.max_tokens)
        self.taken_N = [0] * count
        self.ids = self.weights = None
        if capture and layers:
            small = torch.uint8 if config.n_routed_experts <= 256 else torch.int32
            self.ids = torch.zeros(count, params.max_tokens, layers, k, dtype=small)
            self.weights = torch.zeros(count, params.max_tokens, layers, k, dtype=torch.float16)

    def record(self, tokens_B: torch.Tensor, logprobs_B: torch.Tensor, entropies_B: torch.Tensor) -> None:
        """Write the tokens that were just sampled."""
        self.tokens_NT[self.alive, self.step] = tokens_B
        self.logprobs_NT[self.alive, self.step] = logprobs_B
        self.entropies_NT[self.alive, self.step] = entropies_B
        self.step += 1
        for row in self.alive.tolist():
            self.taken_N[row] = self.step

    def record_routing(self, routed: Routed) -> None:
        """Write the routing of the pass that just took the newest tokens in: of token `step - 1` of each row."""
        if self.ids is not None and self.weights is not None:
            self.ids[self.alive, self.step - 1] = torch.stack(routed.ids, 1).to(self.ids.dtype)
            self.weights[self.alive, self.step - 1] = torch.stack(routed.weights, 1).to(torch.float16)

    def make_room(self) -> None:
        """Grow the caches when the next token would not fit."""
        needed = int(self.length_B.max()) + 1
        if needed > self.caches[0].shape[1]:
            self.caches = [torch.cat((c, c.new_zeros(c.shape[0], BLOCK, c.shape[2])), 1) for c in self.caches]

    def hidden(self) -> torch.Tensor | None:
        """[B, 1, S] with -inf where a row has no token, or None when all rows are of one length; S is the longest row's length with the new token."""
        if len(self.length_B) == 1 or bool((self.length_B == self.length_B[0]).all()):
            return None
        places = torch.arange(int(self.length_B.max()) + 1)
        return torch.zeros(len(self.length_B), 1, len(places)).masked_fill_(
            (places > self.length_B[:, None])[:, None], -torch.inf
        )

    def keep(self, staying: list[int]) -> None:
        """Let all other rows leave."""
        index = torch.tensor(staying, dtype=torch.int64)
        self.alive, self.length_B = self.alive[index], self.length_B[index]
        self.caches = [cache[index] for cache in self.caches]

    def completion(self, number: int, reason: str) -> Completion:
        """What sample `number` came to."""
        taken = self.taken_N[number]
        return Completion(
            token_ids=self.tokens_NT[number, :taken].tolist(),
            logprobs=self.logprobs_NT[number, :taken].numpy().copy(),
            entropies=self.entropies_NT[number, :taken].numpy().copy(),
            finish_reason=reason,
            routing=self._routing(number, taken),
            seed=self.samples[number].seed,
        )

    def _routing(self, number: int, taken: int) -> Routing | None:
        sample = self.samples[number]
        if self.ids is None or self.weights is None or sample.prompt_ids is None or sample.prompt_weights is None:
            return None
        passed = max(taken - 1, 0)  # the last token never went through the model
        ids = np.concatenate((sample.prompt_ids, self.ids[number, :passed].numpy().astype(sample.prompt_ids.dtype)))
        weights = np.concatenate((sample.prompt_weights, self.weights[number, :passed].numpy()))
        return Routing(self.config.router_layers, ids, weights)


def id_dtype(n_experts: int) -> type[np.uint8] | type[np.uint16]:
    """The type in which expert ids are given: uint8 up to 256 experts."""
    return np.uint8 if n_experts <= 256 else np.uint16


def routing_arrays(routed: Routed, n_experts: int) -> tuple[np.ndarray, np.ndarray]:
    """Routing of a pass as arrays [T, L, K]."""
    ids = torch.stack(routed.ids, 1).numpy().astype(id_dtype(n_experts))
    return ids, torch.stack(routed.weights, 1).to(torch.float16).numpy()
