"""NAC and NALU against the paper's equations as loops, how their weights are first drawn, and how they are read."""

import numpy as np
import pytest
import torch
from conftest import composed
from references import sigmoid
from torch.testing import assert_close

from ntm.config import build, parse
from ntm.models.arithmetic import Stack
from ntm.models.nalu import EPSILON, UNITS, Adding, Gated, Multiplying, radius


def slow(unit, x):
    """Equations 1 to 3 of Madsen & Johansen 2020, one weight at a time: outputs and gates, 1 where a unit only adds."""
    W_hat, M_hat, *G = (p.detach().numpy() for p in unit.parameters())
    y, gates = [], []
    for o in range(len(W_hat)):
        W = [np.tanh(W_hat[o][i]) * sigmoid(M_hat[o][i]) for i in range(len(x))]
        a = sum(W[i] * x[i] for i in range(len(x)))
        m = np.prod([(abs(x[i]) + EPSILON) ** W[i] for i in range(len(x))])
        g = sigmoid(sum(G[0][o][i] * x[i] for i in range(len(x)))) if G else float(type(unit) is Adding)
        y.append(g * a + (1 - g) * m)
        gates.append(g)
    return np.array(y), np.array(gates)


def made(*words):
    torch.manual_seed(0)
    return build(parse(composed("task=copy", *words))).double()


@pytest.mark.parametrize("kind", UNITS)
def test_it_is_what_its_equations_say(kind):
    model = made("model=nalu", f"model.kind={kind}", "model.width=3", "model.layers=3")
    inputs = torch.randn(2, 4, 9, dtype=torch.float64)
    inputs[0, 0, 0] = 0
    output = model(inputs, record=True)
    layers, gates = ([s.values for s in output.signals if s.picture == picture] for picture in ("layers", "gates"))
    assert (len(layers), len(gates)) == (3, 3 if kind == "nalu" else 0)
    for row in range(2):
        for tick in range(4):
            x = inputs[row, tick].numpy()
            for number, layer in enumerate(model.layers):
                x, gate = slow(layer, x)
                assert_close(layers[number][row, tick].detach().numpy(), x)
                if gates:
                    assert_close(gates[number][row, tick].detach().numpy(), gate)
            assert_close(output.logits[row, tick].detach().numpy(), x)


@pytest.mark.parametrize("kind", UNITS)
def test_gradients_are_right(kind):
    model = made("model=nalu", f"model.kind={kind}")
    inputs = 1 + torch.rand(1, 2, 9, dtype=torch.float64).requires_grad_()
    assert torch.autograd.gradcheck(lambda x: model(x).logits, (inputs,))
    model(inputs).logits.square().sum().backward()
    assert [name for name, p in model.named_parameters() if not p.grad.abs().sum() > 0] == []


def test_the_layers_are_those_of_madsen_and_johansen():
    for kind, units in {"nac_add": [Adding, Adding], "nac_mul": [Adding, Multiplying], "nalu": [Gated, Gated]}.items():
        model = made("model=nalu", f"model.kind={kind}")
        assert [type(layer) for layer in model.layers] == units
        assert [layer.weight.shape for layer in model.layers] == [(2, 9), (8, 2)]


@pytest.mark.parametrize(("inputs", "outputs"), [(100, 2), (9, 8), (40, 40), (4, 2)])
def test_fresh_weights_have_the_variance_of_glorot(inputs, outputs):
    r = radius(inputs, outputs)
    random = np.random.default_rng(0)
    w, m = random.uniform(-r, r, (2, 1_000_000))
    assert np.var(np.tanh(w) * sigmoid(m)) == pytest.approx(2 / (inputs + outputs), rel=0.01)
    torch.manual_seed(0)
    unit = Gated(inputs, outputs)
    for parameter in (unit.what, unit.much):
        assert parameter.abs().max() <= r
        assert parameter.abs().max() > 0.5 * r
    assert unit.gating.abs().max() <= (6 / (inputs + outputs)) ** 0.5


def test_where_no_bounds_have_that_variance_they_are_those_of_five():
    assert radius(1, 1) == radius(2, 1) == radius(3, 2) < 10


def exact(unit, weight):
    """The unit with weights as close to -1, 0 and 1 as float32 has them."""
    weight = torch.tensor(weight)
    unit.what.data, unit.much.data = 20 * weight, torch.full_like(weight, 20.0)
    return unit


def test_what_it_has_learned_is_a_formula():
    add, ratio = [[1.0, 1, 0], [-1, 0, 1]], [[1.0, -1]]
    assert Stack([exact(Adding(3, 2), add)]).told() == "x1 + x2, -x1 + x3"
    assert Stack([exact(Adding(3, 2), add), exact(Multiplying(2, 1), ratio)]).told() == "|x1 + x2| / |-x1 + x3|"
    assert Stack([exact(Adding(2, 2), [[0.0, 0], [1, -1]])]).told() == "0, x1 - x2"
    assert Stack([exact(Multiplying(2, 2), [[0.0, 0], [0, -1]])]).told() == "1, 1 / |x2|"
    gated = exact(Gated(2, 1), [[1.0, 1]])
    gated.gating.data = torch.tensor([[-1.0, -1]])
    assert Stack([gated]).told() == "0.12 of (x1 + x2) and 0.88 of (|x1| * |x2|)"


def test_what_is_no_formula_is_told_as_a_distance():
    unit = exact(Adding(2, 1), [[1.0, 0]])
    unit.what.data[0, 1] = 0.3095196
    assert Stack([unit]).told() == "its weights are up to 0.300 away from whole numbers"
