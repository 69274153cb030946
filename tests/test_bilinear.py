"""Products of two linear maps: the formula, and multiplication learned once and for all numbers."""

import torch
from conftest import signal
from torch.testing import assert_close

from ntm.models.bilinear import Bilinear


def test_it_is_what_its_formula_says():
    torch.manual_seed(0)
    model = Bilinear(3, 4, 2).double()
    inputs = torch.randn(2, 5, 3, dtype=torch.float64)
    output = model(inputs, record=True)
    A, a, B, b, W, c = (p.detach().numpy() for p in model.parameters())
    for row in range(2):
        for tick in range(5):
            x = inputs[row, tick].numpy()
            y = [(A[u] @ x + a[u]) * (B[u] @ x + b[u]) for u in range(4)]
            assert_close(signal(output, "products")[row, tick].tolist(), y)
            assert_close(output.logits[row, tick].tolist(), [float(W[o] @ y + c[o]) for o in range(2)])


def test_gradients_are_right():
    torch.manual_seed(0)
    model = Bilinear(2, 3, 1).double()
    assert torch.autograd.gradcheck(lambda x: model(x).logits, (torch.randn(1, 3, 2, dtype=torch.float64, requires_grad=True),))


def test_it_learns_to_multiply_and_is_right_far_outside_of_what_it_saw():
    torch.manual_seed(0)
    model = Bilinear(2, 4, 1).double()
    optimizer = torch.optim.Adam(model.parameters(), 0.03)
    for _ in range(1000):
        x = torch.rand(64, 1, 2, dtype=torch.float64) * 2 - 1
        loss = (model(x).logits - x.prod(-1, keepdim=True)).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert loss < 1e-10
    far = torch.tensor([[[1e3, -1e3]]], dtype=torch.float64)
    assert abs(model(far).logits.item() / -1e6 - 1) < 1e-3
