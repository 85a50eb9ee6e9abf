"""The kernels, built once; a machine with a compiler must be able to build them."""

import pytest
import torch

from inference import native


@pytest.fixture(scope="session")
def kernels():
    assert native.available(), "the native kernels did not build; the log says why"


@pytest.fixture(autouse=True)
def seed():
    torch.manual_seed(7)


@pytest.fixture
def both_thread_counts():
    """Call it with one thread and with two; the results must be equal by the bit."""
    before = torch.get_num_threads()

    def run(call):
        torch.set_num_threads(1)
        one = call()
        torch.set_num_threads(2)
        two = call()
        assert torch.equal(torch.as_tensor(one), torch.as_tensor(two))
        return one

    yield run
    torch.set_num_threads(before)
