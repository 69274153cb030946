"""The captured step without a GPU: when it is taken, and what is done where a graph cannot; with graphs that run the loop."""

import copy
import gc
from types import SimpleNamespace
from unittest.mock import patch

import pytest
import torch
from both_steps import INPUTS, ntm, numbers, rounded, tape
from conftest import TINY
from torch.testing import assert_close

from ntm import NTM, train
from ntm.models.machine import captured
from ntm.models.machine.fused import whole

MACHINES = {
    "ntm": lambda: ntm(),
    "ntm, register, two heads": lambda: ntm(register=2, readers=2, writers=2),
    "ntm, lstm": lambda: ntm("lstm", (5, 5)),
    "tape": lambda: tape(register=3, window=(-1, 0, 1), control=(0, -1)),
    "tape, own tapes, rounded": lambda: rounded(tape(register=3, heads=2, separate=True), 1.0),
    "tape, half rounded": lambda: rounded(tape(register=3), 0.5),
    "tape, lstm": lambda: tape("lstm", (5,)),
}


def graph_of(loop, taken, weights):
    """What `capture` makes, without a GPU: its graphs run the loop."""
    own = [None if t is None else t.detach().clone() for t in taken[: len(taken) - weights]]
    own += [w.detach() for w in taken[len(taken) - weights :]]
    wanted = [t.requires_grad_() for t, given in zip(own, taken) if t is not None and given.requires_grad]
    with torch.enable_grad():
        made = loop(*own)
    dsaid = torch.zeros_like(made[0])
    found = iter(torch.autograd.grad(made[0], wanted, dsaid, allow_unused=True))
    each = [next(found) if t is not None and t.requires_grad else None for t in own]
    gradients, left = torch.cat([d.reshape(-1) for d in each if d is not None]), []
    made = [t.detach() for t in made]

    def forth():
        with torch.enable_grad():
            left[:] = loop(*own)
        for place, value in zip(made, left):
            place.copy_(value.detach())

    def back():
        found = torch.autograd.grad(left[0], wanted, dsaid, allow_unused=True)
        gradients.copy_(torch.cat([d.reshape(-1) for d in found if d is not None]))
        left.clear()

    inputs = [t.detach() for t in own[: len(taken) - weights] if t is not None]
    return captured.Graph(inputs, made, dsaid, gradients, [None if d is None else d.shape for d in each], forth, back)


@pytest.fixture
def graphs(monkeypatch):
    """Machines on the CPU are run as on a GPU; the number of graphs that were made and of their ways, forth and back."""
    counts, plain = SimpleNamespace(made=0, forth=0, back=0), whole.plain

    def counted(name, call):
        def one():
            setattr(counts, name, getattr(counts, name) + 1)
            call()

        return one

    def capture(graphs, loop, taken, weights):
        made = graph_of(loop, taken, weights)
        counts.made += 1
        return made._replace(forth=counted("forth", made.forth), back=counted("back", made.back))

    def run(machine, output, inputs, ticks, state, noise, blur=False):
        return captured.run(machine, output, inputs, state, noise, blur)

    monkeypatch.setattr(torch.cuda, "graph_pool_handle", lambda: None)
    monkeypatch.setattr(torch.cuda, "Stream", lambda: None)
    monkeypatch.setattr(captured, "capture", capture)
    monkeypatch.setattr(captured, "disturbed", lambda x: False)
    monkeypatch.setattr(whole, "plain", lambda *given: plain(*given[:-1]))
    monkeypatch.setattr("ntm.models.machine.machine.Machine.whole", run)
    return counts


def everything(net, x, noise=None):
    """What a run says and leaves, and every gradient of what it says."""
    logits, state, _ = net(x, noise=noise)
    loss = (logits * numbers(*logits.shape, seed=9).to(logits)).sum()
    leaves = [p for p in (x, *net.parameters()) if p.requires_grad]
    found = [torch.zeros_like(p) if d is None else d for p, d in zip(leaves, torch.autograd.grad(loss, leaves, allow_unused=True))]
    return [t.detach().clone() for t in (logits, *whole.parts_of(*state), *found)]


def by_loop(net, x, noise=None):
    """As `everything`, by the loop."""
    with patch("ntm.models.machine.machine.Machine.whole", lambda *given: None):
        return everything(net, x, noise)


def equal(found, expected):
    """Bit by bit."""
    return all(torch.equal(one, two) for one, two in zip(found, expected, strict=True))


@pytest.mark.parametrize("name", MACHINES)
def test_graphs_take_and_give_what_the_loop_does(graphs, name):
    net, x = MACHINES[name](), numbers(4, 5, INPUTS).requires_grad_()
    noise = numbers(4, 5, net.noise_width, seed=2) if net.noise_width else None
    for seed in range(captured.OFTEN):
        everything(net, numbers(4, 5, INPUTS, seed=seed).requires_grad_(), noise)
    found = everything(net, x, noise)
    assert (graphs.made, graphs.forth, graphs.back) == (1, 2, 2)
    assert equal(found, by_loop(net, x, noise))


def test_a_graph_is_made_of_what_comes_often(graphs):
    net = ntm()
    for ticks in (5, 6, 5, 6, 7):
        everything(net, numbers(4, ticks, INPUTS))
    assert graphs.made == 0
    everything(net, numbers(4, 5, INPUTS))
    assert (graphs.made, graphs.forth) == (1, 1)
    for ticks in range(10, 10 + captured.MOST):
        everything(net, numbers(1, ticks, INPUTS))
    everything(net, numbers(4, 5, INPUTS))
    assert (graphs.made, graphs.forth) == (1, 1)


