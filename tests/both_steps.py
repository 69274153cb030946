"""One run of a machine by either step, as everything that comes out of it: what is said, the last state, every gradient."""

import copy
from contextlib import nullcontext
from unittest.mock import patch

import pytest
import torch
from torch.testing import assert_close

from ntm.models.machine import LSTM, FeedForward, Machine, MachineState, NTMHeads, TapeHeads
from ntm.models.machine.access import HeadsState, Start
from ntm.models.machine.fused import library
from ntm.models.recurrent import Recurrent, run

INPUTS = 3
START = Start(5)


def there_is_one():
    try:
        return bool(library.compiler())  # that it can compile our sources is not for granted
    except library.NoLibraryError:
        return False


needs_library = pytest.mark.skipif(not there_is_one(), reason="no C++ compiler")


def controller(kind, inputs, hidden, register):
    return LSTM(inputs, list(hidden)) if kind == "lstm" else FeedForward(inputs, list(hidden), register)


def ntm(kind="feedforward", hidden=(6,), register=0, slot_width=4, shift_width=3, readers=1, writers=1, start=START):
    heads = NTMHeads(hidden[-1], slot_width, shift_width, readers, writers, stay=1.0, advance=1.0, start=start)
    return model(Machine(controller(kind, INPUTS + heads.read_width, hidden, register), heads))


def tape(kind="feedforward", hidden=(6,), register=0, slot_width=4, shift_width=3, heads=1, start=START, **more):
    access = TapeHeads(hidden[-1], slot_width, shift_width, heads, stay=1.0, advance=1.0, start=start, **more)
    return model(Machine(controller(kind, INPUTS + access.read_width, hidden, register), access))


def rounded(net, rounding):
    """The same, drawn so far to bits."""
    net.round(rounding)
    return net


def model(machine, outputs=2):
    """A machine in its loop, in float64, with weights large enough that its heads move."""
    torch.manual_seed(0)
    made = Recurrent(machine, outputs)
    with torch.no_grad():
        for p in made.parameters():
            p.copy_(2 * torch.randn_like(p) / (p.shape[-1] ** 0.5 if p.dim() > 1 else 2))
    return made.double()


def numbers(*shape, seed=1):
    """Numbers that depend on nothing but shape and seed."""
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def parts_of(state):
    return [*state.controller, *state.access, state.reads]


def rebuilt(like, parts):
    """A state of these parts."""
    *of_controller, memory, weights, home, reads = parts
    return MachineState(type(like.controller)(*of_controller), HeadsState(memory, weights, home), reads)


def state_of(net, batch, slots):
    """A state that nothing has led to."""
    like = net.cell.initial_state(batch, slots)
    drawn = [numbers(*part.shape, seed=2 + n) for n, part in enumerate(parts_of(like))]
    drawn[-3:-1] = [drawn[-3].softmax(-1), drawn[-2].softmax(-1)]  # where the heads are, and their home
    return rebuilt(like, drawn)


def ran(net, x, backend, *, state=None, noise=None, room=None, pieces=1, output=True):
    """Everything that comes out of a run in the numbers of x, by name; the loss is a random sum of all that is said and left."""
    net = copy.deepcopy(net).to(x.dtype)
    net.use(backend)
    x = x.detach().clone().requires_grad_()
    noise = None if noise is None else noise.to(x.dtype)
    given = [] if state is None else [part.to(x.dtype, copy=True).requires_grad_() for part in parts_of(state)]
    state = net.cell.initial_state(len(x), room) if state is None else rebuilt(state, given)
    said, size = [], -(-x.shape[1] // pieces)
    with patch.object(Machine, "forward", side_effect=AssertionError("the loop ran")) if backend == "fused" else nullcontext():
        for start in range(0, x.shape[1], size):
            piece = x[:, start : start + size], state, None if noise is None else noise[:, start : start + size]
            made, state = with_output(net, *piece) if output else without(net, *piece)
            said.append(made)
    made = {"said": torch.cat(said, 1), **{f"last {n}": part for n, part in enumerate(parts_of(state))}}
    loss = sum((value * numbers(*value.shape, seed=7 + n).to(value)).sum() for n, value in enumerate(made.values()))
    leaves = {"x": x, **dict(net.named_parameters()), **{f"first {n}": part for n, part in enumerate(given)}}
    gradients = torch.autograd.grad(loss, list(leaves.values()), allow_unused=True)
    for (name, leaf), gradient in zip(leaves.items(), gradients):
        made[f"d {name}"] = torch.zeros_like(leaf) if gradient is None else gradient
    return {name: value.detach() for name, value in made.items()}


def with_output(net, x, state, noise):
    logits, state, _ = net(x, state=state, noise=noise)
    return logits, state


def without(net, x, state, noise):
    return run(net.cell, None, x, None, state, noise)


def assert_same(net, x, **how):
    """Both steps make the same of x: in float64 to its last digits, in float32 as nearly as the loop does."""
    exact, fused = ran(net, x, "eager", **how), ran(net, x, "fused", **how)
    assert exact.keys() == fused.keys()
    for name, value in exact.items():
        size = value.abs().max().item() if value.numel() else 0
        assert_close(fused[name], value, rtol=1e-8, atol=1e-11 * (1 + size), msg=lambda told, name=name: f"{name}: {told}")
    loop, fused = ran(net, x.float(), "eager", **how), ran(net, x.float(), "fused", **how)
    for name, value in exact.items():
        if value.numel():
            error, usual = ((made[name] - value).abs().max().item() for made in (fused, loop))
            assert error <= 10 * usual + 1e-5 * value.abs().max().item() + 1e-12, (
                f"{name}: off by {error:.1e}, the loop by {usual:.1e}"
            )
