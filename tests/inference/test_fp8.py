"""8-bit weights: the scale multiplies, block by block, to the ragged edge."""

import pytest
import torch

from inference.fp8 import Q_DTYPE, Fp8Weight, scale_shape
from tests.inference.folders import quantise


def by_hand(weight: Fp8Weight) -> torch.Tensor:
    """Number by number, as DeepSeek's README_WEIGHTS says it: w = q * s of its block."""
    out = torch.empty(weight.shape)
    for row in range(weight.shape[0]):
        for column in range(weight.shape[1]):
            out[row, column] = (
                weight.q[row, column].float() * weight.scale[row // weight.block[0], column // weight.block[1]]
            )
    return out


def random(shape, block, seed=0):
    draw = torch.Generator().manual_seed(seed)
    scale = torch.rand(scale_shape(shape, block), generator=draw) + 0.5
    return Fp8Weight((torch.randn(shape, generator=draw) * 40).to(Q_DTYPE), scale, block)


@pytest.mark.parametrize(
    ("shape", "block"), [((8, 12), (4, 4)), ((9, 13), (4, 4)), ((3, 2), (4, 4)), ((4, 9), (4, 2)), ((5, 4), (1, 4))]
)
def test_dense_is_the_definition(shape, block):
    weight = random(shape, block)
    assert (weight.dense(torch.float32) == by_hand(weight)).all()
    assert weight.dense(torch.bfloat16).dtype == torch.bfloat16
    assert (weight.dense(torch.bfloat16) == by_hand(weight).bfloat16()).all()


@pytest.mark.parametrize(
    ("shape", "grid"),
    [((576, 7168), (5, 56)), ((10944, 2048), (86, 16)), ((2048, 10944), (16, 86)), ((128, 128), (1, 1))],
)
def test_ragged_matrices_of_released_models_come_back(shape, grid):
    original = torch.randn(shape, generator=torch.Generator().manual_seed(1)) * 0.02
    weight = quantise(original, (128, 128))
    assert tuple(weight.scale.shape) == grid == scale_shape(shape, (128, 128))
    error = (weight.dense(torch.float32) - original).norm() / original.norm()
    assert 0.02 < error < 0.03  # 2.6 % for N(0, 0.02): three bits of mantissa


def test_every_code_is_the_number_that_torch_reads():
    q = torch.arange(256, dtype=torch.uint8).view(Q_DTYPE)[None]
    numbers = ~q.float().isnan()
    assert numbers.sum() == 254
    one = Fp8Weight(q, torch.ones(1, 2)).dense(torch.float32)
    assert torch.equal(one[numbers], q.float()[numbers])
    assert torch.equal(one[numbers].signbit(), q.float()[numbers].signbit())  # -0.0 too


def test_dividing_by_the_scale_is_caught():
    original = torch.randn(130, 140) * 0.02
    weight = quantise(original, (128, 128))
    divided = Fp8Weight(weight.q, 1 / weight.scale).dense(torch.float32)
    near = [(made - original).norm() / original.norm() for made in (weight.dense(torch.float32), divided)]
    assert near[0] < 0.03
    assert near[1] > 1


def test_reading_changes_neither_numbers_nor_scales():
    weight = random((9, 13), (4, 4))
    q, scale = weight.q.clone(), weight.scale.clone()
    weight.dense(torch.float32)
    assert torch.equal(weight.q.view(torch.uint8), q.view(torch.uint8))
    assert torch.equal(weight.scale, scale)


def test_a_scale_that_does_not_cover_the_matrix_is_refused():
    with pytest.raises(ValueError, match=r"\[4, 56\] does not cover \[576, 7168\]"):
        Fp8Weight(torch.zeros(576, 7168).to(Q_DTYPE), torch.ones(4, 56))
