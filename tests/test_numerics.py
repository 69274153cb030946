"""Every cause of NaN that users of such machines have reported: the naive formula fails in float32, ours does not."""

import math
from types import SimpleNamespace

import pytest
import torch
from torch.nn import functional as F

from ntm.models.machine import FeedForward, Machine, NTMHeads, addressing
from ntm.models.machine.access import CLIP, Start
from ntm.models.recurrent import Recurrent
from ntm.training.clipping import clip_gradients
from ntm.training.optimizers import GravesRMSprop
from tasks.losses import masked_bits


def finite(function, *inputs):
    """Whether a function's value and all its gradients are finite, in float32."""
    leaves = [torch.as_tensor(x, dtype=torch.float32).clone().requires_grad_() for x in inputs]
    value = function(*leaves)
    slope = torch.linspace(0.5, 1.5, value.numel()).reshape(value.shape)
    gradients = torch.autograd.grad((value * slope).sum(), leaves, allow_unused=True)
    return all(bool(torch.isfinite(x).all()) for x in (value, *gradients) if x is not None)


def naive_cosine(key, memory):
    return key @ memory.transpose(-1, -2) / (key.norm(dim=-1)[..., None] * memory.square().sum(-1).sqrt()[:, None] + 1e-8)


def naive_sharpen(weights, sharpening):
    powers = weights ** sharpening.unsqueeze(-1)
    return powers / powers.sum(-1, keepdim=True)


def log_sharpen(weights, sharpening):
    powers = torch.exp(sharpening.unsqueeze(-1) * weights.log())
    return powers / powers.sum(-1, keepdim=True)


@pytest.mark.parametrize("value", [0.0, 1e-6], ids=["zero", "constant 1e-6"])
def test_empty_memory_in_the_cosine(value):
    key, memory = torch.randn(1, 1, 20, generator=torch.Generator().manual_seed(0)), torch.full((1, 8, 20), value)
    if value == 0:
        assert not finite(naive_cosine, key, memory)
    assert finite(addressing.cosine_similarity, key, memory)
    memory.requires_grad_()
    (gradient,) = torch.autograd.grad(addressing.cosine_similarity(key, memory).sum(), memory)
    assert gradient.abs().max() < 1e4


def test_a_zero_key():
    key, memory = torch.zeros(1, 1, 20), torch.zeros(1, 8, 20)
    assert not finite(naive_cosine, key, memory)
    assert finite(addressing.cosine_similarity, key, memory)


def test_sharpening_that_underflows():
    weights, sharpening = torch.full((1, 1, 1000), 1e-3), [[20.0]]
    assert not finite(naive_sharpen, weights, sharpening)
    assert finite(addressing.sharpen, weights, sharpening)


def test_a_weight_that_rounding_made_negative():
    weights = [[[-1e-9, 0.5, 0.5]]]
    assert not finite(naive_sharpen, weights, [[1.5]])
    assert finite(addressing.sharpen, weights, [[1.5]])


def test_a_weight_of_exactly_zero():
    weights = [[[0.0, 0.5, 0.5]]]
    assert not finite(log_sharpen, weights, [[2.0]])
    assert finite(addressing.sharpen, weights, [[2.0]])


def test_an_fft_makes_negative_weights_and_the_direct_sum_does_not():
    weights, kernel = torch.zeros(1, 1, 64), torch.tensor([[[0.1, 0.2, 0.7]]])
    weights[..., 3] = 1
    padded = torch.zeros(1, 1, 64)
    padded[..., [63, 0, 1]] = kernel
    by_fft = torch.fft.irfft(torch.fft.rfft(weights) * torch.fft.rfft(padded), n=64)
    assert by_fft.min() < 0
    assert addressing.shift(weights, kernel).min() >= 0


def test_a_large_strength():
    similarity = torch.tensor([1.0, -1.0, 0.5])
    assert not finite(lambda s: (100 * s).exp() / (100 * s).exp().sum(), similarity)
    key = torch.ones(1, 1, 4)
    memory = torch.stack([torch.ones(4), -torch.ones(4), torch.tensor([1.0, 1, 1, -1])]).unsqueeze(0)
    assert finite(addressing.content, key, [[100.0]], memory)


