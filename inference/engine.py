"""Engine: a loaded checkpoint that samples, streams, replays, and runs a text as it stands. Token ids in, numpy records out.

A sample depends on its prompt and its seed alone: its draws know neither the batch, nor drafts, nor preemption. Its logits agree with those of
any other batch, and of a prompt whose beginning was found in the cache, to float32 rounding (matrix products sum in another order), so a draw
within about 1e-7 of a border between two tokens can fall on the other side. Where bits must repeat, call `forget` first.
"""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from inference import native as native_kernels
from inference.attend import BLOCK, Chunk
from inference.blocks import Blocks
from inference.cache import Cache, Capture
from inference.config import DeepseekConfig
from inference.decoder import Decoder
from inference.facts import facts
from inference.filling import Model
from inference.loader import checkpoint_hash, open_weights
from inference.mtp import MTP
from inference.records import Completion, Forward, Replay, Routing, SamplingParams, Step
from inference.replay import private, replay
from inference.sampling import sample_seeds
from inference.scheduler import Counts, Scheduler
from inference.sequence import Prompt, blocks_for
from inference.tokenizer import Tokenizer

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}
LEVELS: tuple[Capture, ...] = (False, True, "full")
CACHE_BYTES = 1 << 30  # of latents, unless told otherwise; a system gives memory only as it is written
LONGEST = 32_768  # tokens of one text that fit the cache in any case, unless told otherwise


