"""The machine as a pure function: continuing, independence of rows, recording, and the number of slots."""

import pytest
import torch
from torch.testing import assert_close

from ntm.models.machine import LSTM, FeedForward, Machine, NTMHeads, TapeHeads
from ntm.models.machine.access import Start
from ntm.models.recurrent import Recurrent

INPUTS, OUTPUTS, M = 4, 2, 5


def wired(controller, heads):
    return Recurrent(Machine(controller, heads), OUTPUTS)


def ntm(**start):
    heads = NTMHeads(16, M, 3, read_heads=2, write_heads=1, start=Start(**start))
    return wired(FeedForward(INPUTS + heads.read_width, [12, 16]), heads)


def ntm_lstm(**start):
    heads = NTMHeads(16, M, 5, read_heads=1, write_heads=2, start=Start(**start))
    return wired(LSTM(INPUTS + heads.read_width, [16, 16]), heads)


def tape(**start):
    heads = TapeHeads(16, M, 3, heads=2, window=(-1, 0, 1), control=(0, 1), start=Start(**start))
    return wired(FeedForward(INPUTS + heads.read_width, [12, 16], register=3), heads)


def hidden_tape(**start):
    heads = TapeHeads(16, M, 3, heads=1, start=Start(**start))
    return wired(FeedForward(INPUTS + heads.read_width, [16], register=2), heads)


MACHINES = {"ntm": ntm, "ntm_lstm": ntm_lstm, "tape": tape, "hidden_tape": hidden_tape}


@pytest.fixture(params=MACHINES, ids=list(MACHINES))
def build(request):
    torch.manual_seed(0)
    return MACHINES[request.param]


def flat(state):
    return [*state.access, state.reads, *state.controller]


def recorded(output, picture, name=""):
    """The signals of a picture whose names begin so, stacked over heads: [B T K R]."""
    return torch.stack([s.values for s in output.signals if s.picture == picture and s.name.startswith(name)], dim=2)


def test_forward_continues_from_its_state(build):
    machine, inputs = build(), torch.randn(3, 10, INPUTS)
    whole = machine(inputs)
    first = machine(inputs[:, :4])
    second = machine(inputs[:, 4:], state=first.state)
    assert torch.equal(whole.logits, torch.cat([first.logits, second.logits], dim=1))
    assert all(torch.equal(a, b) for a, b in zip(flat(whole.state), flat(second.state), strict=True))


def test_a_tick_is_one_step_of_forward_and_changes_nothing(build):
    machine, inputs = build(), torch.randn(3, 1, INPUTS)
    state = machine.cell.initial_state(3)
    before = [part.clone() for part in flat(state)]
    tick = machine.cell(inputs[:, 0], state)
    assert torch.equal(machine.output(tick.hidden), machine(inputs).logits[:, 0])
    assert all(torch.equal(a, b) for a, b in zip(before, flat(state), strict=True))


def test_rows_of_a_batch_are_independent(build):
    machine, inputs = build(), torch.randn(3, 9, INPUTS)
    other = inputs.clone()
    other[1:] = torch.randn(2, 9, INPUTS)
    assert_close(machine(inputs).logits[0], machine(other).logits[0])
    assert_close(machine(inputs).logits[:1], machine(inputs[:1]).logits)


def test_recording_changes_no_logit_and_keeps_every_tick(build):
    machine, inputs = build(), torch.randn(3, 6, INPUTS)
    plain, output = machine(inputs), machine(inputs, record=True)
    assert torch.equal(plain.logits, output.logits)
    assert plain.signals == ()
    heads, writers = machine.cell.access.heads, {"ntm": 1, "ntm_lstm": 2, "tape": 2, "hidden_tape": 1}[build.__name__]
    memory = recorded(output, "memory")[:, :, 0]
    assert memory.shape == (3, 6, 32, M)
    assert torch.equal(memory[:, -1], output.state.access.memory)
    assert recorded(output, "write_weights").shape == (3, 6, writers, 32)
    reads = recorded(output, "read_weights")
    assert_close(reads.sum(-1), torch.ones(reads.shape[:-1]))
    for name in ("gate", "sharpening"):
        assert recorded(output, "gate_strength_sharpening", name).shape == (3, 6, 1, heads)
    assert recorded(output, "shift").shape[:3] == (3, 6, heads)
    for name in ("add", "erase"):
        assert recorded(output, "add_vectors", name).shape == (3, 6, writers, M)
    assert torch.equal(recorded(output, "read_vectors")[:, -1, 0], output.state.reads)


def test_the_memory_that_is_shown_is_what_its_heads_wrote(build):
    output = build()(torch.randn(2, 5, INPUTS), record=True)
    memory, weights = recorded(output, "memory")[:, :, 0], recorded(output, "write_weights")
    erase, add = recorded(output, "add_vectors", "erase"), recorded(output, "add_vectors", "add")
    before, after = memory[:, 2], memory[:, 3]
    for h in range(erase.shape[2]):
        before = before * (1 - weights[:, 3, h, :, None] * erase[:, 3, h, None])
    assert_close(after, before + torch.einsum("bhn,bhm->bnm", weights[:, 3], add[:, 3]))


