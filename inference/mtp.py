"""Multi-token prediction (V3 eq. 21-25): one more decoder layer that guesses the token after next. Embedding and head are the main model's.

Not here: deciding what to do with a guess (speculative.py). Only the first module of a checkpoint is used; every released one has one.
"""

import torch

from inference.attend import Chunk, Place
from inference.cache import Cache
from inference.config import DeepseekConfig
from inference.decoder import Decoder, Layer
from inference.linear import Linear, Norm, Weights, below
from inference.stacked import run_stack, stack_of


class MTP:
    """`weights` gives a checkpoint's tensors by their full names."""

    def __init__(self, decoder: Decoder, weights: Weights, dtype: torch.dtype, *, kernels: bool = False) -> None:
        config: DeepseekConfig = decoder.config
        self.decoder, self.index = decoder, config.num_hidden_layers
        own = below(weights, f"model.layers.{self.index}.")
        self.enorm, self.hnorm, self.norm = (
            Norm.read(own, name, config.rms_norm_eps, kernels=kernels)
            for name in ("enorm", "hnorm", "shared_head.norm")
        )
        self.eh_proj = Linear(own("eh_proj.weight"), kernels=kernels)
        self.layer = Layer(config, own, dtype, routed=config.has_router(self.index), kernels=kernels)
        self.stack = stack_of(config, [self.layer], self.norm) if kernels else None

    def prefill(
        self,
        hidden: torch.Tensor,
        next_tokens: torch.Tensor,
        positions: torch.Tensor,
        slots: torch.Tensor,
        chunks: list[Chunk],
        *,
        cache: Cache,
    ) -> torch.Tensor:
        """Run chunks: `hidden` [T, D] are the main model's states, `next_tokens` the tokens that follow them. States [T, D] for the head."""
        return self._run(hidden, next_tokens, self.decoder.chunked(positions, slots, chunks), cache)

    def decode(
        self,
        hidden: torch.Tensor,
        next_tokens: torch.Tensor,
        positions: torch.Tensor,
        slots: torch.Tensor,
        tables: torch.Tensor,
        *,
        cache: Cache,
    ) -> torch.Tensor:
        """Run single tokens. Row i of the cache's MTP layer is of the state at position i and the token after it."""
        place = self.decoder.single(positions, slots, tables)
        if self.stack is None:
            return self._run(hidden, next_tokens, place, cache)
        joined = self._join(hidden, next_tokens)
        return run_stack(self.stack, joined, place, [cache.layers[self.index]]).hidden

    def _run(self, hidden: torch.Tensor, next_tokens: torch.Tensor, place: Place, cache: Cache) -> torch.Tensor:
        out, _ = self.layer(self._join(hidden, next_tokens), place, cache.layers[self.index], detail=False)
        return self.norm(out)

    def _join(self, hidden: torch.Tensor, next_tokens: torch.Tensor) -> torch.Tensor:
        """What goes into the layer. The embedding comes first, the reverse of the paper's equation: so are the released weights laid out."""
        return self.eh_proj(torch.cat((self.enorm(self.decoder.embedding[next_tokens]), self.hnorm(hidden)), -1))
