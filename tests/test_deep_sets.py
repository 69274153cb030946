"""Deep sets against a loop; no order, any number of pieces, and sums learned short that are right long."""

import numpy as np
import torch
from conftest import signal
from torch.testing import assert_close

from ntm.models.deep_sets import DeepSets


def test_it_is_what_its_equation_says():
    torch.manual_seed(0)
    model = DeepSets(3, 5, 4, 2).double()
    inputs = torch.randn(2, 6, 3, dtype=torch.float64)
    output = model(inputs, record=True)
    E, W, b, R, c = (p.detach().numpy() for p in model.parameters())
    for row in range(2):
        total = np.zeros(4)
        for tick in range(6):
            total = total + np.tanh(W @ (E @ inputs[row, tick].numpy()) + b)
            assert_close(signal(output, "sum")[row, tick].detach().numpy(), total)
            assert_close(output.logits[row, tick].detach().numpy(), R @ total + c)
        assert_close(output.state[row].detach().numpy(), total)


def test_gradients_are_right():
    torch.manual_seed(0)
    model = DeepSets(2, 3, 4, 1).double()
    inputs = torch.randn(1, 4, 2, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x: model(x).logits, (inputs,))
    model(inputs).logits.square().sum().backward()
    assert [name for name, p in model.named_parameters() if not p.grad.abs().sum() > 0] == []


def test_the_order_changes_nothing_and_it_goes_on_in_pieces():
    torch.manual_seed(0)
    model = DeepSets(2, 3, 4, 1).double()
    inputs = torch.randn(2, 7, 2, dtype=torch.float64)
    last = model(inputs).logits[:, -1]
    assert_close(model(inputs[:, torch.randperm(7)]).logits[:, -1], last)
    first = model(inputs[:, :3])
    assert_close(model(inputs[:, 3:], state=first.state).logits[:, -1], last)


def test_sums_of_digits_are_learned_from_ten_and_right_for_a_hundred():
    torch.manual_seed(0)
    model, table = DeepSets(10, 100, 30, 1), torch.eye(10)
    optimizer = torch.optim.Adam(model.parameters(), 3e-3)
    for _ in range(600):
        digits = torch.randint(10, (64, 10))
        loss = (model(table[digits]).logits[..., 0] - digits.cumsum(1)).abs().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    digits = torch.randint(10, (64, 100))
    sums = model(table[digits]).logits[:, -1, 0]
    assert (sums - digits.sum(1)).abs().mean() < 0.01 * digits.sum(1).float().mean()
