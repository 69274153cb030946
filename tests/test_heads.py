"""A whole tick of each kind of head against the paper's loops, and controllers against torch's own layers."""

import numpy as np
import references
import torch
from torch import nn
from torch.testing import assert_close

from ntm.models.machine import LSTM, FeedForward, NTMHeads, TapeHeads
from ntm.models.machine.access import HeadsState
from ntm.models.machine.addressing import NORM_EPSILON

B, C, N, M = 2, 5, 6, 3


def numbers(tensor):
    return tensor.detach().numpy()


def moves(kernel):
    return {move: float(weight) for move, weight in zip(range(-(len(kernel) // 2), len(kernel) // 2 + 1), kernel)}


def test_one_tick_of_ntm_heads():
    torch.manual_seed(0)
    heads = NTMHeads(C, M, 3, read_heads=2, write_heads=2).double()
    hidden, slots = torch.randn(B, C).double(), torch.randn(B, N, M).double()
    weights = torch.randn(B, 4, N).double().softmax(-1)
    after_tick, asked = heads(hidden, torch.zeros(B, 1), HeadsState(slots, weights, weights))
    p = type(asked)(*(part if part is None else part.detach() for part in asked))
    for b in range(B):
        after = []
        for h in range(4):
            w = references.content(numbers(p.key[b, h]), float(p.strength[b, h]), numbers(slots[b]), NORM_EPSILON)
            w = references.interpolate(w, numbers(weights[b, h]), float(p.gate[b, h]))
            w = references.shift(w, moves(numbers(p.shift[b, h])))
            after.append(references.sharpen(w, float(p.sharpening[b, h])))
        assert_close(numbers(after_tick.weights[b]), np.array(after))
        written = references.write(numbers(slots[b]), after[2:], numbers(p.erase[b]), numbers(p.add[b]))
        assert_close(numbers(after_tick.memory[b]), written)
        assert_close(numbers(heads.read(after_tick)[b]), np.concatenate([references.read(w, written) for w in after[:2]]))


def test_one_tick_of_tape_heads():
    torch.manual_seed(0)
    heads = TapeHeads(C, M, 5, heads=2, window=(0, 1, -2)).double()
    hidden, slots = torch.randn(B, C).double(), torch.rand(B, N, M).double()
    weights, home = torch.randn(2, B, 2, N).double().softmax(-1)
    after_tick, asked = heads(hidden, torch.zeros(B, 1), HeadsState(slots, weights, home))
    p = type(asked)(*(part if part is None else part.detach() for part in asked))
    for b in range(B):
        written = references.write(numbers(slots[b]), numbers(weights[b]), numbers(p.erase[b]), numbers(p.add[b]))
        assert_close(numbers(after_tick.memory[b]), written)  # where the head stood, before it moves
        seen = []
        for h in range(2):
            w = references.interpolate(numbers(home[b, h]), numbers(weights[b, h]), float(p.gate[b, h]))
            w = references.sharpen(references.shift(w, moves(numbers(p.shift[b, h]))), float(p.sharpening[b, h]))
            assert_close(numbers(after_tick.weights[b, h]), w)
            for offset in (0, 1, -2):
                seen.append(sum(w[i] * written[(i + offset) % N] for i in range(N)))
        assert_close(numbers(heads.read(after_tick)[b]), np.concatenate(seen))


def test_a_tape_head_overwrites_and_stays_within_0_and_1():
    heads = TapeHeads(C, M, 3)
    slots, weights = torch.rand(4, N, M), torch.eye(N)[2].expand(4, 1, N)
    for _ in range(50):
        slots = heads(10 * torch.randn(4, C), torch.zeros(4, 1), HeadsState(slots, weights, weights)).state.memory
    assert slots.min() >= 0
    assert slots.max() <= 1


def test_where_fresh_heads_lean():
    torch.manual_seed(1)
    leaning = NTMHeads(C, M, 5, stay=2.0, advance=3.0).addressing.bias.view(2, -1)
    torch.manual_seed(1)
    plain = NTMHeads(C, M, 5).addressing.bias.view(2, -1)
    difference = (leaning - plain).detach()
    assert_close(difference[:, 0], torch.tensor([-2.0, -2.0]))
    assert_close(difference[:, -5:], torch.tensor([[0.0, 0, 3, 3, 0], [0.0, 0, 0, 3, 0]]))  # reader, writer
    assert not difference[:, 1:-5].any()


def test_a_head_that_cannot_move_has_nothing_to_lean_to():
    torch.manual_seed(1)
    still = TapeHeads(C, M, 1, stay=1.0, advance=3.0).addressing.bias
    torch.manual_seed(1)
    plain = TapeHeads(C, M, 1).addressing.bias
    assert_close((still - plain).detach(), torch.tensor([-1.0, 0.0, 0.0]))


def test_feed_forward_with_a_register():
    torch.manual_seed(0)
    controller = FeedForward(4, [6, 5], register=2)
    state = controller.initial_state(3)
    x = torch.randn(3, 4)
    hidden, state = controller(x, state)
    first, second = controller.layers[0], controller.layers[2]
    expected = torch.relu(second(torch.relu(first(torch.cat([x, torch.zeros(3, 2)], -1)))))
    assert_close(hidden, expected)
    assert_close(state.register, torch.sigmoid(controller.feedback(expected)))
    again, _ = controller(x, state)
    assert not torch.equal(again, hidden)


def test_feed_forward_without_a_register_has_no_memory():
    controller = FeedForward(4, [5])
    x = torch.randn(3, 4)
    hidden, state = controller(x, controller.initial_state(3))
    assert torch.equal(hidden, controller(x, state)[0])
    assert state.register.shape == (3, 0)


def test_lstm_equals_torchs():
    torch.manual_seed(0)
    ours, theirs = LSTM(4, [5, 5]), nn.LSTM(4, 5, num_layers=2, batch_first=True)
    for layer, cell in enumerate(ours.cells):
        for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh"):
            getattr(theirs, f"{name}_l{layer}").data.copy_(getattr(cell, name))
    x, state, out = torch.randn(3, 7, 4), ours.initial_state(3), []
    for tick in x.unbind(1):
        hidden, state = ours(tick, state)
        out.append(hidden)
    expected, (h, c) = theirs(x)
    assert_close(torch.stack(out, 1), expected)
    assert_close(state.hidden, h.transpose(0, 1))
    assert_close(state.cell, c.transpose(0, 1))
