"""The machine as a pure function: continuing, independence of rows, recording, and the number of slots."""

import pytest
import torch
from torch.testing import assert_close

from ntm.controllers import LSTM, FeedForward
from ntm.heads import NTMHeads, TapeHeads
from ntm.machine import Machine

INPUTS, OUTPUTS, M = 4, 2, 5


def ntm(**options):
    heads = NTMHeads(16, M, 3, read_heads=2, write_heads=1)
    return Machine(FeedForward(INPUTS + heads.read_width, [12, 16]), heads, OUTPUTS, slots=32, **options)


def ntm_lstm(**options):
    heads = NTMHeads(16, M, 5, read_heads=1, write_heads=2)
    return Machine(LSTM(INPUTS + heads.read_width, [16, 16]), heads, OUTPUTS, slots=32, **options)


def tape(**options):
    heads = TapeHeads(16, M, 3, heads=2, window=(-1, 0, 1), control=(0, 1))
    return Machine(FeedForward(INPUTS + heads.read_width, [12, 16], register=3), heads, OUTPUTS, slots=32, **options)


def hidden_tape(**options):
    heads = TapeHeads(16, M, 3, heads=1)
    return Machine(FeedForward(INPUTS + heads.read_width, [16], register=2), heads, OUTPUTS, slots=32, **options)


MACHINES = {"ntm": ntm, "ntm_lstm": ntm_lstm, "tape": tape, "hidden_tape": hidden_tape}


@pytest.fixture(params=MACHINES, ids=list(MACHINES))
def build(request):
    torch.manual_seed(0)
    return MACHINES[request.param]


def flat(state):
    return [state.memory, state.weights, state.home, state.reads, *state.controller]


def test_forward_continues_from_its_state(build):
    machine, inputs = build(), torch.randn(3, 10, INPUTS)
    whole = machine(inputs)
    first = machine(inputs[:, :4])
    second = machine(inputs[:, 4:], state=first.state)
    assert torch.equal(whole.logits, torch.cat([first.logits, second.logits], dim=1))
    assert all(torch.equal(a, b) for a, b in zip(flat(whole.state), flat(second.state)))


def test_step_is_one_tick_of_forward_and_changes_nothing(build):
    machine, inputs = build(), torch.randn(3, 1, INPUTS)
    state = machine.initial_state(3)
    before = [part.clone() for part in flat(state)]
    logits, _ = machine.step(inputs[:, 0], state)
    assert torch.equal(logits, machine(inputs).logits[:, 0])
    assert all(torch.equal(a, b) for a, b in zip(before, flat(state)))


def test_rows_of_a_batch_are_independent(build):
    machine, inputs = build(), torch.randn(3, 9, INPUTS)
    other = inputs.clone()
    other[1:] = torch.randn(2, 9, INPUTS)
    assert_close(machine(inputs).logits[0], machine(other).logits[0])
    assert_close(machine(inputs).logits[:1], machine(inputs[:1]).logits)


def test_recording_changes_no_logit_and_keeps_every_tick(build):
    machine, inputs = build(), torch.randn(3, 6, INPUTS)
    plain, recorded = machine(inputs), machine(inputs, record=True)
    assert torch.equal(plain.logits, recorded.logits)
    assert plain.trace is None
    trace = recorded.trace
    heads, writers = machine.heads.heads, machine.heads.writers
    assert trace.memory.shape == (3, 6, 32, M)
    assert torch.equal(trace.memory[:, -1], recorded.state.memory)
    assert trace.write_weights.shape == (3, 6, writers, 32)
    assert_close(trace.read_weights.sum(-1), torch.ones(trace.read_weights.shape[:-1]))
    assert trace.gate.shape == trace.sharpening.shape == (3, 6, heads)
    assert trace.shift.shape[:3] == (3, 6, heads)
    assert trace.add.shape == trace.erase.shape == (3, 6, writers, M)


