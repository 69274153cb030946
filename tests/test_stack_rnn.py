"""The stack-augmented RNN against slow loops of its equations, and what a stack does that is told when to push and to pop."""

import references
import torch
from torch.testing import assert_close

from ntm.models.recurrent import Recurrent
from ntm.models.stack_rnn import StackRNN, StackState


def randn(*shape):
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(1))


def model_of(*sizes):
    torch.manual_seed(0)
    return Recurrent(StackRNN(*sizes), 2).double()


def test_it_is_equations_3_to_6():
    model, inputs = model_of(3, 5, 4, 2), randn(2, 9, 3)
    output = model(inputs, record=True)
    actions, stack = (signal.values for signal in output.signals)
    weights = [p.detach().numpy() for p in model.cell.parameters()]
    W, b = (p.detach().numpy() for p in model.output.parameters())
    for row in range(2):
        hidden, acted, stacked = references.stack_rnn(inputs[row].numpy(), 4, *weights)
        assert_close(output.logits[row].detach().numpy(), hidden @ W.T + b)
        assert_close(actions[row].detach().numpy(), acted)
        assert_close(stack[row].detach().numpy(), stacked)


def test_told_to_push_then_to_keep_then_to_pop_it_is_a_stack():
    model = model_of(4, 3, 3, 2)
    cell = model.cell
    cell.see.weight.data.zero_()
    cell.see.weight.data[:, 1:4] = 30 * torch.eye(3)  # inputs 1 to 3 say: push, pop, keep
    cell.see.bias.data.zero_()
    cell.act.weight.data, cell.act.bias.data = 90 * torch.eye(3).double(), torch.zeros(3).double()
    state, held = cell.initial_state(1), []
    for action in (0, 0, 0, 2, 1, 1, 1):
        cell.value.bias.data.fill_(len(held))  # what would be pushed now
        pushed = cell.value(torch.tensor([[1.0, 0, 0]]).double()).sigmoid()
        state = cell(torch.eye(4).double()[[action + 1]], state).state
        held = {0: [pushed, *held], 1: held[1:], 2: held}[action]
        expected = [*held, *(3 - len(held)) * [torch.zeros(1, 2).double()]]
        assert_close(state.stack, torch.stack(expected, dim=1))


def test_room_is_cells_and_without_any_the_depth_it_was_built_with():
    cell = StackRNN(3, 5, 4, 2)
    assert cell.initial_state(6).stack.shape == (6, 4, 2)
    assert cell.initial_state(6, 9).stack.shape == (6, 9, 2)


def test_gradients_are_right_and_reach_every_parameter():
    model, inputs = model_of(2, 3, 3, 2), randn(1, 5, 2).requires_grad_()
    start = StackState(randn(1, 3).requires_grad_(), randn(1, 3, 2).requires_grad_())
    assert torch.autograd.gradcheck(lambda x, *state: model(x, state=StackState(*state)).logits, (inputs, *start))
    model(inputs).logits.square().sum().backward()
    assert [name for name, p in model.named_parameters() if not p.grad.abs().sum() > 0] == []
