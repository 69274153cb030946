"""The fused step against the loop: outputs, states and gradients, whatever the machine is made of and wherever it stands."""

import math

import pytest
import torch
from both_steps import INPUTS, assert_same, needs_library, ntm, numbers, parts_of, ran, rebuilt, rounded, state_of, tape
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.testing import assert_close

from ntm import NTM, Tape
from ntm.models.machine.access import Start
from ntm.models.machine.fused import whole
from ntm.models.recurrent import run, saying, unroll

pytestmark = needs_library

MACHINES = {
    "one layer": lambda: ntm(),
    "two layers, register": lambda: ntm(hidden=(5, 7), register=3),
    "three layers": lambda: ntm(hidden=(2, 13, 1), readers=2),
    "lstm": lambda: ntm("lstm", writers=2),
    "two lstms": lambda: ntm("lstm", hidden=(5, 5), shift_width=1),
    "many heads": lambda: ntm(readers=3, writers=3, shift_width=5, register=1),
    "learned": lambda: ntm(register=2, start=Start(5, "learned", 0.3, "learned")),
    "random": lambda: ntm("lstm", start=Start(3, "random", weights="learned"), slot_width=1),
    "one slot": lambda: ntm(start=Start(1, "learned", 0.5, "learned"), shift_width=5),
    "tape": lambda: tape(register=2),
    "window": lambda: tape("lstm", window=(0, -1, 12), heads=2, start=Start(5, "learned", 0.3, "learned")),
    "control": lambda: tape(hidden=(4, 4), control=(2, 0, 2, -3), shift_width=5),
    "separate": lambda: tape(register=1, heads=3, separate=True, window=(0, 1), start=Start(4, "random", weights="learned")),
    "one tape of its own": lambda: tape("lstm", separate=True, shift_width=1, hidden=(3, 3), start=Start(1, "learned")),
    "on its way to bits": lambda: rounded(tape(register=3, heads=2, window=(0, 1)), 0.3),
    "bits": lambda: rounded(tape(hidden=(5, 7), register=3, control=(0, 1), start=Start(5, "learned", 0.3)), 1.0),
    "bits of its own tapes": lambda: rounded(tape(heads=2, separate=True, shift_width=5), 1.0),
}
SMOOTH = ["two layers, register", "lstm", "learned", "window", "separate"]
SOME = ["on its way to bits", "bits", *SMOOTH]


@pytest.fixture(params=MACHINES)
def net(request):
    return MACHINES[request.param]()


@pytest.fixture(params=SOME)
def some(request):
    return MACHINES[request.param]()


def noise_of(net, batch, ticks):
    return numbers(batch, ticks, net.noise_width, seed=3) if net.noise_width else None


def test_it_is_the_loop(net):
    x = numbers(3, 6, INPUTS)
    assert_same(net, x)
    assert_same(net, x[:1], noise=noise_of(net, 1, 6))
    assert_same(net, x, output=False, noise=noise_of(net, 3, 6), room=7)
    assert_same(net, x, state=state_of(net, 3, 5), pieces=2)


@pytest.mark.parametrize("batch", [1, 8, 9, 16, 17, 40])
def test_at_the_borders_of_chunks(some, batch):
    assert_same(some, numbers(batch, 2, INPUTS), noise=noise_of(some, batch, 2))


@pytest.mark.parametrize("ticks", [1, 31, 32, 33, 65])
def test_at_the_borders_of_what_is_gathered(ticks):
    net = ntm("lstm", start=Start(3))
    with torch.no_grad():
        for p in net.parameters():
            p.div_(4)  # nothing that grows from tick to tick
    assert_same(net, numbers(2, ticks, INPUTS))


@st.composite
def machines(draw):
    """Any machine."""
    pick = lambda *choices: draw(st.sampled_from(choices))  # noqa: E731
    kind, width = pick("feedforward", "lstm"), draw(st.integers(1, 9))
    below = [width] * pick(0, 1) if kind == "lstm" else draw(st.lists(st.integers(1, 9), max_size=2))
    own = {"kind": kind, "hidden": (*below, width), "register": pick(0, 1, 4) if kind == "feedforward" else 0}
    start = Start(pick(1, 2, 3, 6), pick("constant", "learned", "random"), pick(1e-6, 0.3), pick("onehot", "learned"))
    own |= {"slot_width": draw(st.integers(1, 5)), "shift_width": pick(1, 3, 5), "start": start}
    if draw(st.booleans()):
        return ntm(**own, readers=draw(st.integers(1, 3)), writers=draw(st.integers(1, 3)))
    window = tuple(draw(st.lists(st.integers(-9, 9), min_size=1, max_size=3)))
    control = draw(st.none() | st.lists(st.integers(-INPUTS, INPUTS - 1), min_size=1, max_size=4))
    made = tape(**own, heads=draw(st.integers(1, 3)), window=window, control=control, separate=draw(st.booleans()))
    return rounded(made, pick(0.0, 0.6, 1.0)) if kind == "feedforward" else made


