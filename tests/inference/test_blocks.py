"""Blocks of the cache: who holds them, what is found again, what is forgotten first."""

import numpy as np
import pytest

from inference.blocks import Blocks, Chain, NoBlocksError


def chain(tokens, kind="", *, drafts=False):
    return Chain(np.array(tokens, np.int64), kind, drafts=drafts)


def sealed(blocks: Blocks, text: Chain) -> list[int]:
    """Take blocks for a text, seal them, give them back."""
    taken = [blocks.take() for _ in range(len(text))]
    blocks.seal(taken, text, 0, len(text))
    blocks.release(taken)
    return taken


def test_the_block_of_the_last_token_is_not_shared():
    assert [len(chain(range(n))) for n in (1, 16, 17, 32, 33)] == [0, 0, 1, 1, 2]


def test_a_known_beginning_is_found():
    blocks = Blocks(8)
    taken = sealed(blocks, chain(range(40)))
    assert blocks.find(chain([*range(32), 9, 9, 9])) == taken
    assert blocks.find(chain([*range(16), *range(30)])) == taken[:1]
    assert blocks.find(chain([1, *range(1, 40)])) == []


def test_the_same_tokens_after_another_beginning_are_another_block():
    blocks = Blocks(8)
    sealed(blocks, chain([*range(16), *range(16), 0]))
    assert blocks.find(chain([*range(1, 17), *range(16), 0])) == []


def test_what_was_kept_decides_too():
    blocks = Blocks(8)
    sealed(blocks, chain(range(40), "routing"))
    assert blocks.find(chain(range(40), "nothing")) == []


def test_with_drafts_the_token_behind_a_block_must_be_the_same():
    blocks = Blocks(8)
    taken = sealed(blocks, chain([*range(32), 5, 5], drafts=True))
    assert blocks.find(chain([*range(32), 5, 6], drafts=True)) == taken
    assert blocks.find(chain([*range(32), 6, 6], drafts=True)) == taken[:1]


def test_tokens_are_compared_when_hashes_meet():
    blocks, text = Blocks(8), chain(range(40))
    sealed(blocks, text)
    impostor = chain(range(1, 41))
    impostor.hashes = text.hashes
    assert blocks.find(impostor) == []


def test_a_block_is_free_when_its_last_holder_gives_it_back():
    blocks = Blocks(2)
    block = blocks.take()
    blocks.share([block])
    blocks.release([block])
    assert blocks.free == 1
    blocks.release([block])
    assert blocks.free == 2
    with pytest.raises(AssertionError):
        blocks.release([block])


def test_no_block_is_handed_out_twice():
    blocks = Blocks(3)
    assert sorted(blocks.take() for _ in range(3)) == [0, 1, 2]
    with pytest.raises(NoBlocksError):
        blocks.take()


def test_what_was_unused_for_longest_is_forgotten_first_and_an_end_before_its_beginning():
    blocks = Blocks(4)
    old, new = chain(range(40)), chain(range(50, 90))
    sealed(blocks, old)
    sealed(blocks, new)
    found = blocks.find(old)
    blocks.share(found)  # used again: now the newer one is older
    blocks.release(found)
    blocks.take()
    assert (len(blocks.find(old)), len(blocks.find(new))) == (2, 1)
    blocks.take()
    assert (len(blocks.find(old)), len(blocks.find(new))) == (2, 0)


def test_blocks_of_no_worth_are_used_before_known_ones():
    blocks = Blocks(3)
    text = chain(range(40))
    sealed(blocks, text)
    blocks.release([blocks.take()])
    blocks.take()
    assert len(blocks.find(text)) == 2


def test_a_shared_block_is_not_forgotten():
    blocks, text = Blocks(2), chain(range(40))
    sealed(blocks, text)
    blocks.share(blocks.find(text))
    with pytest.raises(NoBlocksError):
        blocks.take()


def test_forgetting_leaves_holders_alone():
    blocks, text = Blocks(2), chain(range(40))
    sealed(blocks, text)
    held = blocks.find(text)
    blocks.share(held)
    blocks.forget()
    assert blocks.find(text) == []
    assert blocks.free == 0
    blocks.release(held)
    assert blocks.free == 2


def test_two_who_fill_the_same_text_at_once_keep_their_own_blocks():
    blocks, text = Blocks(4), chain(range(40))
    one, two = [blocks.take(), blocks.take()], [blocks.take(), blocks.take()]
    blocks.seal(one, text, 0, 2)
    blocks.seal(two, text, 0, 2)
    assert blocks.find(text) == one
    blocks.release(two)
    assert blocks.find(text) == one
