"""Routing of a pass into its slots, against numpy."""

import numpy as np
import pytest
import torch

from inference import native

pytestmark = pytest.mark.usefixtures("kernels")


def routing(layers: int, rows: int, chosen: int, experts: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(layers + rows)
    ids = torch.randint(0, experts, (layers, rows, chosen), generator=generator)
    return torch.randperm(40, generator=generator)[:rows], ids, torch.rand(ids.shape, generator=generator) * 3


@pytest.mark.parametrize(("kind", "experts"), [(np.uint8, 256), (np.uint16, 4096)])
@pytest.mark.parametrize(("layers", "rows", "chosen"), [(1, 1, 1), (3, 17, 2), (58, 4, 8)])
def test_it_writes_what_numpy_writes(kind, experts, layers, rows, chosen):
    slots, ids, weights = routing(layers, rows, chosen, experts)
    mine = np.zeros((40, layers, chosen), kind), np.zeros((40, layers, chosen), np.float16)
    theirs = mine[0].copy(), mine[1].copy()
    native.record(slots, ids, weights, *map(torch.from_numpy, mine))
    theirs[0][slots], theirs[1][slots] = ids.transpose(0, 1), weights.transpose(0, 1)
    assert all(map(np.array_equal, mine, theirs))


def test_a_slot_outside_is_refused():
    slots, ids, weights = routing(2, 3, 2, 16)
    pools = torch.zeros(4, 2, 2, dtype=torch.uint8), torch.zeros(4, 2, 2, dtype=torch.float16)
    with pytest.raises(RuntimeError, match="slots"):
        native.record(slots + 4, ids, weights, *pools)
