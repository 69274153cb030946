"""Products by squares: the identity is exact where the square is, and a learned square is one function used three times."""

import numpy as np
import torch
from conftest import signal
from torch import nn
from torch.testing import assert_close

from ntm.models.squares import Squares


class Exact(nn.Module):
    def forward(self, z):
        return z * z


def test_it_is_what_its_formula_says():
    torch.manual_seed(0)
    model = Squares(3, 4, 1, "tanh", 2).double()
    inputs = torch.randn(2, 5, 3, dtype=torch.float64)
    output = model(inputs, record=True)
    U, a, V, b, W, c, w, d = (p.detach().numpy() for p in model.parameters())

    def s(z):
        return sum(w[0][k] * np.tanh(W[k][0] * z + c[k]) for k in range(4)) + d[0]

    for row in range(2):
        for tick in range(5):
            x = inputs[row, tick].numpy()
            for o in range(2):
                u, v = U[o] @ x + a[o], V[o] @ x + b[o]
                assert_close(output.logits[row, tick, o].item(), float(s(u + v) - s(u) - s(v)) / 2)
                shown = [signal(output, "squares", name)[row, tick, o].item() for name in ("s(u + v)", "s(u)", "s(v)")]
                assert_close(shown, [float(s(u + v)), float(s(u)), float(s(v))])


def test_with_exact_squares_it_multiplies():
    torch.manual_seed(0)
    model = Squares(2, 4, 1, "relu", 1).double()
    model.square = nn.Sequential(Exact())
    model.left.weight.data, model.right.weight.data = torch.eye(2, dtype=torch.float64).split(1)
    model.left.bias.data.zero_(), model.right.bias.data.zero_()
    x = 100 * torch.randn(3, 4, 2, dtype=torch.float64)
    assert_close(model(x).logits, x.prod(-1, keepdim=True), atol=1e-9, rtol=1e-9)


def test_gradients_are_right():
    torch.manual_seed(0)
    model = Squares(2, 3, 2, "tanh", 1).double()
    inputs = torch.randn(1, 3, 2, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x: model(x).logits, (inputs,))
    model(inputs).logits.square().sum().backward()
    assert [name for name, p in model.named_parameters() if not p.grad.abs().sum() > 0] == []
