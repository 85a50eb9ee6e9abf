"""The routing bias evens a skewed load, and the measure of it is right."""

import torch

from workers.trainers.balance import loads, max_violation, update_bias
from workers.trainers.layers import Gate
from workers.trainers.shape import Shape


def test_loads_count_every_assignment():
    assert loads(torch.tensor([[0, 2], [2, 3]]), 4).tolist() == [1, 0, 2, 1]


def test_one_step_moves_against_the_load():
    bias = torch.zeros(3)
    update_bias(bias, torch.tensor([6, 3, 0]), 0.5)
    assert bias.tolist() == [-0.5, 0.0, 0.5]


def test_max_violation():
    assert max_violation(torch.tensor([2, 2, 2])) == 0.0
    assert max_violation(torch.tensor([6, 0, 0])) == 2.0
    assert max_violation(torch.tensor([0, 0])) == 0.0


def test_the_bias_evens_a_skewed_gate():
    torch.manual_seed(0)
    shape = Shape(hidden_size=32)
    gate = Gate(shape)
    torch.nn.init.normal_(gate.weight, std=0.2)
    x = torch.randn(4096, 32) + 0.6  # a common offset: some experts win everywhere
    before = max_violation(loads(gate(x)[0], 16))
    for _ in range(600):
        update_bias(gate.e_score_correction_bias, loads(gate(x)[0], 16), 0.005)
    after = max_violation(loads(gate(x)[0], 16))
    assert before > 1.0
    assert after < 0.15


def test_the_bias_chooses_and_never_weighs():
    torch.manual_seed(1)
    gate = Gate(Shape(hidden_size=32, n_group=1, topk_group=1, num_experts_per_tok=16))
    torch.nn.init.normal_(gate.weight)
    x = torch.randn(8, 32)
    dense = lambda: torch.zeros(8, 16).scatter(1, *gate(x))  # noqa: E731
    plain = dense()
    gate.e_score_correction_bias += torch.randn(16)
    assert torch.allclose(dense(), plain)
