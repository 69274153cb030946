"""Addressing against numpy loops, gradients in float64, and properties that hold for every weighting."""

import numpy as np
import pytest
import references
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.testing import assert_close

from ntm.models.machine import addressing
from ntm.models.machine.addressing import NORM_EPSILON

B, H, N, M = 2, 3, 7, 4


@pytest.fixture
def random():
    return torch.Generator().manual_seed(0)


def double(random, *shape):
    return torch.randn(*shape, dtype=torch.float64, generator=random)


def weighting(random, *shape):
    return torch.softmax(double(random, *shape), dim=-1)


def test_content_equals_equations_5_and_6(random):
    key, memory = double(random, B, H, M), double(random, B, N, M)
    strength = double(random, B, H).exp()
    ours = addressing.content(key, strength, memory)
    for b in range(B):
        for h in range(H):
            expected = references.content(key[b, h].numpy(), float(strength[b, h]), memory[b].numpy(), NORM_EPSILON)
            assert_close(ours[b, h].numpy(), expected)


def test_content_is_one_hot_on_the_slot_that_equals_the_key(random):
    memory = double(random, 1, N, M)
    weights = addressing.content(memory[:, 2:3], torch.full((1, 1), 200.0, dtype=torch.float64), memory)
    assert weights[0, 0].argmax() == 2
    assert weights[0, 0, 2] > 0.99


def test_interpolate_equals_equation_7(random):
    candidate, previous, gate = weighting(random, B, H, N), weighting(random, B, H, N), torch.rand(B, H, dtype=torch.float64)
    ours = addressing.interpolate(candidate, previous, gate)
    for b in range(B):
        for h in range(H):
            expected = references.interpolate(candidate[b, h].numpy(), previous[b, h].numpy(), float(gate[b, h]))
            assert_close(ours[b, h].numpy(), expected)


@pytest.mark.parametrize("width", [1, 3, 5, 9])
def test_shift_equals_equation_8(random, width):
    weights, kernel = weighting(random, B, H, N), weighting(random, B, H, width)
    ours = addressing.shift(weights, kernel)
    for b in range(B):
        for h in range(H):
            moves = {move: float(kernel[b, h, i]) for i, move in enumerate(range(-(width // 2), width // 2 + 1))}
            assert_close(ours[b, h].numpy(), references.shift(weights[b, h].numpy(), moves))


def test_a_move_of_plus_one_goes_to_the_next_slot_and_wraps():
    weights = torch.eye(4).unsqueeze(0)
    moved = addressing.shift(weights, torch.tensor([0.0, 0.0, 1.0]).expand(1, 4, 3))
    assert moved.argmax(-1).tolist() == [[1, 2, 3, 0]]


def test_sharpen_equals_equation_9(random):
    weights, sharpening = weighting(random, B, H, N), 1 + double(random, B, H).exp()
    ours = addressing.sharpen(weights, sharpening)
    for b in range(B):
        for h in range(H):
            assert_close(ours[b, h].numpy(), references.sharpen(weights[b, h].numpy(), float(sharpening[b, h])))


def test_gradients_of_every_function(random):
    def leaf(tensor):
        return tensor.clone().requires_grad_()

    key, memory, gate = leaf(double(random, B, H, M)), leaf(double(random, B, N, M)), leaf(torch.rand(B, H, dtype=torch.float64))
    weights, other, kernel = leaf(weighting(random, B, H, N)), leaf(weighting(random, B, H, N)), leaf(weighting(random, B, H, 5))
    strength, sharpening = leaf(double(random, B, H).exp()), leaf(1 + double(random, B, H).exp())
    check = torch.autograd.gradcheck
    assert check(addressing.cosine_similarity, (key, memory))
    assert check(addressing.content, (key, strength, memory))
    assert check(addressing.interpolate, (weights, other, gate))
    assert check(addressing.shift, (weights, kernel))
    assert check(addressing.sharpen, (weights, sharpening))


logits = st.lists(st.floats(-30, 30), min_size=5, max_size=12)


@given(logits, st.floats(1, 21))
def test_sharpening_keeps_a_weighting_and_its_largest_slot(values, sharpening):
    weights = torch.softmax(torch.tensor([[values]], dtype=torch.float64), dim=-1)
    sharp = addressing.sharpen(weights, torch.tensor([[sharpening]], dtype=torch.float64))
    assert sharp.min() >= 0
    assert abs(float(sharp.sum()) - 1) < 1e-9
    assert float(sharp.max()) >= float(weights.max()) - 1e-9


@given(logits, st.integers(0, 11))
def test_shift_commutes_with_rolling_the_slots(values, by):
    weights = torch.softmax(torch.tensor([[values]], dtype=torch.float64), dim=-1)
    kernel = torch.tensor([[[0.2, 0.3, 0.5]]], dtype=torch.float64)
    rolled = addressing.shift(weights.roll(by, -1), kernel)
    assert_close(rolled, addressing.shift(weights, kernel).roll(by, -1))
    assert abs(float(rolled.sum()) - 1) < 1e-9


def test_sharpening_of_one_changes_nothing(random):
    weights = weighting(random, B, H, N)
    assert_close(addressing.sharpen(weights, torch.ones(B, H, dtype=torch.float64)), weights)


def test_empty_slots_weigh_nothing_however_many_there_are():
    weights = torch.zeros(1, 1, 65_536)
    weights[0, 0, 5] = 1
    sharp = addressing.sharpen(weights, torch.ones(1, 1))
    assert float(sharp[0, 0, 5]) > 1 - 1e-6
    assert np.isclose(float(sharp.sum()), 1, atol=1e-5)
