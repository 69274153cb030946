"""Read, erase and add against numpy loops, and the memory a sequence starts from."""

import references
import torch
from torch.testing import assert_close

from ntm.models.machine import memory

B, H, N, M = 2, 3, 6, 4


def drawn(*shape):
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(sum(shape)))


def test_read_equals_equation_2():
    slots, weights = drawn(B, N, M), drawn(B, H, N).softmax(-1)
    ours = memory.read(slots, weights)
    for b in range(B):
        for h in range(H):
            assert_close(ours[b, h].numpy(), references.read(weights[b, h].numpy(), slots[b].numpy()))


def test_erase_then_add_equals_equations_3_and_4():
    slots, weights = drawn(B, N, M), drawn(B, H, N).softmax(-1)
    erase, add = drawn(B, H, M).sigmoid(), drawn(B, H, M).tanh()
    ours = memory.add(memory.erase(slots, weights, erase), weights, add)
    for b in range(B):
        expected = references.write(slots[b].numpy(), weights[b].numpy(), erase[b].numpy(), add[b].numpy())
        assert_close(ours[b].numpy(), expected)


def test_gradients():
    inputs = [t.requires_grad_() for t in (drawn(B, N, M), drawn(B, H, N), drawn(B, H, M).sigmoid())]
    assert torch.autograd.gradcheck(memory.erase, inputs)
    assert torch.autograd.gradcheck(memory.add, inputs)
    assert torch.autograd.gradcheck(memory.read, inputs[:2])


def test_random_memory_is_the_same_every_time_and_grows_by_whole_slots():
    few, many = memory.random_memory(5, M), memory.random_memory(50, M)
    assert torch.equal(few, many[:5])
    assert many.abs().max() < 1
    assert 0.3 < float(many.std()) < 0.6
