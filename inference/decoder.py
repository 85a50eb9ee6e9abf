"""The decoder: embedding, layers, head. Chunks of prompts (`prefill`) and single tokens against their block tables (`decode`).

Weights are read once and only read after; there is no autograd, and no state but the cache that is handed in.
Shapes: T tokens of several sequences in a row, D hidden, R rope dimensions, V vocabulary.
"""

import torch

from inference.attend import Chunk, Place, Seen
from inference.cache import Cache
from inference.config import DeepseekConfig
from inference.feedforward import MoE, SwiGLU
from inference.gate import Routed, RouteDetail, together
from inference.gqa import GQA
from inference.linear import Linear, Norm, Weights, below, vector
from inference.mla import MLA
from inference.native.stack import Stack
from inference.rope import turns
from inference.stacked import run_stack, stack_of


class Layer:
    """Attention and feed-forward, each on the normed residual stream. `weights` gives tensors by their name below the layer."""

    def __init__(
        self, config: DeepseekConfig, weights: Weights, dtype: torch.dtype, *, routed: bool, kernels: bool
    ) -> None:
        attention = MLA if config.is_mla else GQA
        mlp = below(weights, "mlp.")
        self.attention_norm = Norm.read(weights, "input_layernorm", config.rms_norm_eps, kernels=kernels)
        self.attention: MLA | GQA = attention(config, below(weights, "self_attn."), dtype, kernels=kernels)
        self.mlp_norm = Norm.read(weights, "post_attention_layernorm", config.rms_norm_eps, kernels=kernels)
        self.mlp: SwiGLU | MoE = MoE(config, mlp, dtype, kernels=kernels) if routed else SwiGLU(mlp, kernels=kernels)

    def __call__(
        self, x_TD: torch.Tensor, place: Place, pool: torch.Tensor, *, detail: bool
    ) -> tuple[torch.Tensor, Routed | None]:
        """[T, D] to the same, and where the tokens went if this layer has a router."""
        x_TD = self.attention(self.attention_norm(x_TD), place, pool, x_TD)
        normed = self.mlp_norm(x_TD)
        if isinstance(self.mlp, MoE):
            return self.mlp(normed, x_TD, detail=detail)
        return self.mlp(normed, x_TD), None


class Turns:
    """Rotations by position, made as far as they are needed: complex [T, R / 2]."""

    def __init__(self, config: DeepseekConfig, device: str) -> None:
        self._config, self._device = config, device
        self._table = turns(config, 512).to(device)

    def at(self, positions: torch.Tensor, longest: int) -> torch.Tensor:
        """Of `positions` int64 [T], all below `longest`."""
        if longest > len(self._table):
            self._table = turns(self._config, max(longest, 2 * len(self._table))).to(self._device)
        return self._table[positions]


class Decoder:
    """The whole model. `weights` gives a checkpoint's tensors by their full names, each once."""

    def __init__(
        self,
        config: DeepseekConfig,
        weights: Weights,
        dtype: torch.dtype,
        device: str = "cpu",
        *,
        kernels: bool = False,
    ) -> None:
        self.config = config
        self.embedding = vector(weights, "model.embed_tokens.weight")
        self.layers = [
            Layer(config, below(weights, f"model.layers.{i}."), dtype, routed=config.has_router(i), kernels=kernels)
            for i in range(config.num_hidden_layers)
        ]
        self.norm = Norm.read(weights, "model.norm", config.rms_norm_eps, kernels=kernels)
        head = self.embedding if config.tie_word_embeddings else vector(weights, "lm_head.weight")
        self.head = Linear(head, kernels=kernels)
        self._turns = Turns(config, device)
        self.stack = stack_of(config, self.layers, self.norm) if kernels else None

    def prefill(
        self, tokens: torch.Tensor, positions: torch.Tensor, slots: torch.Tensor, chunks: list[Chunk], cache: Cache
    ) -> torch.Tensor:
        """Run chunks of several sequences, all int64 [T]. Returns the states after the final norm [T, D]."""
        return self._run(tokens, self.chunked(positions, slots, chunks), cache)

    def decode(
        self, tokens: torch.Tensor, positions: torch.Tensor, slots: torch.Tensor, tables: torch.Tensor, cache: Cache
    ) -> torch.Tensor:
        """Run single tokens, each seeing positions 0 .. its own of its row of `tables` int32 [T, blocks]. Returns [T, D] after the final norm."""
        place = self.single(positions, slots, tables)
        return (
            self._run(tokens, place, cache) if self.stack is None else self._run_stack(self.stack, tokens, place, cache)
        )

    def logits(self, hidden_TD: torch.Tensor) -> torch.Tensor:
        """The head on states that `prefill` or `decode` gave: float32 [T, V]."""
        return self.head(hidden_TD).float()

    def chunked(self, positions: torch.Tensor, slots: torch.Tensor, chunks: list[Chunk]) -> Place:
        """The place of chunks of prompts."""
        return Place(self._turns.at(positions, max(each.before + each.length for each in chunks)), slots, chunks)

    def single(self, positions: torch.Tensor, slots: torch.Tensor, tables: torch.Tensor) -> Place:
        """The place of single tokens."""
        seen = Seen.of(tables, positions)
        return Place(self._turns.at(positions, seen.longest), slots, seen)

    def _run(self, tokens: torch.Tensor, place: Place, cache: Cache) -> torch.Tensor:
        x_TD, routed = self.embedding[tokens], []
        for layer, pool in zip(
            self.layers, cache.layers, strict=False
        ):  # the cache also holds the MTP layers, which come last
            x_TD, went = layer(x_TD, place, pool, detail=cache.level == "full")
            if went is not None:
                routed.append(went)
        if routed:
            cache.record(place.slots, together(routed))
        return self.norm(x_TD)

    def _run_stack(self, stack: Stack, tokens: torch.Tensor, place: Place, cache: Cache) -> torch.Tensor:
        pools = cache.layers[: len(self.layers)]
        passed = run_stack(stack, self.embedding[tokens], place, pools, detail=cache.level == "full")
        if cache.level:
            routed = Routed(passed.ids, passed.weights, RouteDetail(*passed[3:]))
            cache.record(place.slots, routed, kernels=True)
        return passed.hidden