def test_registers_and_hidden_vectors_are_shown_where_there_are_some():
    inputs = torch.randn(2, 3, INPUTS)
    output = tape()(inputs, record=True)
    assert torch.equal(recorded(output, "register")[:, -1, 0], output.state.controller.register)
    output = ntm_lstm()(inputs, record=True)
    assert torch.equal(recorded(output, "hidden")[:, -1], output.state.controller.hidden)
    assert "register" not in {signal.picture for signal in ntm()(inputs, record=True).signals}


def test_gradients_reach_every_parameter(build):
    machine = build(memory="learned", weights="learned")
    machine(torch.randn(3, 8, INPUTS)).logits.square().sum().backward()
    silent = [name for name, p in machine.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0]
    assert silent == []


@pytest.mark.parametrize("name", ["tape", "hidden_tape"])
def test_32_and_4096_slots_give_the_same_outputs_on_tape(name):
    torch.manual_seed(0)
    machine, inputs = MACHINES[name](), torch.randn(4, 12, INPUTS)
    few, many = machine(inputs, room=32), machine(inputs, room=4096)
    assert_close(few.logits, many.logits, atol=1e-6, rtol=1e-5)
    assert_close(few.state.access.memory[:, :14], many.state.access.memory[:, :14], atol=1e-6, rtol=1e-5)


def test_32_and_4096_slots_give_the_same_outputs_to_ntm_heads_that_go_by_location():
    torch.manual_seed(0)
    machine, inputs = ntm(), torch.randn(4, 12, INPUTS)
    heads = machine.cell.access
    with torch.no_grad():  # content addressing spreads over all empty slots, so only location can be independent of them
        gates = heads.addressing.bias.view(heads.heads, -1)[:, 0]
        gates.fill_(-20)
        heads.addressing.weight.view(heads.heads, -1, 16)[:, 0] = 0
    assert_close(machine(inputs, room=32).logits, machine(inputs, room=4096).logits, atol=1e-6, rtol=1e-5)


def test_weights_start_one_hot_or_learned():
    onehot = tape().cell.initial_state(2).access.weights
    assert onehot.argmax(-1).tolist() == [[0, 1]] * 2
    learned = tape(weights="learned").cell.initial_state(2, 40).access.weights
    assert learned.argmax(-1).tolist() == [[0, 1]] * 2
    assert_close(learned.sum(-1), torch.ones(2, 2))
    assert learned[:, :, 1:32].min() > 0
    assert learned[:, :, 32:].max() == 0


def test_memory_starts_constant_learned_or_random():
    assert torch.equal(ntm().cell.initial_state(1).access.memory, torch.full((1, 32, M), 1e-6))
    learned = ntm(memory="learned", value=0.5).cell
    with torch.no_grad():
        learned.access.first_memory.fill_(2.0)
    assert learned.initial_state(1, 34).access.memory[0, :, 0].tolist() == [2.0] * 32 + [0.5] * 2
    random = ntm(memory="random").cell
    assert torch.equal(random.initial_state(1).access.memory, random.initial_state(1, 64).access.memory[:, :32])


def test_initial_reads_are_what_the_heads_see():
    assert_close(ntm(value=0.25).cell.initial_state(2).reads, torch.full((2, 2 * M), 0.25))


def test_room_is_twice_the_need_and_never_less_than_built_with():
    machine = ntm(slots=12)
    assert [machine.room_for(need) for need in (1, 6, 7, 50)] == [12, 12, 14, 100]


def test_noise_reaches_register_and_writing_but_not_addressing():
    machine, inputs = tape(), torch.randn(2, 5, INPUTS)
    width = machine.noise_width
    assert width == machine.cell.controller.register + machine.cell.access.noise_width == 3 + 2 * 2 * M
    quiet = machine(inputs, noise=torch.zeros(2, 5, width), record=True)
    loud = machine(inputs, noise=5 * torch.randn(2, 5, width), record=True)
    assert torch.equal(quiet.logits, machine(inputs).logits)
    assert not torch.equal(quiet.logits, loud.logits)
    assert not torch.equal(recorded(quiet, "register"), recorded(loud, "register"))
    assert not torch.equal(recorded(quiet, "add_vectors"), recorded(loud, "add_vectors"))
    assert torch.equal(recorded(quiet, "read_weights"), recorded(loud, "read_weights"))


def test_the_first_channels_of_the_noise_are_the_registers_and_the_rest_is_writings():
    machine, inputs = tape(), torch.randn(2, 1, INPUTS)
    quiet = machine(inputs, record=True)
    for channels, reached, spared in ((slice(3), "register", "add_vectors"), (slice(3, None), "add_vectors", "register")):
        noise = torch.zeros(2, 1, machine.noise_width)
        noise[..., channels] = 5
        loud = machine(inputs, noise=noise, record=True)  # of one tick: at the next, each would see the other's
        assert (recorded(loud, reached) > recorded(quiet, reached)).all()
        assert torch.equal(recorded(loud, spared), recorded(quiet, spared))


def test_heads_moved_by_flags_do_not_see_data():
    machine, inputs = tape(), torch.randn(2, 6, INPUTS)
    other = torch.cat([inputs[..., :2], torch.randn(2, 6, INPUTS - 2)], dim=-1)
    gates = [recorded(machine(x, record=True), "gate_strength_sharpening", "gate") for x in (inputs, other)]
    assert torch.equal(*gates)
