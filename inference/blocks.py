"""Who has which block of the cache: 16 tokens each, counted references, and a hash chain by which a known prefix is found again.

A full block of a prompt is sealed under the hash of all tokens up to its end; whoever asks with the same beginning shares it. A block that
nobody holds keeps its seal until it is needed for something else, the one unused for longest first. Left out: what lies in a block (cache.py).
"""

import hashlib
from collections import OrderedDict
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from inference.attend import BLOCK

Tokens = NDArray[np.int64]


class NoBlocksError(Exception):
    """No block is free: someone must give some back."""


class Chain:
    """The hashes of a text's full blocks, each over the one before it and the tokens of its block.

    `kind` says what else the cached rows depend on (what was captured, whether drafts were fed). With `drafts` a block's last row also depends
    on the token after it, so that token is hashed with the block. The block that holds the last token is never part of the chain: that
    token must run to give logits.
    """

    def __init__(self, tokens: Tokens, kind: str, *, drafts: bool) -> None:
        cover = BLOCK + 1 if drafts else BLOCK
        self.parts = [tokens[i * BLOCK : i * BLOCK + cover].tobytes() for i in range((len(tokens) - 1) // BLOCK)]
        self.hashes: list[bytes] = []
        last = kind.encode()
        for part in self.parts:
            last = hashlib.blake2b(last + part, digest_size=16).digest()
            self.hashes.append(last)

    def __len__(self) -> int:
        """How many blocks of the text can be shared."""
        return len(self.parts)


class Blocks:
    """`count` blocks, all free at first."""

    def __init__(self, count: int) -> None:
        self.count = count
        self._free = OrderedDict.fromkeys(range(count))  # in the order in which they are to be used
        self._holders = [0] * count
        self._sealed: dict[bytes, int] = {}
        self._seal: dict[int, tuple[bytes, bytes]] = {}  # of a block: its hash, its tokens

    @property
    def free(self) -> int:
        """Blocks that nobody holds."""
        return len(self._free)

    def take(self) -> int:
        """A block for one holder; what was in it is forgotten. Raises NoBlocksError when all are held."""
        if not self._free:
            raise NoBlocksError
        block, _ = self._free.popitem(last=False)
        if block in self._seal:
            known, _ = self._seal.pop(block)
            del self._sealed[known]
        self._holders[block] = 1
        return block

    def share(self, blocks: Sequence[int]) -> None:
        """Let one more hold each of `blocks`."""
        for block in blocks:
            self._holders[block] += 1
            self._free.pop(block, None)

    def release(self, blocks: Sequence[int]) -> None:
        """One holder of `blocks`, which are in the order of their text, gives them back."""
        for block in reversed(blocks):  # a text's end is forgotten before its beginning
            self._holders[block] -= 1
            assert self._holders[block] >= 0
            if not self._holders[block]:
                self._free[block] = None
                if block not in self._seal:
                    self._free.move_to_end(block, last=False)  # nothing in it is worth keeping

    def seal(self, blocks: Sequence[int], chain: Chain, start: int, stop: int) -> None:
        """Let blocks `start` .. `stop` - 1 of a text be found by others; each must be filled."""
        for number in range(start, min(stop, len(chain))):
            known = chain.hashes[number]
            if known not in self._sealed and blocks[number] not in self._seal:
                self._sealed[known] = blocks[number]
                self._seal[blocks[number]] = (known, chain.parts[number])

    def find(self, chain: Chain) -> list[int]:
        """The blocks that hold the longest known beginning of a text, not yet held by the one who asks."""
        found = []
        for known, part in zip(chain.hashes, chain.parts, strict=True):
            block = self._sealed.get(known)
            if block is None or self._seal[block][1] != part:
                break
            found.append(block)
        return found

    def forget(self) -> None:
        """Drop all seals: nothing is found again."""
        self._sealed.clear()
        self._seal.clear()