def test_the_memory_that_the_trace_shows_is_what_its_heads_wrote(build):
    trace = build()(torch.randn(2, 5, INPUTS), record=True).trace
    before, after = trace.memory[:, 2], trace.memory[:, 3]
    for h in range(trace.erase.shape[2]):
        before = before * (1 - trace.write_weights[:, 3, h, :, None] * trace.erase[:, 3, h, None])
    added = torch.einsum("bhn,bhm->bnm", trace.write_weights[:, 3], trace.add[:, 3])
    assert_close(after, before + added)


def test_gradients_reach_every_parameter(build):
    machine = build(memory_init="learned", weights_init="learned")
    machine(torch.randn(3, 8, INPUTS)).logits.square().sum().backward()
    silent = [name for name, p in machine.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0]
    assert silent == []


@pytest.mark.parametrize("name", ["tape", "hidden_tape"])
def test_32_and_4096_slots_give_the_same_outputs_on_tape(name):
    torch.manual_seed(0)
    machine, inputs = MACHINES[name](), torch.randn(4, 12, INPUTS)
    few, many = machine(inputs, slots=32), machine(inputs, slots=4096)
    assert_close(few.logits, many.logits, atol=1e-6, rtol=1e-5)
    assert_close(few.state.memory[:, :14], many.state.memory[:, :14], atol=1e-6, rtol=1e-5)


def test_32_and_4096_slots_give_the_same_outputs_to_ntm_heads_that_go_by_location():
    torch.manual_seed(0)
    machine, inputs = ntm(), torch.randn(4, 12, INPUTS)
    with torch.no_grad():  # content addressing spreads over all empty slots, so only location can be independent of them
        gates = machine.heads.addressing.bias.view(machine.heads.heads, -1)[:, 0]
        gates.fill_(-20)
        machine.heads.addressing.weight.view(machine.heads.heads, -1, 16)[:, 0] = 0
    assert_close(machine(inputs, slots=32).logits, machine(inputs, slots=4096).logits, atol=1e-6, rtol=1e-5)


def test_weights_start_one_hot_or_learned():
    onehot = tape().initial_state(2).weights
    assert onehot.argmax(-1).tolist() == [[0, 1]] * 2
    learned = tape(weights_init="learned").initial_state(2, slots=40).weights
    assert learned.argmax(-1).tolist() == [[0, 1]] * 2
    assert_close(learned.sum(-1), torch.ones(2, 2))
    assert learned[:, :, 1:32].min() > 0
    assert learned[:, :, 32:].max() == 0


def test_memory_starts_constant_learned_or_random():
    assert torch.equal(ntm().initial_state(1).memory, torch.full((1, 32, M), 1e-6))
    learned = ntm(memory_init="learned", memory_value=0.5)
    with torch.no_grad():
        learned.first_memory.fill_(2.0)
    assert learned.initial_state(1, slots=34).memory[0, :, 0].tolist() == [2.0] * 32 + [0.5] * 2
    random = ntm(memory_init="random")
    assert torch.equal(random.initial_state(1).memory, random.initial_state(1, slots=64).memory[:, :32])


def test_initial_reads_are_what_the_heads_see():
    machine = ntm(memory_value=0.25)
    assert_close(machine.initial_state(2).reads, torch.full((2, 2 * M), 0.25))


def test_noise_reaches_register_and_writing_but_not_addressing():
    machine, inputs = tape(), torch.randn(2, 5, INPUTS)
    width = machine.controller.register + machine.heads.noise_width
    quiet = machine(inputs, noise=torch.zeros(2, 5, width), record=True)
    loud = machine(inputs, noise=5 * torch.randn(2, 5, width), record=True)
    assert torch.equal(quiet.logits, machine(inputs).logits)
    assert not torch.equal(quiet.logits, loud.logits)
    assert torch.equal(quiet.trace.read_weights, loud.trace.read_weights)


def test_heads_moved_by_flags_do_not_see_data():
    machine, inputs = tape(), torch.randn(2, 6, INPUTS)
    other = torch.cat([inputs[..., :2], torch.randn(2, 6, INPUTS - 2)], dim=-1)
    assert torch.equal(machine(inputs, record=True).trace.gate, machine(other, record=True).trace.gate)
