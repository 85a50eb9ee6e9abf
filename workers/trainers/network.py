"""DeepSeek-V3's architecture in training form: one differentiable pass over packed rows that also counts expert loads.

The pass gives the main model's logits and the drafts of one multi-token prediction depth (MTP, V3 2.2). The state dict is
the checkpoint, with the MTP after the last layer under its official names; the copies of embedding and head that V3's file
keeps there are left out, since both are shared. A test holds the logits against the engine's.

Shapes: B rows, S positions, D hidden, R rotary dimensions, E routed experts, V vocabulary.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import nn

from .balance import update_bias
from .layers import Layer, MoE, RMSNorm, linear
from .shape import Shape


class Pass(NamedTuple):
    """Of one pass: logits [B, S, V]; drafts [B, S - 1, V], row i for token i + 2, if there is an MTP; loads int64 [E] a layer."""

    logits: torch.Tensor
    drafts: torch.Tensor | None
    loads: list[torch.Tensor]


class SharedHead(nn.Module):
    """What the MTP has of a head of its own: the norm before the shared one."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.norm = RMSNorm(shape.hidden_size, shape.rms_norm_eps)


class MTP(Layer):
    """One more layer, fed with the next token's embedding and the state of this one (V3 eq. 21 to 23).

    The embedding stands first in what `eh_proj` reads, the reverse of the paper's equation: so it is in the released weights.
    """

    def __init__(self, shape: Shape) -> None:
        super().__init__(shape, shape.num_hidden_layers)
        self.enorm = RMSNorm(shape.hidden_size, shape.rms_norm_eps)
        self.hnorm = RMSNorm(shape.hidden_size, shape.rms_norm_eps)
        self.eh_proj = linear(2 * shape.hidden_size, shape.hidden_size)
        self.shared_head = SharedHead(shape)

    def draft(
        self, embedded_BSD: torch.Tensor, hidden_BSD: torch.Tensor, cos: torch.Tensor, sin: torch.Tensor
    ) -> torch.Tensor:
        """Row i: the embedding of token i + 1 and the main model's normed state at i, to the state that the head reads for token i + 2."""
        joined = torch.cat([self.enorm(embedded_BSD), self.hnorm(hidden_BSD)], -1)
        out: torch.Tensor = self.shared_head.norm(self(self.eh_proj(joined), cos, sin))
        return out


class Decoder(nn.Module):
    """Embedding, layers, the MTP as a layer more, final norm: what the checkpoint calls `model`."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.embed_tokens = nn.Embedding(shape.vocab_size, shape.hidden_size)
        self.layers = nn.ModuleList(Layer(shape, index) for index in range(shape.num_hidden_layers))
        self.layers.extend(MTP(shape) for _ in range(shape.num_nextn_predict_layers))
        self.norm = RMSNorm(shape.hidden_size, shape.rms_norm_eps)


class CausalLM(nn.Module):
    """The whole model; its state dict has the names of the checkpoint on disk."""

    def __init__(self, shape: Shape, seed: int) -> None:
        super().__init__()
        self.shape = shape
        self.model = Decoder(shape)
        self.lm_head = linear(shape.hidden_size, shape.vocab_size)
        generator = torch.Generator().manual_seed(seed)
        mine = {id(parameter) for parameter in self.mtp.parameters()} if self.mtp else set()
        # The MTP is drawn last, so that the main model begins the same with and without it.
        for parameter in sorted(self.parameters(), key=lambda each: id(each) in mine):
            if parameter.dim() >= 2:
                nn.init.normal_(parameter, std=shape.initializer_range, generator=generator)

    @property
    def mtp(self) -> MTP | None:
        """The MTP, if the shape has one."""
        last = self.model.layers[-1]
        return last if isinstance(last, MTP) else None

    def moe_layers(self) -> list[MoE]:
        """The routed layers, first to last, the MTP's at the end."""
        return [each for each in self.modules() if isinstance(each, MoE)]

    def forward(self, ids_BS: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor | None]:
        """Logits [B, S, V], and the MTP's [B, S - 1, V]: of every position but the last, whose next token is not in the row."""
        cos_SR, sin_SR = self._angles(ids_BS.shape[1])
        embedded = x = self.model.embed_tokens(ids_BS)
        for layer in self.model.layers[: self.shape.num_hidden_layers]:
            x = layer(x, cos_SR, sin_SR)
        hidden = self.model.norm(x)
        logits: torch.Tensor = self.lm_head(hidden)
        if not self.mtp:
            return logits, None
        drafts: torch.Tensor = self.lm_head(self.mtp.draft(embedded[:, 1:], hidden[:, :-1], cos_SR[:-1], sin_SR[:-1]))
        return logits, drafts

    def _angles(self, length: int) -> tuple[torch.Tensor, torch.Tensor]:
        rope = self.shape.qk_rope_head_dim
        inverse = self.shape.rope_theta ** (-torch.arange(0, rope, 2, dtype=torch.float32) / rope)
        angles = torch.arange(length, dtype=torch.float32)[:, None] * inverse
        return angles.cos(), angles.sin()


class TrainedNetwork:
    """What the trainer needs of a network: a pass with loads, the step of the biases, and a view of both."""

    def __init__(self, shape: Shape, seed: int) -> None:
        self.shape, self.model = shape, CausalLM(shape, seed)

    def forward(self, ids_BS: torch.Tensor) -> Pass:
        """Logits, drafts, and the load of every routed layer."""
        logits, drafts = self.model(ids_BS)
        return Pass(logits, drafts, [layer.load_E for layer in self.model.moe_layers()])

    def zero_loads(self) -> list[torch.Tensor]:
        """Loads of no token at all."""
        return [torch.zeros_like(layer.load_E) for layer in self.model.moe_layers()]

    def biases(self) -> list[torch.Tensor]:
        """The correction bias of every routed layer."""
        return [layer.gate.e_score_correction_bias for layer in self.model.moe_layers()]

    def balance(self, load_LE: list[torch.Tensor], rate: float) -> None:
        """One step of the biases against the loads of a batch."""
        for bias, load in zip(self.biases(), load_LE, strict=True):
            update_bias(bias, load, rate)

    def parameters(self) -> int:
        """Weights, without the biases."""
        return sum(each.numel() for each in self.model.parameters())