def test_softplus_of_a_large_number():
    assert not finite(lambda x: torch.log(torch.exp(x) + 1), [100.0])
    assert finite(F.softplus, [100.0])


def test_an_epsilon_below_float32_is_no_epsilon():
    assert torch.tensor(1.0) + 1e-16 == 1.0
    assert torch.tensor(1.0) + addressing.NORM_EPSILON != 1.0
    assert math.isfinite(float(torch.tensor(addressing.WEIGHT_EPSILON).log()))


def test_a_saturated_output():
    target = torch.zeros(1, 1, 1)
    mask = torch.ones(1, 1)
    naive = torch.tensor([[[200.0]]], requires_grad=True)
    probability = torch.sigmoid(naive)
    assert not finite(lambda x: -(1 - torch.sigmoid(x)).log(), naive.detach())
    assert F.binary_cross_entropy(probability, target) == 100  # torch's clamp: the wrong value
    ours = masked_bits(naive, target, mask)
    (slope,) = torch.autograd.grad(ours, naive)
    assert float(ours.detach()) == pytest.approx(200 / math.log(2))
    assert float(slope) == pytest.approx(1 / math.log(2))


def test_rmsprop_when_rounding_makes_the_variance_negative():
    naive = torch.nn.Parameter(torch.zeros(1))
    ours = torch.nn.Parameter(torch.zeros(1))
    torchs = torch.optim.RMSprop([naive], lr=1e-4, alpha=0.95, centered=True, eps=0.0)
    graves = GravesRMSprop([ours], lr=1e-4)
    for step in range(2000):  # a gradient that never changes: its variance is zero but for rounding
        naive.grad = torch.full((1,), 0.1 + 1e-9 * step)
        ours.grad = naive.grad.clone()
        torchs.step()
        graves.step()
    assert not torch.isfinite(naive)
    assert torch.isfinite(ours)


def test_unbounded_controller_output_is_held():
    heads = NTMHeads(controller=4, slot_width=3, shift_width=3)
    wild = heads.parameters_of(torch.full((1, 4), 1e30))
    assert wild.strength is not None
    assert wild.sharpening.max() <= 1 + CLIP + 1e-4
    assert wild.strength.max() <= CLIP + 1e-4
    assert all(torch.isfinite(part).all() for part in wild)


def test_erase_is_within_0_and_1_and_memory_within_bounds():
    parameters = NTMHeads(controller=4, slot_width=3, shift_width=3).parameters_of(50 * torch.randn(64, 4))
    assert parameters.erase.min() >= 0
    assert parameters.erase.max() <= 1
    assert parameters.add.abs().max() <= 1


def test_head_weights_never_start_at_zero():
    machine = Machine(FeedForward(3 + 5, [8]), NTMHeads(8, 5, 3, start=Start(6)))
    assert torch.equal(machine.initial_state(2).access.weights.sum(-1), torch.ones(2, 2))


def test_clipping_a_gradient_that_is_not_a_number_leaves_it_alone():
    p = torch.nn.Parameter(torch.ones(3))
    p.grad = torch.tensor([1.0, math.nan, 2.0])
    torch.nn.utils.clip_grad_norm_([p], 1.0)
    assert torch.isnan(p.grad).all()  # torch's clipping spreads it
    p.grad = torch.tensor([1.0, math.nan, 2.0])
    found = clip_gradients([("weight", p)], torch.tensor(1.0), "norm", 1.0)
    assert found.offender == "gradient of weight"
    assert torch.equal(p.grad.isnan(), torch.tensor([False, True, False]))


@pytest.mark.parametrize("scale", [1e3, 1e15])
def test_a_machine_with_wild_weights_stays_finite_over_a_long_sequence(scale):
    torch.manual_seed(0)
    machine = Recurrent(Machine(FeedForward(3 + 5, [8]), NTMHeads(8, 5, 3, start=Start(6))), outputs=2)
    with torch.no_grad():
        for p in machine.cell.access.parameters():
            p.mul_(scale)
    logits = machine(torch.randn(2, 200, 3)).logits
    logits.sum().backward()
    assert torch.isfinite(logits).all()
    gradients = SimpleNamespace(**{name: p.grad for name, p in machine.named_parameters()})
    assert all(torch.isfinite(g).all() for g in vars(gradients).values())