@given(machines(), st.sampled_from([1, 2, 8, 9, 17]), st.integers(1, 4), st.sampled_from([None, 1, 4, 12]), st.data())
@settings(max_examples=40, deadline=None, derandomize=True)
def test_any_machine(net, batch, ticks, room, data):
    noise = noise_of(net, batch, ticks) if data.draw(st.booleans()) else None
    state = state_of(net, batch, room) if data.draw(st.booleans()) else None
    how = {"pieces": data.draw(st.sampled_from([1, 2])), "output": data.draw(st.booleans())}
    assert_same(net, numbers(batch, ticks, INPUTS), noise=noise, state=state, room=room, **how)


@pytest.mark.parametrize("smooth", SMOOTH)  # straight-through gradients are of another function
def test_gradients_are_those_of_finite_differences(smooth):
    some = MACHINES[smooth]()
    some.use("fused")
    like = state_of(some, 2, 4)

    def made(x, *parts):
        output = some(x, state=rebuilt(like, parts))
        return (output.logits, *parts_of(output.state))

    leaves = [numbers(2, 3, INPUTS), *parts_of(like)]
    assert torch.autograd.gradcheck(made, [leaf.requires_grad_() for leaf in leaves if leaf.numel()], atol=1e-6)


def test_a_raw_parameter_at_its_limit_has_no_gradient():
    for net in (ntm(), tape()):
        with torch.no_grad():
            for layer in (net.cell.access.addressing, net.cell.access.writing):
                layer.weight.zero_()
                layer.bias[::2], layer.bias[1::2] = 20.0, -20.0
        assert_same(net, numbers(2, 3, INPUTS))
        assert ran(net, numbers(2, 3, INPUTS), "fused")["d cell.access.writing.bias"].abs().max() == 0


@pytest.mark.parametrize("threads", [2, 3])
def test_threads_make_no_difference(some, threads):
    x = numbers(70, 5, INPUTS).float()
    one = ran(some, x, "fused")
    torch.set_num_threads(threads)
    try:
        several = ran(some, x, "fused")
    finally:
        torch.set_num_threads(1)
    assert all(torch.equal(several[name], value) for name, value in one.items())


@pytest.mark.parametrize("ticks", [1, 2, 3, 10, 37])
def test_kept_or_run_again_it_is_the_same(some, ticks, monkeypatch):
    x, state = numbers(9, ticks, INPUTS), state_of(some, 9, 5)
    kept = ran(some, x, "fused", state=state, noise=noise_of(some, 9, ticks))
    monkeypatch.setattr(whole, "MOST_KEPT", 0)
    again = ran(some, x, "fused", state=state, noise=noise_of(some, 9, ticks))
    for name, value in kept.items():
        if name.startswith("d "):
            assert_close(again[name], value, rtol=1e-9, atol=1e-11 * (1 + value.abs().max().item() if value.numel() else 1))
        else:
            assert torch.equal(again[name], value), name


def test_what_is_kept_of_a_long_run_grows_with_the_root_of_its_length(monkeypatch):
    monkeypatch.setattr(whole, "MOST_KEPT", 2**20)

    def kept(ticks):
        layer, saved = NTM(4, 8, slots=8, backend="fused"), []
        with torch.autograd.graph.saved_tensors_hooks(lambda t: saved.append(t) or t, lambda t: t):
            layer(torch.zeros(8, ticks, 4))
        return max(t.numel() for t in saved if t.dim() == 1)

    assert kept(6400) == pytest.approx(4 * kept(400), rel=0.05)


TARGETS = ["x", "weights", "memory", "where", "home", "reads"]


