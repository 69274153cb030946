"""The cell that has the product ready: its formula, what its gate is worth, and what it tells."""

import numpy as np
import pytest
import torch
from conftest import signal
from torch.testing import assert_close

from ntm.models.multiply_cell import MultiplyCell


@pytest.mark.parametrize("inputs", [1, 2, 5])
def test_it_is_what_its_formula_says(inputs):
    torch.manual_seed(0)
    model = MultiplyCell(inputs, 0.5, 2).double()
    model.choice.data = torch.tensor([1.0, -0.5], dtype=torch.float64)
    x = torch.randn(2, 3, inputs, dtype=torch.float64)
    output = model(x, record=True)
    W, b = (p.detach().numpy() for p in model.linear.parameters())
    g = np.exp([1.0, -0.5]) / np.exp([1.0, -0.5]).sum()
    for row in range(2):
        for tick in range(3):
            seen = 0.5 * x[row, tick].numpy()
            product = seen[0] ** 2 if inputs == 1 else np.prod(seen)
            assert_close(output.logits[row, tick].detach().numpy(), g[0] * product + g[1] * (W @ seen + b))
            assert_close(signal(output, "gate")[row, tick].detach().numpy(), g)


def test_gradients_are_right_where_factors_are_0():
    torch.manual_seed(0)
    model = MultiplyCell(3, 1.0, 1).double()
    x = torch.tensor([[[1.0, 2, 3], [0, 2, 3], [0, 0, 3]]], dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x: model(x).logits, (x,))


def test_undecided_it_learns_which_part_is_asked_for_and_says_so():
    torch.manual_seed(0)
    model = MultiplyCell(1, 1.0, 1)
    assert model.told() == "its gate is 0.500 product, 0.500 linear"
    optimizer = torch.optim.SGD(model.parameters(), 0.01)
    for _ in range(20):
        x = torch.randint(255, (32, 1, 1)).float()
        loss = (model(x).logits - x * x).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert model.told() == "its gate is 1.000 product, 0.000 linear"
    assert loss == 0
