"""The samples that are being decoded together: their caches, draws, and what was recorded of each.

Caches are aligned at the right: all sequences end in the same column, so a step writes one column, and what stands before a shorter
sequence is masked. Rows leave when they finish, so a batch narrows. Records are numpy arrays allocated once, by the sample's own number:
writing a few numbers into them costs a third of what it costs in torch.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from inference.config import DeepseekConfig
from inference.model import Routed
from inference.records import Completion, Routing, SamplingParams
from inference.sampling import uniforms

BLOCK = 128  # columns by which caches grow


@dataclass(slots=True)
class Sample:
    """One row of the request: where it belongs and how its prompt went through the model."""

    prompt: int
    sample: int
    seed: int
    prompt_ids: np.ndarray | None  # [P, L, K] expert ids of the prompt
    prompt_weights: np.ndarray | None


class Cache:
    """Latents of the running sequences, a tensor [B, capacity, C + R] a layer; columns below `length` are in use."""

    def __init__(self, latents: Sequence[torch.Tensor], lengths: list[int], of_prompt: torch.Tensor) -> None:
        """`latents` are [T, C + R] a layer, T the tokens of all prompts in order, `lengths` of each; row i is a copy of prompt `of_prompt[i]`."""
        self.length = max(lengths)
        padding = torch.tensor([self.length - n for n in lengths])
        columns = torch.cat([torch.arange(self.length - n, self.length) for n in lengths])
        rows = torch.repeat_interleave(torch.arange(len(lengths)), torch.tensor(lengths))
        self.padding_B = padding[of_prompt]
        self.layers = []
        for latents_TC in latents:
            padded = latents_TC.new_zeros(len(lengths), self.length + BLOCK, latents_TC.shape[1])
            padded[rows, columns] = latents_TC
            self.layers.append(padded[of_prompt])
        self._mask: torch.Tensor | None = None
        self._set_mask()

    @property
    def positions(self) -> torch.Tensor:
        """How many tokens each sequence has, int64 [B]."""
        return self.length - self.padding_B

    def advance(self) -> None:
        """Open one more column, growing when the last is taken."""
        if self.length == self.layers[0].shape[1]:
            self.layers = [torch.cat((c, c.new_zeros(len(c), BLOCK, c.shape[2])), 1) for c in self.layers]
            self._set_mask()
        self.length += 1

    def mask(self) -> torch.Tensor | None:
        """[B, 1, length] with -inf before a sequence begins; None when all begin at once."""
        return None if self._mask is None else self._mask[..., : self.length]

    def keep(self, rows: torch.Tensor) -> None:
        """Let all other rows leave, and the columns that only they used."""
        self.padding_B = self.padding_B[rows]
        spare = int(self.padding_B.min())
        self.padding_B = self.padding_B - spare
        self.length -= spare
        self.layers = [layer[rows, spare:] for layer in self.layers]
        self._set_mask()

    def _set_mask(self) -> None:
        self._mask = None
        if bool(self.padding_B.any()):
            first = self.layers[0]
            before = torch.arange(first.shape[1]) < self.padding_B[:, None]
            self._mask = first.new_zeros(before.shape).masked_fill_(before, -torch.inf)[:, None]


class Batch:
    """State of a decoding batch. `alive` says which samples the running rows are; N counts all samples, T the tokens they may take."""

    def __init__(
        self, config: DeepseekConfig, samples: list[Sample], params: SamplingParams, cache: Cache, *, capture: bool
    ) -> None:
        self.config, self.samples, self.params, self.cache = config, samples, params, cache
        count, tokens = len(samples), params.max_tokens
        layers, k = len(config.router_layers), config.num_experts_per_tok
        self.alive = np.arange(count)
        self.step = 0
        self._draws_NT = np.zeros((count, 0)) if params.temperature == 0 else self._draws()
        self.tokens_NT = np.zeros((count, tokens), np.int64)
        self.logprobs_NT = np.zeros((count, tokens), np.float32)
        self.entropies_NT = np.zeros((count, tokens), np.float32)
        self.ids = self.weights = None
        if capture and layers:
            self.ids = np.zeros((count, tokens, layers, k), id_dtype(config.n_routed_experts))
            self.weights = np.zeros((count, tokens, layers, k), np.float16)

    def _draws(self) -> np.ndarray:
        return np.stack([uniforms(sample.seed, self.params.max_tokens) for sample in self.samples])

    def draws(self) -> torch.Tensor:
        """The uniform draw that each running row spends on this step, float64 [B]; zeros when the choice is greedy."""
        if self.params.temperature == 0:
            return torch.zeros(len(self.alive), dtype=torch.float64)
        return torch.from_numpy(self._draws_NT[self.alive, self.step])

    def record(self, tokens_B: torch.Tensor, logprobs_B: torch.Tensor, entropies_B: torch.Tensor) -> None:
        """Write the tokens that were just sampled."""
        at = (self.alive, self.step)
        self.tokens_NT[at] = tokens_B.numpy()
        self.logprobs_NT[at] = logprobs_B.numpy()
        self.entropies_NT[at] = entropies_B.numpy()
        self.step += 1

    def record_routing(self, routed: Routed) -> None:
        """Write the routing of the pass that just took the newest tokens in: of token `step - 1` of each row."""
        if self.ids is not None and self.weights is not None:
            at = (self.alive, self.step - 1)
            self.ids[at] = np.stack([ids.numpy() for ids in routed.ids], 1)
            self.weights[at] = np.stack([weights.numpy() for weights in routed.weights], 1)

    def keep(self, staying: list[int]) -> torch.Tensor:
        """Let all other rows leave; returns `staying` as an index."""
        rows = torch.tensor(staying, dtype=torch.int64)
        self.alive = self.alive[staying]
        self.cache.keep(rows)
        return rows

    def completion(self, number: int, reason: str) -> Completion:
        """What running sample `number` came to."""
        return Completion(
            token_ids=self.tokens_NT[number, : self.step].tolist(),
            logprobs=self.logprobs_NT[number, : self.step].copy(),
            entropies=self.entropies_NT[number, : self.step].copy(),
            finish_reason=reason,
            routing=self._routing(number),
            seed=self.samples[number].seed,
        )

    def _routing(self, number: int) -> Routing | None:
        sample = self.samples[number]
        if self.ids is None or self.weights is None or sample.prompt_ids is None or sample.prompt_weights is None:
            return None
        passed = max(self.step - 1, 0)  # the last token never went through the model
        ids = np.concatenate((sample.prompt_ids, self.ids[number, :passed]))
        weights = np.concatenate((sample.prompt_weights, self.weights[number, :passed]))
        return Routing(self.config.router_layers, ids, weights)


def id_dtype(n_experts: int) -> type[np.uint8] | type[np.uint16]:
    """The type in which expert ids are given: uint8 up to 256 experts."""
    return np.uint8 if n_experts <= 256 else np.uint16


def routing_arrays(routed: Routed, n_experts: int) -> tuple[np.ndarray, np.ndarray]:
    """Routing of a pass as arrays [T, L, K]."""
    ids = torch.stack(routed.ids, 1).numpy().astype(id_dtype(n_experts))
    return ids, torch.stack(routed.weights, 1).to(torch.float16).numpy()