@pytest.mark.parametrize("spoilt", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("target", TARGETS)
def test_what_is_not_finite_stays_so(some, target, spoilt):
    """Every number that is none in the loop is none here: a spoilt update is refused all the same."""
    x, state, parameters = numbers(9, 3, INPUTS).float(), state_of(some, 9, 5), list(some.parameters())
    places = {"x": [x], "weights": parameters, "memory": [state.access.memory], "where": [state.access.weights]}
    places |= {"home": [state.access.home], "reads": [state.reads]}
    spoilt_ones = 0
    for place in places[target]:
        saved = place.detach().clone()
        with torch.no_grad():
            place.view(-1)[place.numel() // 2] = spoilt
        started = None if target == "weights" else state
        loop, fused = ran(some, x, "eager", state=started), ran(some, x, "fused", state=started)
        for name, value in loop.items():
            missing = ~value.isfinite() & fused[name].isfinite()
            assert not missing.any(), f"{name}: {int(missing.sum())} of {value.numel()} are numbers here"
            spoilt_ones += int((~value.isfinite()).sum())
        with torch.no_grad():
            place.copy_(saved)
    assert spoilt_ones or (target == "home" and spoilt < 0) or (target == "home" and not hasattr(some.cell.access, "window"))


@pytest.mark.parametrize("huge", [1e30, -1e30])
def test_huge_weights(some, huge):
    """But for a memory of such numbers, whose way back overflows wherever one multiplies first."""
    x = numbers(2, 3, INPUTS).float()
    for p in [p for name, p in some.named_parameters() if not name.endswith("first_memory")]:
        saved = p.detach().clone()
        with torch.no_grad():
            p.view(-1)[0] = huge
        loop, fused = ran(some, x, "eager"), ran(some, x, "fused")
        assert_close(fused["said"], loop["said"], rtol=1e-3, atol=1e-3, equal_nan=True)
        for name, value in loop.items():
            assert not (~value.isfinite() & fused[name].isfinite()).any(), name
        with torch.no_grad():
            p.copy_(saved)


@pytest.mark.parametrize("kind", [NTM, Tape])
def test_only_what_is_asked_for(kind):
    """One output alone has a gradient, one input alone wants one, or only the weights do."""
    torch.manual_seed(0)
    layer, x = kind(4, 8, slots=6, slot_width=3), torch.randn(3, 4, 4)
    for loss in (lambda o, s: o[:, 1].sum(), lambda o, s: s.access.memory.sum(), lambda o, s: s.reads.sum()):
        made = []
        for backend in ("eager", "fused"):
            layer.cell.use(backend)
            of_weights = torch.autograd.grad(loss(*layer(x)), list(layer.parameters()), allow_unused=True)
            layer.requires_grad_(False)
            leaf = x.clone().requires_grad_()
            (of_x,) = torch.autograd.grad(loss(*layer(leaf)), leaf)
            layer.requires_grad_(True)
            zeros = [torch.zeros_like(p) if g is None else g for p, g in zip(layer.parameters(), of_weights)]
            made.append([*zeros, of_x])
        assert_close(*made, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("kept", [whole.MOST_KEPT, 1])
def test_rows_that_end_early(some, monkeypatch, kept):
    """Until they end everything is the loop's, and so is every gradient of it, though what is behind is not run."""
    monkeypatch.setattr(whole, "MOST_KEPT", kept)
    ticks = torch.randint(0, 10, (21,), generator=torch.Generator().manual_seed(0))
    due = (torch.arange(9) < ticks[:, None])[..., None]
    x, noise = numbers(21, 9, INPUTS), noise_of(some, 21, 9)
    found = {}
    for backend in ("eager", "fused"):
        some.use(backend)
        given = x.clone().requires_grad_()
        output = some(given, ticks, noise=noise)
        loss = (output.logits * due * numbers(*output.logits.shape)).sum()
        found[backend] = [output.logits * due, *torch.autograd.grad(loss, [given, *some.parameters()], allow_unused=True)]
        whole_rows = [part[ticks >= 9] for part in parts_of(output.state)]
        found[backend] += whole_rows
    for ours, theirs in zip(found["fused"], found["eager"], strict=True):
        assert_close(ours, theirs) if theirs is not None else None
    assert not (output.logits * ~due)[ticks < ticks.max()].abs().min()  # some chunk ended before the others


@pytest.mark.parametrize("kept", [whole.MOST_KEPT, 1])
def test_how_blurred_heads_are_and_its_gradient(some, monkeypatch, kept):
    monkeypatch.setattr(whole, "MOST_KEPT", kept)
    x, noise, found = numbers(18, 5, INPUTS), noise_of(some, 18, 5), {}
    for backend in ("eager", "fused"):
        some.use(backend)
        first = some.cell.initial_state(18)
        said, _ = run(some.cell, some.output, x, None, first, noise, blur=True)
        loss = (said * numbers(*said.shape)).sum()
        found[backend] = [said, *torch.autograd.grad(loss, list(some.parameters()), allow_unused=True)]
    for ours, theirs in zip(found["fused"], found["eager"], strict=True):
        assert_close(ours, theirs) if theirs is not None else None
    weights = recorded_weights(some, x, noise)
    assert_close(said[..., -1], 1 - weights.square().sum(-1).mean(-1))


def recorded_weights(net, x, noise):
    """Of every head after every tick: [B T H N]."""
    first = net.cell.initial_state(len(x))
    return torch.stack(
        [tick.state.access.weights for tick in unroll(net.cell, saying(net.cell, net.output), x, first, noise, record=True).ticks],
        1,
    )


@pytest.mark.parametrize("threads", [1, 2])
def test_subnormal_numbers_are_0_in_the_step_and_stay_what_they_are_outside(threads):
    net = ntm().float()
    with torch.no_grad():
        net.cell.controller.layers[0].weight[:, :INPUTS].mul_(1e38)  # or nobody would see them

    def said(value, backend="fused"):
        net.use(backend)
        with torch.no_grad():
            return net(torch.full((65, 1, INPUTS), value), torch.ones(65, dtype=torch.long)).logits

    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        assert torch.equal(said(1e-39), said(0.0))
        assert not torch.equal(said(1e-39, "eager"), said(0.0, "eager"))
    finally:
        torch.set_num_threads(before)
    assert (torch.tensor([1e-39]) * 0.5).item() > 0
