"""Packed products against torch in float64."""

import pytest
import torch

from inference import native

pytestmark = pytest.mark.usefixtures("kernels")


@pytest.mark.parametrize("rows", [1, 2, 3, 4, 5, 6, 7, 8, 13, 129, 300])
@pytest.mark.parametrize(("depth", "n"), [(192, 192), (1, 1), (7, 17), (300, 33), (64, 16), (515, 100)])
def test_a_product_is_torchs(rows, depth, n):
    x, w = torch.randn(rows, depth), torch.randn(n, depth)
    bias, residual = torch.randn(n), torch.randn(rows, n)
    packed = native.pack(w)
    plain = x.double() @ w.double().t()
    torch.testing.assert_close(native.linear(x, packed, n).double(), plain, atol=1e-4, rtol=1e-5)
    whole = native.linear(x, packed, n, bias, residual).double()
    torch.testing.assert_close(whole, plain + bias + residual, atol=1e-4, rtol=1e-5)


def test_no_rows_is_no_output():
    assert native.linear(torch.zeros(0, 8), native.pack(torch.randn(20, 8)), 20).shape == (0, 20)


def test_rows_may_be_a_strided_view():
    wide, w = torch.randn(9, 50), torch.randn(30, 20)
    out = native.linear(wide[:, 10:30], native.pack(w), 30)
    torch.testing.assert_close(out, wide[:, 10:30] @ w.t(), atol=1e-4, rtol=1e-5)


def test_a_row_does_not_depend_on_its_neighbours(both_thread_counts):
    x, packed = torch.randn(140, 600), native.pack(torch.randn(1030, 600))
    whole = both_thread_counts(lambda: native.linear(x, packed, 1030))
    for count in (1, 2, 3, 4, 7, 64):
        assert torch.equal(native.linear(x[:count], packed, 1030), whole[:count])
        assert torch.equal(native.linear(x[5 : 5 + count], packed, 1030), whole[5 : 5 + count])


@pytest.mark.parametrize(
    ("x", "n", "message"),
    [
        (torch.zeros(2, 8, dtype=torch.float64), 20, "x must be float32"),
        (torch.zeros(2, 9), 20, "packed: dimension 1 must be 9, got 8"),
        (torch.zeros(2, 8), 40, "packed: dimension 0 must be 3, got 2"),
        (torch.zeros(8), 20, "x must have 2 dimensions, got 1"),
        (torch.zeros(8, 2).t(), 20, "x: the last dimension must be contiguous"),
    ],
)
def test_a_wrong_argument_is_named(x, n, message):
    with pytest.raises(RuntimeError, match=message):
        native.linear(x, native.pack(torch.randn(20, 8)), n)
