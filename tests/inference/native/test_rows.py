"""Norm, rotation and what is cached, against torch in float64."""

import pytest
import torch

from inference import native

pytestmark = pytest.mark.usefixtures("kernels")


def plain_norm(x, gain, eps):
    x = x.double()
    return x * (x.square().mean(-1, keepdim=True) + eps).rsqrt() * gain.double()


def plain_turn(x, turn):
    pairs = torch.view_as_complex(x.double().reshape(*x.shape[:-1], -1, 2).contiguous())
    return torch.view_as_real(pairs * turn.to(torch.complex128)).flatten(-2)


def turns(rows, pairs):
    return torch.polar(torch.ones(rows, pairs), torch.randn(rows, pairs) * 3)


@pytest.mark.parametrize(("rows", "width"), [(1, 192), (3, 1), (7, 35), (200, 512)])
def test_a_norm_is_torchs(both_thread_counts, rows, width):
    x, gain = torch.randn(rows, width + 5)[:, 3 : 3 + width] * 4, torch.randn(width)
    out = both_thread_counts(lambda: native.rms_norm(x, gain, 1e-6))
    torch.testing.assert_close(out.double(), plain_norm(x, gain, 1e-6), atol=1e-5, rtol=1e-5)


def test_a_row_of_zeros_stays_zero():
    assert torch.equal(native.rms_norm(torch.zeros(2, 9), torch.ones(9), 1e-6), torch.zeros(2, 9))


@pytest.mark.parametrize(("rank", "rope"), [(64, 16), (512, 64), (5, 2)])
def test_latents_go_where_their_slots_say(rank, rope):
    rows, eps = 6, 1e-6
    joined, gain, turn = torch.randn(rows, 11 + rank + rope)[:, 11:], torch.randn(rank), turns(rows, rope // 2)
    slots, pool = torch.tensor([3, 19, 0, 7, 8, 31]), torch.full((32, rank + rope), 5.0)
    native.latents(joined, gain, eps, turn, slots, pool)
    expected = torch.cat((plain_norm(joined[:, :rank], gain, eps), plain_turn(joined[:, rank:], turn)), -1)
    torch.testing.assert_close(pool[slots].double(), expected, atol=1e-5, rtol=1e-5)
    others = torch.ones(32, dtype=torch.bool).index_fill_(0, slots, False)
    assert (pool[others] == 5).all()


def test_a_slot_outside_of_the_cache_is_refused():
    with pytest.raises(RuntimeError, match="slots: 4 is not below 4"):
        native.latents(torch.zeros(1, 6), torch.ones(4), 1e-6, turns(1, 1), torch.tensor([4]), torch.zeros(4, 6))


def test_queries_turn_their_last_part():
    rows, heads, nope, rope = 5, 3, 7, 4
    q, turn = torch.randn(rows, 50)[:, : heads * (nope + rope)], turns(rows, rope // 2)
    out, heads_first = native.rotate_queries(q, heads, nope, turn), q.reshape(rows, heads, nope + rope)
    assert torch.equal(out[..., :nope], heads_first[..., :nope])
    torch.testing.assert_close(
        out[..., nope:].double(), plain_turn(heads_first[..., nope:], turn[:, None]), atol=1e-5, rtol=1e-5
    )
