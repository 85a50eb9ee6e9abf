"""A known text through the model: what it would have said of every token, and where it sent each (teacher forcing).

The text goes through prefill in chunks against a latent cache of its own, and logits exist for part of a chunk at a time, so memory is that cache and
one chunk, whatever the text's length. Left out: sharing what the engine's cache knows of the text; a replay shows one computation, not two.
"""

from collections.abc import Sequence

import numpy as np
import torch

from inference.attend import Chunk
from inference.blocks import Blocks
from inference.cache import Cache, Capture
from inference.filling import Model
from inference.records import Replay
from inference.sampling import measure
from inference.scheduler import routing_of
from inference.sequence import blocks_for

CHUNK = 1024  # tokens a pass
LOGITS = 1 << 24  # numbers of logits at a time


def private(model: Model, length: int, capture: Capture) -> Model:
    """The same decoder with a cache of its own for one text of `length` tokens, which nobody else sees."""
    old = model.cache
    blocks = blocks_for(length)
    cache = Cache(old.config, blocks, old.layers[0].dtype, model.device)
    cache.capture(capture)
    return model._replace(mtp=None, cache=cache, blocks=Blocks(blocks))


def replay(model: Model, token_ids: Sequence[int], capture: Capture) -> Replay:
    """Log-probability, entropy and routing of every token of a text, in a cache of `private`."""
    tokens = np.array(token_ids, np.int64)
    logprobs = np.full(len(tokens), np.nan, np.float32)
    entropies = np.full(len(tokens), np.nan, np.float32)
    with torch.inference_mode():
        own = private(model, len(tokens), capture)
        order = np.arange(len(tokens))  # positions, and slots: the cache has this text alone
        for start in range(0, len(tokens), CHUNK):
            part = slice(start, min(start + CHUNK, len(tokens)))
            chunk = Chunk(part.stop - start, start, own.put(order[:start]))
            at = own.put(order[part])
            hidden = own.decoder.prefill(own.put(tokens[part]), at, at, [chunk], own.cache)
            _measure(own, hidden, tokens[start + 1 : part.stop + 1], logprobs[start + 1 :], entropies[start + 1 :])
    return Replay(logprobs, entropies, routing_of(own, order, capture))


def _measure(
    model: Model, hidden: torch.Tensor, following: np.ndarray, logprobs: np.ndarray, entropies: np.ndarray
) -> None:
    """Write how each state predicted the token that follows it; the text's last state has none."""
    step = max(LOGITS // model.decoder.config.vocab_size, 1)
    for begin in range(0, len(following), step):
        part = slice(begin, min(begin + step, len(following)))
        logprobs_TV, entropies_T = measure(model.decoder.logits(hidden[part]))
        said = logprobs_TV.gather(1, model.put(following[part])[:, None])[:, 0]
        logprobs[part], entropies[part] = said.cpu().numpy(), entropies_T.cpu().numpy()
