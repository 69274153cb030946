"""NAU and NMU against the paper's equations as loops; their bounds, their penalty, and what they tell."""

import numpy as np
import pytest
import torch
from conftest import composed
from torch.testing import assert_close

from ntm.config import build, parse
from ntm.models.nmu import NMU, Adding, Multiplying
from ntm.training.optimizers import keep_within


def slow(unit, x):
    """The definitions of NAU and NMU in section 2 of Madsen & Johansen 2020, one weight at a time."""
    W = unit.weight.detach().numpy()
    if isinstance(unit, Adding):
        return np.array([sum(W[o][i] * x[i] for i in range(len(x))) for o in range(len(W))])
    return np.array([np.prod([W[o][i] * x[i] + 1 - W[o][i] for i in range(len(x))]) for o in range(len(W))])


def made(*words):
    torch.manual_seed(0)
    return build(parse(composed("task=copy", *words))).double()


@pytest.mark.parametrize("kind", ["nau", "nmu"])
def test_it_is_what_its_equations_say(kind):
    model = made(f"model={kind}", "model.width=3", "model.layers=3")
    last = Adding if kind == "nau" else Multiplying
    assert [type(layer) for layer in model.layers] == [Adding, Adding, last]
    inputs = torch.randn(2, 4, 9, dtype=torch.float64)
    output = model(inputs, record=True)
    for row in range(2):
        for tick in range(4):
            x = inputs[row, tick].numpy()
            for layer, shown in zip(model.layers, output.signals):
                x = slow(layer, x)
                assert_close(shown.values[row, tick].detach().numpy(), x)
            assert_close(output.logits[row, tick].detach().numpy(), x)


@pytest.mark.parametrize("kind", ["nau", "nmu"])
def test_gradients_are_right_also_where_factors_are_0(kind):
    model = made(f"model={kind}", "model.layers=1")
    inputs = torch.randn(1, 3, 9, dtype=torch.float64)
    if kind == "nmu":
        weight = model.layers[0].weight.data
        inputs[0, 1, :1], inputs[0, 2, :2] = 1 - 1 / weight[0, :1], 1 - 1 / weight[0, :2]
        assert model(inputs).logits[0, 1:, 0].abs().max() < 1e-12
    assert torch.autograd.gradcheck(lambda x: model(x).logits, (inputs.requires_grad_(),))
    assert torch.autograd.gradcheck(
        lambda w: torch.func.functional_call(model, {"layers.0.weight": w}, inputs).logits, (model.layers[0].weight,)
    )


@pytest.mark.parametrize("inputs", [4, 9, 100])
def test_fresh_weights_are_drawn_as_in_the_paper(inputs):
    torch.manual_seed(0)
    for unit, (low, high) in {
        Adding: (-min(0.5, (6 / (inputs + 50)) ** 0.5), min(0.5, (6 / (inputs + 50)) ** 0.5)),
        Multiplying: (0.25, 0.75),
    }.items():
        weight = unit(inputs, 50).weight
        assert low <= weight.min() < low + 0.1 * (high - low)
        assert high >= weight.max() > high - 0.1 * (high - low)


def test_weights_are_held_in_bounds():
    model = made("model=nmu")
    with torch.no_grad():
        for layer in model.layers:
            layer.weight += 3 * torch.randn_like(layer.weight)
        keep_within(dict(model.named_parameters()), model.bounds())
    assert model.bounds() == {"layers.0.weight": (-1.0, 1.0), "layers.1.weight": (0.0, 1.0)}
    assert [(layer.weight.min().item(), layer.weight.max().item()) for layer in model.layers] == [(-1, 1), (0, 1)]


def test_the_penalty_is_the_sum_of_the_layers_means():
    model = made("model=nmu")
    task = parse(composed("task=copy")).task
    batch = task.batch(0, "train", 0, 2, (2, 2))
    batch = batch._replace(inputs=batch.inputs.double(), targets=batch.targets.double())
    expected = 0.0
    for layer in model.layers:
        weights = layer.weight.detach().numpy().ravel()
        expected += sum(min(abs(w), 1 - abs(w)) for w in weights) / len(weights)
    plain, focused = model.learn(task, batch, "bits"), model.learn(task, batch, "bits", focus=10.0)
    assert plain.blur is None
    assert focused.blur.item() == pytest.approx(expected)
    assert (focused.loss - plain.loss).item() == pytest.approx(10 * expected)


def stack(add, multiply):
    """A layer of sums and one of products, with these weights."""
    model = NMU([Adding(len(add[0]), len(add)), Multiplying(len(add), len(multiply))])
    for layer, weight in zip(model.layers, (add, multiply)):
        layer.weight.data = torch.tensor(weight)
    return model


def test_what_it_has_learned_is_a_formula():
    assert stack([[1.0, 1, 0, 0], [1, 1, 1, 1]], [[1.0, 0.995]]).told() == "(x1 + x2) * (x1 + x2 + x3 + x4)"
    assert stack([[1.0, 0, 0], [-1, 0, 1]], [[1.0, 1], [1, 0], [0, 0]]).told() == "x1 * (-x1 + x3), x1, 1"
    assert stack([[1.0, 0.7]], [[1.0]]).told() == "its weights are up to 0.300 away from whole numbers"


def test_it_learns_which_numbers_to_multiply_and_is_then_exact():
    torch.manual_seed(0)
    model = NMU([Multiplying(4, 1)])
    optimizer = torch.optim.Adam(model.parameters(), 0.02)
    for step in range(600):
        x = 1 + torch.rand(64, 1, 4)
        loss = (model(x).logits - x[..., [0]] * x[..., [2]]).square().mean() + (step / 600) * model.blur()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        with torch.no_grad():
            keep_within(dict(model.named_parameters()), model.bounds())
    assert model.told() == "x1 * x3"
    far = torch.tensor([[[-300.0, 7, 5000, -0.1]]])
    assert model(far).logits.item() == pytest.approx(-1.5e6, rel=1e-2)