class Engine:
    """A checkpoint in memory. Make it with `Engine.load`.

    `rows` is how many samples run at once at most, `budget` how many tokens a prefill pass takes, `speculates` whether a request drafts that does not
    say: not on a CPU, where a pass costs what its tokens cost, and two save little (LOG.md).
    """

    def __init__(
        self,
        path: Path,
        decoder: Decoder,
        mtp: MTP | None,
        tokenizer: Tokenizer | None,
        cache: Cache,
        *,
        device: str = "cpu",
        kernels: bool = False,
    ) -> None:
        self.path, self.config, self._tokenizer = path, decoder.config, tokenizer
        self._model = Model(decoder, mtp, cache, Blocks(cache.slots // BLOCK), device, kernels)
        self.rows, self.budget = 256, 2048
        self.speculates = mtp is not None and device != "cpu"
        self.counts = Counts()

    @classmethod
    def load(
        cls,
        path: str | Path,
        dtype: str = "float32",
        device: str = "cpu",
        *,
        expand_fp8: bool = False,
        mtp: bool = True,
        native: bool | None = None,
        cache_bytes: int | None = None,
    ) -> "Engine":
        """Load a Hugging Face checkpoint directory (config.json, *.safetensors, tokenizer.json).

        Weights in 8 bit stay so unless `expand_fp8`; `mtp=False` leaves the layer that drafts out; `native` chooses the compiled kernels (None: where
        they can run); `cache_bytes` bounds the latents of all texts together. Raises ValueError saying what is wrong with which file, tensor or field.
        """
        if dtype not in DTYPES:
            raise ValueError(f"dtype must be one of {', '.join(DTYPES)}, got {dtype!r}")
        if device != "cpu" and not (device.partition(":")[0] == "cuda" and torch.cuda.is_available()):
            raise ValueError(f'device must be "cpu", or "cuda" where torch finds one, got {device!r}')
        folder = Path(path)
        if not folder.is_dir():
            raise ValueError(f"{folder} is not a directory; name the folder of a Hugging Face checkpoint")
        config = DeepseekConfig.from_path(folder)
        tokenizer = Tokenizer.from_path(folder) if (folder / "tokenizer.json").exists() else None
        kernels = _kernels(config, dtype, device, native, expand_fp8=expand_fp8)
        with open_weights(folder, config, DTYPES[dtype], device=device, expand_fp8=expand_fp8, mtp=mtp) as weights:
            has_mtp = weights.has_mtp
            decoder = Decoder(config, weights, DTYPES[dtype], device, kernels=kernels)
            drafter = MTP(decoder, weights, DTYPES[dtype], kernels=kernels) if has_mtp else None
        blocks = cache_blocks(config, DTYPES[dtype], cache_bytes, has_mtp=has_mtp)
        cache = Cache(config, blocks, DTYPES[dtype], device, int(has_mtp))
        return cls(folder, decoder, drafter, tokenizer, cache, device=device, kernels=kernels)

    @property
    def tokenizer(self) -> Tokenizer:
        """The checkpoint's tokenizer. Raises ValueError saying what it brought instead when it brought none."""
        if self._tokenizer is None:
            self._tokenizer = Tokenizer.from_path(self.path)
        return self._tokenizer

    @property
    def drafts(self) -> bool:
        """Whether the checkpoint brought an MTP layer that drafts tokens."""
        return self._model.mtp is not None

    def facts(self) -> dict[str, Any]:
        """Facts of the architecture, for people and for `Engine` rows."""
        return facts(self.config)

    @property
    def longest(self) -> int:
        """Tokens that one text can have, prompt and completion together: the model's context, or the cache where that is less."""
        return min(self.config.max_position_embeddings, self._model.blocks.count * BLOCK)

    def hash(self) -> str:
        """SHA-256 of the checkpoint's files."""
        return checkpoint_hash(self.path)

    def forget(self) -> None:
        """Let no later request find what earlier ones left in the cache: it then computes what a fresh engine computes, bit for bit."""
        self._model.blocks.forget()

    def generate(
        self,
        prompts: Sequence[Sequence[int]],
        params: SamplingParams,
        capture: Capture = True,
        seeds: Sequence[Sequence[int]] | None = None,
        *,
        speculate: bool | None = None,
    ) -> list[list[Completion]]:
        """Sample `params.n` completions of each prompt, in order. `seeds` [prompts][n] overrides what `params.seed` gives each sample."""
        done: dict[tuple[int, int], Completion] = {}
        for step in self.stream(prompts, params, capture=capture, seeds=seeds, speculate=speculate):
            done.update({(f.prompt, f.sample): f.completion for f in step.finished})
        return [[done[p, s] for s in range(params.n)] for p in range(len(prompts))]

    def stream(
        self,
        prompts: Sequence[Sequence[int]],
        params: SamplingParams,
        capture: Capture = True,
        seeds: Sequence[Sequence[int]] | None = None,
        *,
        speculate: bool | None = None,
        should_stop: Callable[[], bool] = lambda: False,
    ) -> Iterator[Step]:
        """Like `generate`, a step at a time. When `should_stop()` turns true, what runs or waits ends as "cancelled" in a last step.

        `capture` True records routing, "full" also what the router weighed; neither changes a token. `speculate` None leaves that to
        `speculates`. Raises ValueError for an empty prompt, a token outside the vocabulary, or a text longer than the model's context or the cache.
        """
        self._check(prompts, params.max_tokens)
        if capture not in LEVELS:
            raise ValueError(f'capture must be False, True or "full", got {capture!r}')
        if seeds is not None and (len(seeds) != len(prompts) or any(len(row) != params.n for row in seeds)):
            raise ValueError(f"seeds must be {len(prompts)} rows of {params.n}")
        if speculate and not self.drafts:
            raise ValueError(f"{self.path} has no MTP layer to draft with, or it was left out when loading")
        if not prompts:
            return iter(())
        asked = [
            Prompt(
                number, np.array(tokens, np.int64),
                sample_seeds(params.seed, tokens, params.n) if seeds is None else seeds[number], deque(range(params.n)),
            )
            for number, tokens in enumerate(prompts)
        ]  # fmt: skip
        drafts = self.speculates if speculate is None else speculate
        model = self._model if drafts else self._model._replace(mtp=None)
        scheduler = Scheduler(
            model, asked, params, self._stops(params), capture, counts=self.counts, rows=self.rows, budget=self.budget
        )
        return scheduler.steps(should_stop)

    def replay(self, token_ids: Sequence[int], capture: Capture = "full") -> Replay:
        """What the model would have said of each token of a known text, and where it sent each. Raises ValueError as `stream` does."""
        self._check([token_ids], 0, in_cache=False)
        return replay(self._model, token_ids, capture)

    def forward(self, ids: Sequence[int]) -> Forward:
        """One plain pass over `ids`: logits of every position and its routing; the reference that `generate` is tested against."""
        self._check([ids], 0, in_cache=False)
        with torch.inference_mode():
            own = private(self._model, len(ids), True)
            at = own.put(np.arange(len(ids)))
            tokens = own.put(np.array(ids, np.int64))
            hidden = own.decoder.prefill(tokens, at, at, [Chunk(len(ids), 0, at[:0])], own.cache)
            logits = own.decoder.logits(hidden)[None].cpu().numpy()
        routing = own.cache.routing(np.arange(len(ids)))
        return Forward(logits, Routing(self.config.router_layers, *routing))

    def _stops(self, params: SamplingParams) -> np.ndarray:
        """Which tokens end a sample: bool [V]."""
        stops = np.zeros(self.config.vocab_size, np.bool_)
        ending = (*params.stop_token_ids, *(() if params.ignore_eos else self.config.eos_token_ids))
        stops[[token for token in ending if 0 <= token < len(stops)]] = True
        return stops

    def _check(self, prompts: Sequence[Sequence[int]], more: int, *, in_cache: bool = True) -> None:
        """Refuse texts that could never run, with `more` tokens to come."""
        longest, held = self.config.max_position_embeddings, self._model.blocks.count * BLOCK
        for number, prompt in enumerate(prompts):
            if not len(prompt):
                raise ValueError(f"prompt {number} is empty")
            if min(prompt) < 0 or max(prompt) >= self.config.vocab_size:
                raise ValueError(f"prompt {number} has a token outside 0..{self.config.vocab_size - 1}")
            tokens = f"prompt {number} has {len(prompt)} tokens; with {more} more it passes"
            if len(prompt) + more > longest:
                raise ValueError(f"{tokens} the context of {longest}")
            if in_cache and len(prompt) + more > held:
                raise ValueError(f"{tokens} the cache of {held}; load the engine with more cache_bytes")


def _kernels(config: DeepseekConfig, dtype: str, device: str, wanted: bool | None, *, expand_fp8: bool) -> bool:
    """Whether the compiled kernels run: float32 on the CPU, and a compiler has built them. Raises ValueError when they are wanted and cannot."""
    if wanted is False:
        return False
    fits = dtype == "float32" and device == "cpu" and (config.fp8_block is None or expand_fp8)
    runs = fits and native_kernels.available()
    if wanted and not runs:
        why = "they are not built: see the log" if fits else "they are for float32 weights on the CPU"
        raise ValueError(f"the native kernels cannot run this checkpoint: {why}")
    return runs


def cache_blocks(config: DeepseekConfig, dtype: torch.dtype, cache_bytes: int | None, *, has_mtp: bool) -> int:
    """How many blocks the cache has: what `cache_bytes` hold, or by default a gigabyte and one text of 32,768 tokens at least. Raises
    ValueError when not even one fits.
    """
    layers = config.num_hidden_layers + has_mtp
    block = BLOCK * layers * config.cache_width * dtype.itemsize
    if cache_bytes is not None and cache_bytes < block:
        raise ValueError(f"cache_bytes must hold at least {BLOCK} tokens, {block} bytes; got {cache_bytes}")
    if cache_bytes is not None:
        return cache_bytes // block
    return max(CACHE_BYTES // block, blocks_for(min(config.max_position_embeddings, LONGEST)))


def set_threads(count: int) -> None:
    """Let torch use `count` threads. Two processes with two threads each on two cores stall each other at every barrier: give each its share,
    and start it with GOMP_SPINCOUNT=20000, so that waiting threads spin for microseconds and then sleep.
    """
    torch.set_num_threads(count)