def often(net, x):
    """So often that the next one goes by a graph."""
    for _ in range(captured.OFTEN):
        everything(net, x)


@pytest.mark.parametrize("change", ["rounding", "weights elsewhere", "float32", "frozen", "blur", "deterministic"])
def test_what_is_fixed_in_a_graph_is_asked_for_anew(graphs, change):
    net, x = tape(register=3), numbers(4, 5, INPUTS)
    often(net, x)
    if change == "rounding":
        net.round(0.5)
    elif change == "weights elsewhere":
        net.output.weight.data = net.output.weight.data.clone()
    elif change == "float32":
        net, x = net.float(), x.float()
    elif change == "frozen":
        net.output.bias.requires_grad_(False)
    elif change == "deterministic":
        torch.use_deterministic_algorithms(True)
    try:
        if change == "blur":
            assert captured.run(net.cell, net.output, x, net.cell.initial_state(4), None, True) is None
        else:
            assert equal(everything(net, x), by_loop(net, x))
    finally:
        torch.use_deterministic_algorithms(False)
    assert graphs.forth == 1


def test_weights_that_change_in_place_are_seen(graphs):
    net, x = ntm(), numbers(4, 5, INPUTS)
    often(net, x)
    with torch.no_grad():
        for p in net.parameters():
            p.mul_(1.1)
    found = everything(net, x)
    assert graphs.forth == 2
    assert equal(found, by_loop(net, x))


def test_two_runs_before_their_ways_back(graphs):
    net, one, two = ntm(), numbers(4, 5, INPUTS), numbers(4, 5, INPUTS, seed=2)
    often(net, one)
    leaves = list(net.parameters())
    first, second = (net(x).logits.square().sum() for x in (one, two))
    assert graphs.forth == 2  # the second by the loop
    found = torch.autograd.grad(first, leaves), torch.autograd.grad(second, leaves)
    for x, gradients in zip((one, two), found):
        twin = copy.deepcopy(net)
        expected = torch.autograd.grad(twin(x).logits.square().sum(), list(twin.parameters()))
        assert equal(gradients, expected)


def test_a_run_that_nobody_goes_back_from_leaves_the_graph_free(graphs):
    net, x = ntm(), numbers(4, 5, INPUTS)
    often(net, x)
    kept = net(x)
    net(x)
    assert graphs.forth == 2
    del kept
    gc.collect()
    net(x)
    assert graphs.forth == 3


@pytest.mark.parametrize("what", ["twice", "second derivatives", "the last state", "nothing said"])
def test_ways_back_that_no_graph_has(graphs, what):
    net, x = ntm(register=2), numbers(4, 5, INPUTS)
    often(net, x)

    def gradients(net):
        leaves = list(net.parameters())
        logits, state, _ = net(x)
        if what == "twice":
            loss = logits.square().sum()
            torch.autograd.grad(loss, leaves, retain_graph=True)
            return torch.autograd.grad(loss, leaves)
        if what == "second derivatives":
            first = torch.autograd.grad(logits.square().sum(), leaves, create_graph=True)
            return torch.autograd.grad(sum(d.square().sum() for d in first), leaves)
        loss = state.access.memory.square().sum() + (logits.sum() if what == "the last state" else 0)
        return torch.autograd.grad(loss, leaves, allow_unused=True)

    found = gradients(net)
    assert (graphs.forth, graphs.back) == (2, 2 if what == "twice" else 1)
    assert_close(found, gradients(copy.deepcopy(net)))


def test_without_gradients_and_recorded_it_is_the_loop(graphs):
    net, x = ntm(), numbers(4, 5, INPUTS)
    often(net, x)
    with torch.no_grad():
        net(x)
    net(x, record=True)
    for p in net.parameters():
        p.requires_grad_(False)
    net(x)
    assert graphs.forth == 1


def test_a_run_that_cannot_be_captured_is_told_and_left_to_the_loop(graphs, monkeypatch):
    def capture(*given):
        raise RuntimeError("operation not permitted")

    monkeypatch.setattr(captured, "capture", capture)
    net, x = ntm(), numbers(4, 5, INPUTS)
    for _ in range(captured.OFTEN - 1):
        everything(net, x)
    with pytest.warns(UserWarning, match="no CUDA graph of this run, the loop goes on: operation not permitted"):
        everything(net, x)
    everything(net, x)  # told once


def test_on_the_cpu_it_is_never_asked(monkeypatch):
    monkeypatch.setattr(captured, "run", lambda *given: pytest.fail("captured"))
    for backend in ("auto", "eager"):
        layer = NTM(4, 8, slots=6, slot_width=3, backend=backend)
        layer(torch.zeros(2, 3, 4))[0].sum().backward()


def test_what_a_run_on_a_gpu_says_of_its_step():
    net = ntm()
    net.use("auto")
    assert net.prepare(4, gpu=True) == captured.TOLD
    net.use("eager")
    assert net.prepare(4, gpu=True) == "eager step"


def test_the_fused_step_is_refused_on_a_gpu(refused, monkeypatch):
    monkeypatch.setattr(train, "device_of", lambda config: "gpu")
    line = refused("train", *TINY, "trainer.backend=fused")
    allowed = "allowed: auto, eager, or trainer.accelerator=cpu"
    assert line == f"ntm.train: error: trainer.backend=fused: it is for the CPU; {allowed}\n"
