"""Engine: a loaded checkpoint that samples, streams, and runs a text as it stands. Token ids in, numpy records out.

Left out of this first cut: continuous batching, prefix reuse, chunked prefill, multi-token prediction. A request is one batch, whose rows leave as they finish.

A sample depends on its prompt and its seed alone. Its draws do not know the batch; its logits agree with those of any other batch to float32
rounding (matrix products sum in another order), so a draw within about 1e-7 of a border between two tokens can fall on the other side.
"""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from inference.batch import Batch, Cache, Sample, routing_arrays
from inference.config import DeepseekConfig
from inference.loader import checkpoint_hash, load_weights
from inference.model import DeepseekModel
from inference.records import Completion, Finished, Forward, Routing, SamplingParams, Step
from inference.sampling import choose, measure, sample_seed
from inference.shapes import expected_shapes
from inference.tokenizer import Tokenizer

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}


class Engine:
    """A checkpoint in memory. Make it with `Engine.load`."""

    def __init__(self, path: Path, config: DeepseekConfig, model: DeepseekModel, tokenizer: Tokenizer | None) -> None:
        self.path, self.config, self._model, self._tokenizer = path, config, model, tokenizer

    @classmethod
    def load(cls, path: str | Path, dtype: str = "float32", device: str = "cpu") -> "Engine":
        """Load a Hugging Face checkpoint directory (config.json, *.safetensors, tokenizer.json).

        Raises ValueError saying what is wrong with which file, tensor or field.
        """
        if dtype not in DTYPES:
            raise ValueError(f"dtype must be one of {', '.join(DTYPES)}, got {dtype!r}")
        if device != "cpu":
            raise ValueError(f"this engine runs on the CPU, got device {device!r}")
        folder = Path(path)
        if not folder.is_dir():
            raise ValueError(f"{folder} is not a directory; name the folder of a Hugging Face checkpoint")
        config = DeepseekConfig.from_path(folder)
        _refuse_unknown(config)
        weights = load_weights(folder, config, DTYPES[dtype])
        tokenizer = Tokenizer.from_path(folder) if (folder / "tokenizer.json").exists() else None
        return cls(folder, config, DeepseekModel(config, weights.pop), tokenizer)

    @property
    def tokenizer(self) -> Tokenizer:
        """The checkpoint's tokenizer. Raises ValueError when it brought none."""
        if self._tokenizer is None:
            raise ValueError(f"{self.path} lacks tokenizer.json")
        return self._tokenizer

    def facts(self) -> dict[str, Any]:
        """Facts of the architecture, for people and for `Engine` rows."""
        return facts(self.config)

    def hash(self) -> str:
        """SHA-256 of the checkpoint's files."""
        return checkpoint_hash(self.path)

    def generate(
        self,
        prompts: Sequence[Sequence[int]],
        params: SamplingParams,
        capture: bool = True,
        seeds: Sequence[Sequence[int]] | None = None,
    ) -> list[list[Completion]]:
        """Sample `params.n` completions of each prompt, in order. `seeds` [prompts][n] overrides what `params.seed` gives each sample."""
        done: dict[tuple[int, int], Completion] = {}
        for step in self.stream(prompts, params, capture=capture, seeds=seeds):
            done.update({(f.prompt, f.sample): f.completion for f in step.finished})
        return [[done[p, s] for s in range(params.n)] for p in range(len(prompts))]

    def stream(
        self,
        prompts: Sequence[Sequence[int]],
        params: SamplingParams,
        capture: bool = True,
        seeds: Sequence[Sequence[int]] | None = None,
        should_stop: Callable[[], bool] = lambda: False,
    ) -> Iterator[Step]:
        """Like `generate`, a step at a time. When `should_stop()` turns true, what is running ends as "cancelled" in a last step.

        Raises ValueError for an empty prompt, a token outside the vocabulary, or a text longer than the model's context.
        """
        self._check(prompts, params, seeds)
        return self._steps([list(p) for p in prompts], params, capture, seeds, should_stop) if prompts else iter(())

    def forward(self, ids: Sequence[int]) -> Forward:
        """One plain pass over `ids`: logits of every position and its routing; the reference that `generate` is tested against."""
        self._check([ids], SamplingParams(max_tokens=1), None, room=0)
        with torch.inference_mode():
            hidden, _, routed = self._model.prefill([list(ids)])
            logits = self._model.logits(hidden)
            expert_ids, weights = (
                routing_arrays(routed, self.config.n_routed_experts)
                if routed.ids
                else _no_routing(len(ids), self.config)
            )
            return Forward(logits[None].numpy(), Routing(self.config.router_layers, expert_ids, weights))

    def _steps(
        self,
        prompts: list[list[int]],
        params: SamplingParams,
        capture: bool,
        seeds: Sequence[Sequence[int]] | None,
        should_stop: Callable[[], bool],
    ) -> Iterator[Step]:
        stops = set(params.stop_token_ids) | (set() if params.ignore_eos else set(self.config.eos_token_ids))
        with torch.inference_mode():  # never across a yield: the caller would find itself in it
            batch, logits_BV = self._prefill(prompts, params, capture, seeds)
        while True:
            with torch.inference_mode():
                tokens_B = self._sample(batch, logits_BV)
            step, staying = self._settle(batch, tokens_B.tolist(), stops, cancelled=should_stop())
            yield step
            if not staying:
                return
            with torch.inference_mode():
                if len(staying) < len(batch.alive):
                    tokens_B = tokens_B[batch.keep(staying)]
                logits_BV = self._advance(batch, tokens_B)

    def _sample(self, batch: Batch, logits_BV: torch.Tensor) -> torch.Tensor:
        """Choose a token for each running row and write it down. [B]."""
        logprobs_BV, entropy_B = measure(logits_BV)
        tokens_B = choose(logits_BV, batch.params, batch.draws())
        batch.record(tokens_B, logprobs_BV.gather(1, tokens_B[:, None])[:, 0], entropy_B)
        return tokens_B

    def _advance(self, batch: Batch, tokens_B: torch.Tensor) -> torch.Tensor:
        """Put the newest tokens through the model; logits [B, V] of what follows them."""
        cache = batch.cache
        position_B = cache.positions
        cache.advance()
        hidden_BD, routed = self._model.decode(tokens_B, position_B, cache.layers, cache.length, cache.mask())
        batch.record_routing(routed)
        return self._model.logits(hidden_BD)

    def _prefill(
        self, prompts: list[list[int]], params: SamplingParams, capture: bool, seeds: Sequence[Sequence[int]] | None
    ) -> tuple[Batch, torch.Tensor]:
        """Run each prompt once; its samples begin with copies of its latents."""
        hidden, cached, routed = self._model.prefill(prompts)
        ends = np.cumsum([len(p) for p in prompts])
        arrays = routing_arrays(routed, self.config.n_routed_experts) if capture and routed.ids else None
        samples = []
        for number, (prompt, end) in enumerate(zip(prompts, ends, strict=True)):
            part = slice(int(end) - len(prompt), int(end))
            ids, weights = (arrays[0][part], arrays[1][part]) if arrays else (None, None)
            for i in range(params.n):
                seed = seeds[number][i] if seeds is not None else sample_seed(params.seed, prompt, i)
                samples.append(Sample(number, i, seed, ids, weights))
        of_prompt = torch.tensor([s.prompt for s in samples])
        cache = Cache(cached, [len(p) for p in prompts], of_prompt)
        batch = Batch(self.config, samples, params, cache, capture=capture)
        last_BV = self._model.logits(hidden[torch.from_numpy(ends - 1)])
        return batch, last_BV[of_prompt]

    def _settle(self, batch: Batch, tokens: list[int], stops: set[int], *, cancelled: bool) -> tuple[Step, list[int]]:
        """What this step gave, and which rows go on."""
        rows, finished, staying = [], [], []
        for place, (number, token) in enumerate(zip(batch.alive.tolist(), tokens, strict=True)):
            sample = batch.samples[number]
            rows.append((sample.prompt, sample.sample))
            reason = (
                "stop"
                if token in stops
                else "length"
                if batch.step >= batch.params.max_tokens
                else "cancelled"
                if cancelled
                else ""
            )
            if reason:
                finished.append(Finished(sample.prompt, sample.sample, batch.completion(number, reason)))
            else:
                staying.append(place)
        return Step(rows, tokens, finished), staying

    def _check(
        self,
        prompts: Sequence[Sequence[int]],
        params: SamplingParams,
        seeds: Sequence[Sequence[int]] | None,
        room: int | None = None,
    ) -> None:
        longest = self.config.max_position_embeddings
        for number, prompt in enumerate(prompts):
            if not len(prompt):
                raise ValueError(f"prompt {number} is empty")
            if min(prompt) < 0 or max(prompt) >= self.config.vocab_size:
                raise ValueError(f"prompt {number} has a token outside 0..{self.config.vocab_size - 1}")
            needed = len(prompt) + (params.max_tokens if room is None else room)
            if needed > longest:
                raise ValueError(
                    f"prompt {number} has {len(prompt)} tokens; with {needed - len(prompt)} more it passes the context of {longest}"
                )
        if seeds is not None and (len(seeds) != len(prompts) or any(len(row) != params.n for row in seeds)):
            raise ValueError(f"seeds must be {len(prompts)} rows of {params.n}")


