"""Feed-forwards against torch in float64."""

# ruff: noqa: PLR0917  # parametrised in three directions

import pytest
import torch
from torch.nn import functional

from inference import native

pytestmark = pytest.mark.usefixtures("kernels")


def plain(x, w_in, w_out):
    gate, up = (x.double() @ w_in.double().t()).chunk(2, -1)
    return (functional.silu(gate) * up) @ w_out.double().t()


def layer(hidden, inter, count=1):
    w_in, w_out = torch.randn(count, 2 * inter, hidden) / hidden**0.5, torch.randn(count, hidden, inter) / inter**0.5
    return w_in, w_out, torch.stack([native.pack(w) for w in w_in]), torch.stack([native.pack(w) for w in w_out])


@pytest.mark.parametrize("rows", [1, 2, 5, 40])
@pytest.mark.parametrize(("hidden", "inter"), [(192, 96), (33, 20), (7, 3), (64, 129)])
def test_a_dense_feed_forward_is_torchs(rows, hidden, inter):
    w_in, w_out, packed_in, packed_out = layer(hidden, inter)
    x, residual = torch.randn(rows, hidden) * 3, torch.randn(rows, hidden)
    out = native.swiglu(x, packed_in[0], packed_out[0], inter, residual)
    torch.testing.assert_close(out.double(), plain(x, w_in[0], w_out[0]) + residual, atol=1e-4, rtol=1e-5)
    assert torch.equal(
        native.swiglu(x, packed_in[0], packed_out[0], inter, torch.zeros_like(x)),
        native.swiglu(x, packed_in[0], packed_out[0], inter),
    )


def test_a_large_gate_neither_overflows_nor_becomes_nan():
    w_in, w_out, packed_in, packed_out = layer(16, 8)
    x = torch.randn(3, 16) * 1e4
    out = native.swiglu(x, packed_in[0], packed_out[0], 8)
    torch.testing.assert_close(out.double(), plain(x, w_in[0], w_out[0]), atol=1e-2, rtol=1e-5)


def skewed(rows, chosen, count):
    """All rows choose expert 1 first; most experts stay empty."""
    ids = torch.zeros(rows, chosen, dtype=torch.int64)
    ids[:, 0] = 1
    for which in range(1, chosen):
        ids[:, which] = count - which
    return ids


def spread(rows, chosen, count):
    return torch.rand(rows, count).topk(chosen, -1).indices


@pytest.mark.parametrize("route", [skewed, spread])
@pytest.mark.parametrize(("rows", "chosen", "count"), [(1, 2, 16), (2, 1, 4), (9, 6, 40), (130, 2, 16), (70, 8, 8)])
@pytest.mark.parametrize(("hidden", "inter", "shared"), [(192, 96, 96), (33, 20, 0), (40, 17, 30)])
def test_routed_and_shared_experts_add_up(both_thread_counts, route, rows, chosen, count, hidden, inter, shared):
    w_in, w_out, packed_in, packed_out = layer(hidden, inter, count)
    x, base, ids, weights = (
        torch.randn(rows, hidden),
        torch.randn(rows, hidden),
        route(rows, chosen, count),
        torch.rand(rows, chosen),
    )
    expected, third = base.double(), None
    if shared:
        s_in, s_out, packed_s_in, packed_s_out = layer(hidden, shared)
        third = (packed_s_in[0], packed_s_out[0], shared)
        expected = expected + plain(x, s_in[0], s_out[0])
    for row in range(rows):
        for which in range(chosen):
            e = ids[row, which]
            expected[row] += weights[row, which].double() * plain(x[row : row + 1], w_in[e], w_out[e])[0]
    out = both_thread_counts(lambda: native.experts(x, ids, weights, packed_in, packed_out, inter, base, third))
    torch.testing.assert_close(out.double(), expected, atol=1e-4, rtol=1e-5)
    alone = native.experts(x[:1], ids[:1], weights[:1], packed_in, packed_out, inter, base[:1], third)
    assert torch.equal(alone, out[:1]), "a row depends on its neighbours"


def test_the_shared_expert_may_be_run_before():
    _, _, packed_in, packed_out = layer(24, 16, 4)
    x, base, ids, weights = torch.randn(5, 24), torch.randn(5, 24), spread(5, 2, 4), torch.rand(5, 2)
    third = (packed_in[3], packed_out[3], 16)
    apart = native.experts(x, ids, weights, packed_in, packed_out, 16, native.swiglu(x, *third, base))
    assert torch.equal(native.experts(x, ids, weights, packed_in, packed_out, 16, base, third), apart)


def test_an_expert_that_does_not_exist_is_refused():
    _, _, packed_in, packed_out = layer(16, 8, 4)
    with pytest.raises(RuntimeError, match="ids: 4 is not below 4"):
        native.experts(torch.randn(1, 16), torch.tensor([[4]]), torch.ones(1, 1), packed_in, packed_out, 8)
