"""Dense networks against slow loops: every activation by its formula, units that multiply, none at all."""

import math
from typing import get_args

import numpy as np
import pytest
import torch
from conftest import composed, signal
from torch.testing import assert_close

from ntm.config import build, parse
from ntm.errors import UserError
from ntm.models.dense import ACTIVATIONS, Activation, Dense

ALPHA, LAMBDA = 1.6732632423543772, 1.0507009873554805  # Klambauer et al. 2017 (arXiv 1706.02515), equation 14
FORMULAS = {
    "elu": lambda z: z if z > 0 else math.exp(z) - 1,
    "hard_shrink": lambda z: z if abs(z) > 0.5 else 0.0,
    "hard_tanh": lambda z: min(1.0, max(-1.0, z)),
    "identity": lambda z: z,
    "leaky_relu": lambda z: z if z > 0 else 0.01 * z,
    "prelu": lambda z: z if z > 0 else 0.25 * z,
    "relu": lambda z: max(0.0, z),
    "relu6": lambda z: min(6.0, max(0.0, z)),
    "selu": lambda z: LAMBDA * (z if z > 0 else ALPHA * (math.exp(z) - 1)),
    "sigmoid": lambda z: 1 / (1 + math.exp(-z)),
    "softplus": lambda z: math.log(1 + math.exp(z)),
    "softshrink": lambda z: z - 0.5 if z > 0.5 else z + 0.5 if z < -0.5 else 0.0,
    "softsign": lambda z: z / (1 + abs(z)),
    "tanh": math.tanh,
    "tanhshrink": lambda z: z - math.tanh(z),
}


def slow(model, x, activation, products):
    """What a tick [I] becomes, unit by unit: that of the last hidden layer, and the outputs."""
    for layer in model.layers:
        W, b = (p.detach().numpy() for p in layer.linear.parameters())
        z = [sum(W[o][i] * x[i] for i in range(len(x))) + b[o] for o in range(len(W))]
        plain = len(z) - 2 * products
        x = [FORMULAS[activation](value) for value in z[:plain]]
        x += [z[plain + unit] * z[plain + products + unit] for unit in range(products)]
    W, b = (p.detach().numpy() for p in model.output.parameters())
    return np.array(x), W @ np.array(x) + b


@pytest.mark.parametrize(("depth", "products"), [(0, 0), (1, 0), (2, 0), (2, 2)])
@pytest.mark.parametrize("activation", FORMULAS)
def test_it_is_what_its_formulas_say(activation, depth, products):
    torch.manual_seed(0)
    model = Dense(3, 5, depth, activation, products, 2).double()
    inputs = 5 * torch.randn(2, 4, 3, dtype=torch.float64)
    output = model(inputs, record=True)
    assert len(output.signals) == depth
    for row in range(2):
        for tick in range(4):
            hidden, logits = slow(model, inputs[row, tick].numpy(), activation, products)
            assert_close(output.logits[row, tick].detach().numpy(), logits)
            if depth:
                assert_close(output.signals[-1].values[row, tick].detach().numpy(), hidden)


def test_every_activation_has_a_name_and_a_formula():
    assert get_args(Activation) == tuple(ACTIVATIONS) == tuple(FORMULAS)


@pytest.mark.parametrize("products", [0, 2])
def test_gradients_are_right(products):
    torch.manual_seed(0)
    model = Dense(2, 4, 2, "tanh", products, 1).double()
    inputs = torch.randn(1, 3, 2, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x: model(x).logits, (inputs,))
    model(inputs).logits.square().sum().backward()
    assert [name for name, p in model.named_parameters() if not p.grad.abs().sum() > 0] == []


def test_half_of_the_units_are_products_and_a_single_one_has_no_half():
    model = build(parse(composed("task=copy", "model=dense", "model.width=5", "model.products=true")))
    assert [layer.sizes for layer in model.layers] == [[3, 2, 2], [3, 2, 2]]
    assert signal(model(torch.zeros(1, 2, 9), record=True), "hidden", "hidden layer 1").shape == (1, 2, 5)
    with pytest.raises(UserError, match=r"model.products=true: half of model.width=1 units is none; allowed: model.width=2"):
        build(parse(composed("task=copy", "model=dense", "model.width=1", "model.products=true")))


@pytest.mark.parametrize(
    "word", ["model.activation=bogus", "model.depth=-1", "model.depth=65", "model.width=0", "model.products=2", "model.layers=2"]
)
def test_what_it_has_not_is_refused(refused, word):
    assert word.partition("=")[0] in refused("train", "task=copy", "model=dense", word)


@pytest.mark.parametrize(("activation", "least", "most"), [("relu", 0, 1e-7), ("selu", 1e-4, 1e-2)])
def test_of_twenty_layers_of_relu_nothing_of_the_input_comes_out_and_of_selu_something(activation, least, most):
    config = parse(composed("task=parallel_mul", "model.depth=20", "model.width=32", f"model.activation={activation}"))
    torch.manual_seed(0)
    batch = config.task.batch(0, "train", 0, 512)
    assert least < build(config)(batch.inputs, batch.ticks).logits.std(0).mean() < most
