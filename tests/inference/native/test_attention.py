"""Absorbed attention over block tables against the expanded form in float64."""

# ruff: noqa: PLR0917  # six dimensions

import math

import pytest
import torch

from inference import native

pytestmark = pytest.mark.usefixtures("kernels")

BLOCK = 16


class Case:
    """Random tokens of random sequences whose blocks lie scattered in the cache; what no token may look at is NaN."""

    def __init__(self, lengths, heads, nope, rope, rank, value):
        self.lengths, self.value, self.rank = torch.tensor(lengths), value, rank
        counts = [math.ceil(length / BLOCK) for length in lengths]
        order = torch.randperm(sum(counts) + 3)
        self.tables = torch.full((len(lengths), max(counts)), -1, dtype=torch.int32)
        self.pool = torch.full((len(order) * BLOCK, rank + rope), math.nan)
        self.rows = []
        for row, (length, count) in enumerate(zip(lengths, counts, strict=True)):
            own, order = order[:count], order[count:]
            self.tables[row, :count] = own.int()
            slots = (own[:, None] * BLOCK + torch.arange(BLOCK)).flatten()[:length]
            self.pool[slots] = torch.randn(length, rank + rope)
            self.rows.append(slots)
        self.q = torch.randn(len(lengths), heads, nope + rope)
        self.w_uk, self.w_uv = torch.randn(heads, nope, rank) / nope**0.5, torch.randn(heads, value, rank) / rank**0.5
        self.packed = native.pack_heads(self.w_uk.transpose(1, 2)), native.pack_heads(self.w_uv)
        self.nope, self.scale = nope, 0.7 / (nope + rope) ** 0.5

    def run(self, *, scale=None, rows=slice(None)):
        return native.mla_decode(
            self.q[rows],
            *self.packed,
            self.pool,
            self.tables[rows],
            self.lengths[rows],
            BLOCK,
            scale or self.scale,
            self.value,
        )

    def expected(self, *, scale=None):
        out = []
        for q, slots in zip(self.q.double(), self.rows, strict=True):
            latent, k_rope = self.pool[slots].double().split((self.rank, self.pool.shape[1] - self.rank), -1)
            k = torch.einsum("sc,hnc->hsn", latent, self.w_uk.double())
            scores = torch.einsum("hn,hsn->hs", q[:, : self.nope], k) + q[:, self.nope :] @ k_rope.t()
            weights = torch.softmax(scores * (scale or self.scale), -1)
            out.append(torch.einsum("hs,sc,hvc->hv", weights, latent, self.w_uv.double()).flatten())
        return torch.stack(out)


SHAPES = [(4, 32, 16, 64, 32), (4, 32, 64, 512, 32), (1, 7, 2, 9, 5), (6, 24, 8, 40, 17), (16, 32, 16, 64, 48)]


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("lengths", [[1], [2, 33], [700], [16, 256, 1, 257, 31], [90] * 40])
def test_it_is_expanded_attention(both_thread_counts, shape, lengths):
    case = Case(lengths, *shape)
    torch.testing.assert_close(both_thread_counts(case.run).double(), case.expected(), atol=2e-5, rtol=1e-4)


def test_a_long_context_is_shared_and_merged(both_thread_counts):
    case = Case([20_000, 3], 4, 32, 16, 64, 32)
    torch.testing.assert_close(both_thread_counts(case.run).double(), case.expected(), atol=2e-5, rtol=1e-4)


@pytest.mark.parametrize("scale", [30.0, -30.0])
def test_sharp_scores_stay_finite(scale):
    case = Case([300, 41], 4, 32, 16, 64, 32)
    torch.testing.assert_close(case.run(scale=scale).double(), case.expected(scale=scale), atol=1e-3, rtol=1e-3)


def test_a_token_does_not_depend_on_its_batch_mates():
    case = Case([5, 600, 77, 300], 4, 32, 16, 64, 32)
    whole = case.run()
    for row in range(4):
        assert torch.equal(case.run(rows=slice(row, row + 1)), whole[row : row + 1])


def test_a_length_past_the_table_and_a_block_past_the_cache_are_refused():
    case = Case([20], 2, 8, 4, 16, 8)
    case.lengths[0] = 33
    with pytest.raises(RuntimeError, match=r"lengths: 33 is not in 1\.\.32"):
        case.run()
    case.lengths[0], case.tables[0, 1] = 20, 99
    with pytest.raises(RuntimeError, match="tables: block 99 is not below 5"):
        case.run()
