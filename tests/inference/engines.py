"""Engines around random small models, with a cache as small as a test wants."""

from pathlib import Path

import torch

from inference import native
from inference.cache import Cache
from inference.engine import Engine
from tests.inference.models import config, with_mtp

DRAFTS = "v3 with a query latent and mtp"


def engine(kind: str = "v3", *, blocks: int = 400, kernels: bool = False, **changes) -> Engine:
    """An engine of one of `models.KINDS` with `blocks` blocks of 16 tokens, without tokenizer. It drafts where it can, as on a GPU."""
    assert not kernels or native.available()
    c = config(kind, **changes)
    decoder, mtp = with_mtp(c, kernels=kernels)
    cache = Cache(c, blocks, torch.float32, "cpu", int(mtp is not None))
    made = Engine(Path("random"), decoder, mtp, None, cache, kernels=kernels)
    made.speculates = mtp is not None
    return made


def tokens(outs) -> list[list[list[int]]]:
    """The token ids of a request's completions."""
    return [[completion.token_ids for completion in group] for group in outs]


def free_blocks(engine: Engine) -> int:
    """How many blocks nobody holds."""
    return engine._model.blocks.free
