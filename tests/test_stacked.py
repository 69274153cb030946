"""Models without a loop, many seeds at once: torch.func's vmap over forward, loss and gradients is each one alone."""

import copy

import pytest
import torch
from conftest import composed
from torch.func import functional_call, grad, stack_module_state, vmap
from torch.testing import assert_close

from ntm.config import build, parse

WORDS = [
    ["model=bilinear"],
    ["model=deep_sets"],
    ["model=dense"],
    ["model=dense", "model.products=true"],
    ["model=dense", "model.activation=prelu"],
    ["model=dense", "model.depth=0"],
    ["model=multiply_cell"],
    ["model=squares"],
    ["model=nac"],
    ["model=nac", "model.kind=nac_mul"],
    ["model=nalu"],
    ["model=nau"],
    ["model=nmu"],
]


@pytest.mark.parametrize("words", WORDS, ids=" ".join)
@pytest.mark.parametrize("shift", [0.0, 1.5], ids=["with zeros", "without"])
def test_many_at_once_are_each_one_alone(words, shift):
    models = []
    for seed in range(3):
        torch.manual_seed(seed)
        models.append(build(parse(composed("task=copy", *words))).double())
    parameters, _ = stack_module_state(models)
    empty = copy.deepcopy(models[0]).to("meta")
    inputs = torch.rand(3, 2, 4, 9, dtype=torch.float64) + shift
    inputs[:, 0, 0, :2] = shift  # two factors of a product that are 0, and elsewhere one

    def loss(values, x):
        return functional_call(empty, values, (x,)).logits.square().mean()

    gradients = vmap(grad(loss))(parameters, inputs)
    for number, model in enumerate(models):
        model(inputs[number]).logits.square().mean().backward()
        for name, parameter in model.named_parameters():
            assert_close(gradients[name][number], parameter.grad)
