"""The two ways to look back: a chunk of a prompt at what stands before it, and single tokens at their block tables.

Shapes: c tokens of a chunk, T tokens, S positions, H heads, W numbers cached a token and layer. Attention's own classes (mla.py, gqa.py) say
what a cached row means through `expand`.
"""

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch.nn import functional

BLOCK = 16  # tokens a cache block holds
TILE = 1024  # cached rows that are expanded at a time
GATHERED = 1 << 26  # numbers that the plain path gathers from the cache at a time


Expand = Callable[
    [torch.Tensor], tuple[torch.Tensor, torch.Tensor]
]  # rows [S, W], or slots, to keys [S, H, .] and values [S, H, .]


class Chunk(NamedTuple):
    """`length` tokens in a row of one sequence; the `before` tokens that precede them lie in the cache at `slots` int64 [before]."""

    length: int
    before: int
    slots: torch.Tensor


class Seen(NamedTuple):
    """What each decoded token may look at: positions 0 .. lengths - 1 of its block table."""

    tables: torch.Tensor  # int32 [T, blocks]
    lengths: torch.Tensor  # int64 [T]
    longest: int

    @classmethod
    def of(cls, tables: torch.Tensor, positions: torch.Tensor) -> "Seen":
        """Of tokens at `positions` int64 [T]."""
        lengths = positions + 1
        return cls(tables, lengths, int(lengths.max()))

    def rows(self, width: int) -> list[tuple[slice, torch.Tensor, torch.Tensor]]:
        """Parts of the tokens with their cache slots [t, S] and a mask [t, 1, S] that is -inf past their length; a part gathers at most
        `GATHERED` numbers.
        """
        place = torch.arange(self.longest, device=self.tables.device)
        slots_TS = self.tables[:, place // BLOCK].long() * BLOCK + place % BLOCK
        # a slot past the length may be no slot at all: look at the first position instead, masked
        past_TS = place >= self.lengths[:, None]
        slots_TS = torch.where(past_TS, slots_TS[:, :1], slots_TS)
        mask_T1S = torch.zeros(past_TS.shape, device=place.device).masked_fill_(past_TS, -math.inf)[:, None]
        step = max(GATHERED // (self.longest * width), 1)
        parts = [slice(i, i + step) for i in range(0, len(slots_TS), step)]
        return [(part, slots_TS[part], mask_T1S[part]) for part in parts]


class Place(NamedTuple):
    """Where the tokens of a pass stand, the same for all layers."""

    turn: torch.Tensor  # complex [T, R / 2]: their rotations
    slots: torch.Tensor  # int64 [T]: where their cached rows go
    look: list[Chunk] | Seen  # what they may look at: chunks of prompts, or block tables


def prefill(q: torch.Tensor, place: Place, pool: torch.Tensor, expand: Expand, scale: float) -> torch.Tensor:
    """Causal attention of chunks of several sequences. `q` [T, H, .]; `pool` [slots, W] already has their own rows. Returns [T, H, V]."""
    assert isinstance(place.look, list)
    sizes, out = [chunk.length for chunk in place.look], []
    for part, slots, chunk in zip(
        torch.split_with_sizes(q, sizes), torch.split_with_sizes(place.slots, sizes), place.look, strict=True
    ):
        tiles = torch.split(chunk.slots, TILE) if chunk.before else ()
        out.append(_causal(part, slots, tiles, lambda at: expand(pool[at]), scale))
    return torch.cat(out)


def _causal(
    q: torch.Tensor, own: torch.Tensor, before: Sequence[torch.Tensor], expand: Expand, scale: float
) -> torch.Tensor:
    """Of one chunk, expanded: `q` [c, H, .], `own` [c] the slots of its rows, `before` those of what precedes it in tiles. Returns [c, H, V].

    What stands before is expanded a tile at a time and merged by running maxima (Milakov & Gimelshein 2018), so a long text never has
    its keys and values in memory at once.
    """
    keys, values = expand(own)
    if not before:
        wider = max(q.shape[-1] - values.shape[-1], 0)  # equal widths let torch's fused kernel in
        q, keys, values = (x.transpose(0, 1)[None] for x in (q, keys, functional.pad(values, (0, wider))))
        out = functional.scaled_dot_product_attention(q, keys, values, is_causal=True, scale=scale)
        return out[0, ..., : out.shape[-1] - wider].transpose(0, 1)
    later = torch.ones(len(q), len(q), dtype=torch.bool, device=q.device).triu_(1)
    best, total, sums = _look(q, keys, values, scale, later)
    for tile in before:
        tile_best, tile_total, tile_sums = _look(q, *expand(tile), scale, None)
        top = torch.maximum(best, tile_best)
        mine, theirs = (best - top).exp(), (tile_best - top).exp()
        best, total, sums = top, total * mine + tile_total * theirs, sums * mine + tile_sums * theirs
    return (sums / total).transpose(0, 1).to(q.dtype)


def _look(
    q: torch.Tensor, keys: torch.Tensor, values: torch.Tensor, scale: float, hidden: torch.Tensor | None
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Greatest score and sum of exponentials [H, c, 1], and the values weighted by the exponentials [H, c, V]; float32."""
    scores_HcS = torch.bmm(q.transpose(0, 1), keys.permute(1, 2, 0)).float().mul_(scale)
    if hidden is not None:
        scores_HcS.masked_fill_(hidden, -math.inf)
    best = scores_HcS.amax(-1, keepdim=True)
    weights_HcS = scores_HcS.sub_(best).exp_()
    total = weights_HcS.sum(-1, keepdim=True)
    return best, total, torch.bmm(weights_HcS.to(values.dtype), values.transpose(0, 1)).float()