def _refuse_unknown(config: DeepseekConfig) -> None:
    """What config.py reads and this engine does not run yet."""
    if config.fp8_block:
        raise ValueError("quantised checkpoints are not supported; expand the weights to bfloat16 first")
    if config.model_type != "deepseek_v3" or config.moe_layer_freq != 1 or not config.n_routed_experts:
        raise ValueError(
            f"model_type {config.model_type!r} is not supported; this engine runs deepseek_v3 with experts"
        )


def facts(config: DeepseekConfig) -> dict[str, Any]:
    """Facts of a checkpoint from its config alone: sizes, experts, context, parameters (total), cache bytes a token in 16 bit."""
    shapes = expected_shapes(config)
    return {
        "architecture": "DeepSeek-V3",
        "parameters": sum(
            int(np.prod(shape)) for name, shape in shapes.items() if "e_score_correction_bias" not in name
        ),
        "hidden_size": config.hidden_size,
        "layers": config.num_hidden_layers,
        "router_layers": list(config.router_layers),
        "n_routed_experts": config.n_routed_experts,
        "n_shared_experts": config.n_shared_experts,
        "top_k": config.num_experts_per_tok,
        "n_group": config.n_group,
        "topk_group": config.topk_group,
        "context": config.max_position_embeddings,
        "vocabulary": config.vocab_size,
        "cache_bytes_per_token": config.num_hidden_layers * config.cache_width * 2,
    }


def set_threads(count: int) -> None:
    """Let torch use `count` threads. Two processes with two threads each on two cores stall each other at every barrier: give each its share,
    and start it with GOMP_SPINCOUNT=20000, so that waiting threads spin for microseconds and then sleep.
    """
    torch.set_num_threads(count)


def _no_routing(count: int, config: DeepseekConfig) -> tuple[np.ndarray, np.ndarray]:
    shape = (count, 0, config.num_experts_per_tok)
    return np.zeros(shape, np.uint8), np.zeros(shape, np.float16)
