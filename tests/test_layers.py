"""Machines as layers in anybody's code: like torch.nn.LSTM, without configuration, task or Lightning."""

import copy
import io

import pytest
import torch
from torch import nn
from torch.testing import assert_close

from ntm import NTM, Tape

LAYERS = {
    "ntm": lambda: NTM(4, 12, slots=8, slot_width=5),
    "ntm lstm": lambda: NTM(4, 12, controller="lstm", slots=8, slot_width=5, read_heads=2, shift_width=5),
    "tape": lambda: Tape(4, 12, slots=8, slot_width=5, window=(0, 1), control=(0, 3)),
    "tape lstm": lambda: Tape(4, 12, controller="lstm", slots=8, slot_width=5, heads=2),
}


@pytest.fixture(params=LAYERS.values(), ids=LAYERS)
def layer(request):
    torch.manual_seed(0)
    return request.param()


def leaves(state):
    return [state] if torch.is_tensor(state) else [leaf for part in state for leaf in leaves(part)]


def test_it_goes_on_from_its_state(layer):
    x = torch.randn(3, 7, 4)
    whole, end = layer(x)
    first, state = layer(x[:, :3])
    second, last = layer(x[:, 3:], state)
    assert whole.shape == (3, 7, layer.width)
    assert torch.equal(whole, torch.cat([first, second], 1))
    assert all(torch.equal(a, b) for a, b in zip(leaves(end), leaves(last), strict=True))


def test_nothing_hides_in_it(layer):
    x = torch.randn(2, 5, 4)
    assert torch.equal(layer(x)[0], layer(x)[0])


def test_copies_and_saved_weights_do_the_same(layer):
    x = torch.randn(2, 5, 4)
    twin = copy.deepcopy(layer)
    assert torch.equal(layer(x)[0], twin(x)[0])
    file = io.BytesIO()
    torch.save(layer.state_dict(), file)
    file.seek(0)
    with torch.no_grad():
        for p in twin.parameters():
            p.normal_()
    assert not torch.equal(layer(x)[0], twin(x)[0])
    twin.load_state_dict(torch.load(file, weights_only=True))
    assert torch.equal(layer(x)[0], twin(x)[0])


def test_double_precision_and_moving(layer):
    x = torch.randn(2, 5, 4)
    single, _ = layer(x)
    double, state = layer.double()(x.double())
    assert {leaf.dtype for leaf in leaves(state)} == {torch.float64}
    assert_close(single.double(), double, atol=1e-5, rtol=1e-4)
    moved, _ = layer.float().to("meta")(x.to("meta"))
    assert moved.shape == single.shape


def test_gradients_are_those_of_finite_differences(layer):
    layer.double()
    x = torch.randn(1, 3, 4, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x: layer(x)[0], (x,), atol=1e-6)


@pytest.mark.parametrize("name", ["ntm", "tape"])
@pytest.mark.filterwarnings("default")  # torch's own, of its compiler
def test_compiled_it_does_the_same(name):
    torch.manual_seed(0)
    layer, x = LAYERS[name](), torch.randn(2, 2, 4)  # each tick is traced, which takes seconds
    compiled = torch.compile(layer, backend="aot_eager", fullgraph=True)
    outputs, state = layer(x)
    same, _ = compiled(x)
    assert_close(outputs, same)
    assert_close(layer(x, state)[0], compiled(x, state)[0])
    outputs.sum().backward()
    ours = [p.grad.clone() for p in layer.parameters()]
    layer.zero_grad()
    same.sum().backward()
    assert_close(ours, [p.grad for p in layer.parameters()])


def test_any_number_of_slots():
    layer = NTM(4)
    state = layer.cell.initial_state(2, 100)
    _, after = layer(torch.randn(2, 3, 4), state)
    assert after.access.memory.shape == (2, 100, 20)


def test_it_learns_in_a_plain_loop():
    """The state of a bit two ticks ago: what a register alone can learn, in a handful of updates."""
    torch.manual_seed(0)
    layer, read = NTM(1, 32, slots=8), nn.Linear(32 + 20, 1)
    optimizer = torch.optim.Adam([*layer.parameters(), *read.parameters()], lr=1e-2)
    for _ in range(120):
        x = torch.randint(0, 2, (32, 8, 1)).float()
        loss = nn.functional.binary_cross_entropy_with_logits(read(layer(x)[0])[:, 2:], x[:, :-2])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert loss.item() < 0.1


def test_a_wrong_controller_or_input_is_told_in_one_line():
    with pytest.raises(ValueError, match="controller=gru: no such controller; allowed: feedforward, lstm"):
        NTM(4, controller="gru")
    with pytest.raises(ValueError, match=r"x has shape \[2, 4\]; allowed: \[B, T, 4\]"):
        NTM(4)(torch.zeros(2, 4))
    with pytest.raises(ValueError, match=r"x has shape \[2, 3, 5\]; allowed: \[B, T, 4\]"):
        NTM(4)(torch.zeros(2, 3, 5))
