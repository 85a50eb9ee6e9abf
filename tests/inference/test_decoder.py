"""The decoder agrees with itself: chunks, single tokens and whole texts, through scattered blocks, for every kind of layer."""

import pytest
import torch

from inference.attend import BLOCK, Chunk
from inference.cache import Cache
from inference.experts import one_by_one
from inference.gate import Routed
from tests.inference.models import KINDS, config, decoder, with_mtp

LENGTH = 50
NOTHING = torch.zeros(0, dtype=torch.int64)


@pytest.fixture(params=KINDS)
def kind(request) -> str:
    return request.param


@pytest.fixture(autouse=True)
def _no_gradients():
    with torch.inference_mode():
        yield


def text(seed: int, count: int = LENGTH) -> torch.Tensor:
    return torch.randint(2, 61, (count,), generator=torch.Generator().manual_seed(seed))


def blocks(seed: int, of: int = 16) -> torch.Tensor:
    """Blocks of a sequence, in no order."""
    return torch.randperm(of, generator=torch.Generator().manual_seed(seed))[: LENGTH // BLOCK + 1]


def slots(table: torch.Tensor, count: int = LENGTH) -> torch.Tensor:
    place = torch.arange(count)
    return table[place // BLOCK] * BLOCK + place % BLOCK


def whole(model, tokens: torch.Tensor) -> torch.Tensor:
    """Hidden states of a text in one pass through a cache of its own."""
    cache = Cache(model.config, len(tokens) // BLOCK + 1, torch.float32, "cpu")
    place = torch.arange(len(tokens))
    return model.prefill(tokens, place, place, [Chunk(len(tokens), 0, NOTHING)], cache)


def close(one: torch.Tensor, other: torch.Tensor) -> None:
    assert (one - other).abs().max() < 1e-4


def test_chunks_equal_the_whole(kind):
    model, tokens = decoder(config(kind)), text(1)
    cache, at, expected = Cache(model.config, 16, torch.float32, "cpu"), slots(blocks(2)), whole(model, text(1))
    for begin, end in ((0, 1), (1, 20), (20, 33), (33, LENGTH)):
        chunk = Chunk(end - begin, begin, at[:begin])
        got = model.prefill(tokens[begin:end], torch.arange(begin, end), at[begin:end], [chunk], cache)
        close(got, expected[begin:end])


def test_chunks_of_two_sequences_do_not_see_each_other(kind):
    model, tokens = decoder(config(kind)), [text(1), text(2)]
    table = torch.randperm(16, generator=torch.Generator().manual_seed(3))
    cache, at = Cache(model.config, 16, torch.float32, "cpu"), [slots(table[:5]), slots(table[5:10])]
    model.prefill(tokens[0][:30], torch.arange(30), at[0][:30], [Chunk(30, 0, NOTHING)], cache)
    chunks = [Chunk(20, 30, at[0][:30]), Chunk(LENGTH, 0, NOTHING)]
    got = model.prefill(
        torch.cat((tokens[0][30:], tokens[1])), torch.cat((torch.arange(30, LENGTH), torch.arange(LENGTH))),
        torch.cat((at[0][30:], at[1])), chunks, cache,
    )  # fmt: skip
    close(got[:20], whole(model, tokens[0])[30:])
    close(got[20:], whole(model, tokens[1]))


def test_single_tokens_equal_the_whole(kind):
    model, tokens = decoder(config(kind)), text(1)
    table = blocks(2)
    cache, at, expected = Cache(model.config, 16, torch.float32, "cpu"), slots(table), whole(model, tokens)
    for place in range(LENGTH):
        here = torch.tensor([place])
        got = model.decode(tokens[here], here, at[here], table[None].int(), cache)
        close(got, expected[here])


def test_a_batch_of_unequal_lengths_equals_each_alone(kind):
    model, tokens, table = decoder(config(kind)), text(1), blocks(2)
    cache, at, expected = Cache(model.config, 16, torch.float32, "cpu"), slots(table), whole(model, tokens)
    model.prefill(tokens, torch.arange(LENGTH), at, [Chunk(LENGTH, 0, NOTHING)], cache)
    ends = torch.tensor([0, 15, 16, 17, LENGTH - 1])
    got = model.decode(tokens[ends], ends, at[ends], table.int().repeat(len(ends), 1), cache)
    close(got, expected[ends])


def test_two_new_tokens_of_one_sequence_see_each_other(kind):
    model, tokens, table = decoder(config(kind)), text(1), blocks(2)
    cache, at, expected = Cache(model.config, 16, torch.float32, "cpu"), slots(table), whole(model, tokens)
    model.prefill(tokens[:40], torch.arange(40), at[:40], [Chunk(40, 0, NOTHING)], cache)
    pair = torch.tensor([40, 41])
    close(model.decode(tokens[pair], pair, at[pair], table.int().repeat(2, 1), cache), expected[pair])


def test_a_table_may_hold_anything_past_the_length(kind):
    model, tokens, table = decoder(config(kind)), text(1), blocks(2)
    cache, at, expected = Cache(model.config, 16, torch.float32, "cpu"), slots(table), whole(model, tokens)
    for layer in cache.layers:
        layer.fill_(torch.nan)
    model.prefill(tokens[:40], torch.arange(40), at[:40], [Chunk(40, 0, NOTHING)], cache)
    here = torch.tensor([40, 17])
    tables = torch.stack((table.int(), table.int()))
    tables[1, 2:] = 2_000_000
    close(model.decode(tokens[here], here, at[here], tables, cache), expected[here])


def test_a_gathered_part_is_bounded(monkeypatch, kind):
    model, tokens, table = decoder(config(kind)), text(1), blocks(2)
    cache, at, expected = Cache(model.config, 16, torch.float32, "cpu"), slots(table), whole(model, tokens)
    model.prefill(tokens, torch.arange(LENGTH), at, [Chunk(LENGTH, 0, NOTHING)], cache)
    monkeypatch.setattr("inference.attend.GATHERED", 1)
    ends = torch.tensor([3, LENGTH - 1])
    close(model.decode(tokens[ends], ends, at[ends], table.int().repeat(2, 1), cache), expected[ends])


def test_tiles_of_what_stands_before_merge(monkeypatch, kind):
    model, tokens = decoder(config(kind)), text(1)
    cache, at, expected = Cache(model.config, 16, torch.float32, "cpu"), slots(blocks(2)), whole(model, tokens)
    monkeypatch.setattr("inference.attend.TILE", 7)
    model.prefill(tokens[:40], torch.arange(40), at[:40], [Chunk(40, 0, NOTHING)], cache)
    close(model.prefill(tokens[40:], torch.arange(40, 50), at[40:], [Chunk(10, 40, at[:40])], cache), expected[40:])


def test_bfloat16_stays_near(kind):
    c, tokens, place = config(kind), text(1), torch.arange(LENGTH)
    model = decoder(c, dtype=torch.bfloat16)
    cache = Cache(c, 4, torch.bfloat16, "cpu")
    got = model.logits(model.prefill(tokens, place, place, [Chunk(LENGTH, 0, NOTHING)], cache))
    reference = decoder(c)
    expected = reference.logits(whole(reference, tokens))
    # experts that bfloat16 chooses otherwise move single tokens far; the middle one must not move
    assert (got - expected).abs().mean(-1).median() < 0.05 * expected.abs().mean()


def test_mtp_single_tokens_equal_its_chunks():
    model, mtp = with_mtp(config("v3 with a query latent and mtp"))
    tokens, table, place = text(1, LENGTH + 1), blocks(2), torch.arange(LENGTH)
    cache, at = Cache(model.config, 16, torch.float32, "cpu", mtp=1), slots(table)
    chunk = [Chunk(LENGTH, 0, NOTHING)]
    hidden = model.prefill(tokens[:-1], place, at, chunk, cache)
    expected = mtp.prefill(hidden, tokens[1:], place, at, chunk, cache=cache)
    for number in range(LENGTH):
        here = torch.tensor([number])
        got = mtp.decode(hidden[here], tokens[here + 1], here, at[here], table[None].int(), cache=cache)
        close(got, expected[here])


def test_a_grouped_product_equals_one_expert_at_a_time():
    experts, x = decoder(config("v3")).layers[1].mlp.experts, torch.randn(40, 32)
    weights, ids = torch.rand(40, 12).topk(3, -1)
    routed = Routed(ids, weights, None)
    alone = torch.zeros(40, 32).index_add(0, *one_by_one(x, routed, 12, experts._matrices))
    close(torch.zeros(40, 32).index_add(0, *experts.grouped(x, routed)), alone)
