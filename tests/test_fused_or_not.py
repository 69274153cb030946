"""When the loop runs although the fused step is there, and what else a layer must go through."""

import copy
import io
import os
import pickle
import signal
import subprocess
import sys
import time

import pytest
import torch
from apart import LONG
from both_steps import INPUTS, needs_library, ntm, numbers, tape
from test_fused import MACHINES
from torch import nn
from torch.testing import assert_close
from torch.utils.flop_counter import FlopCounterMode

from ntm import NTM, Tape
from ntm.errors import UserError
from ntm.models.machine import FeedForward, Machine, NTMHeads

pytestmark = needs_library
X = torch.randn(2, 3, 4, generator=torch.Generator().manual_seed(0))


@pytest.fixture
def layer():
    torch.manual_seed(0)
    return NTM(4, 8, slots=6, slot_width=3, backend="fused")


@pytest.fixture
def loops(monkeypatch):
    """How many ticks the loop has run."""
    count, forward = [], Machine.forward
    monkeypatch.setattr(Machine, "forward", lambda *given: count.append(1) or forward(*given))
    return count


def by_loop(layer, x):
    """What the loop makes of it."""
    layer.cell.use("eager")
    outputs, _ = layer(x)
    layer.cell.use("fused")
    return outputs


def test_without_a_reason_no_tick_of_the_loop_is_run(layer, loops):
    layer(X)
    assert not loops


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # torch's own, of its jit
def test_transforms(layer, loops):
    parameters = dict(layer.named_parameters())

    def loss(parameters, x):
        return torch.func.functional_call(layer, parameters, (x,))[0].square().sum()

    gradients = torch.func.grad(loss)(parameters, X)
    expected = torch.autograd.grad(by_loop(layer, X).square().sum(), list(layer.parameters()))
    loops.clear()
    assert_close(list(gradients.values()), list(expected))
    each = torch.func.vmap(lambda x: layer(x[None])[0][0])(X)
    assert len(loops) == 3
    assert_close(each, layer(X)[0])
    assert_close(torch.func.jvp(lambda x: layer(x)[0], (X,), (X,))[1], forward_derivative(layer, X))


def forward_derivative(layer, x):
    with torch.autograd.forward_ad.dual_level():
        made = layer(torch.autograd.forward_ad.make_dual(x, x))[0]
        return torch.autograd.forward_ad.unpack_dual(made).tangent


def test_tracing_and_modes_see_the_loop(layer, loops):
    with FlopCounterMode(display=False) as counter:
        layer(X)
    assert len(loops) == 3
    assert counter.get_total_flops() > 0


@pytest.mark.filterwarnings("ignore")  # torch's, of its old tracer
def test_traced_it_does_the_same(layer):
    traced = torch.jit.trace(layer, X, check_trace=False)
    more = torch.randn_like(X)
    assert_close(traced(more)[0], layer(more)[0])


def test_hooks_are_called(layer, loops):
    seen = []
    handle = layer.cell.access.writing.register_forward_hook(lambda module, given, made: seen.append(made))
    layer(X)
    assert len(seen) == len(loops) == 3
    handle.remove()
    layer(X)
    assert len(loops) == 3
    with nn.modules.module.register_module_forward_hook(lambda module, given, made: seen.append(made)):
        layer(X)
    assert len(loops) == 6


def test_autocast(layer):
    with torch.autocast("cpu", torch.bfloat16):
        assert layer.cell.whole(None, X, None, layer.cell.initial_state(2), None) is None
    assert layer.cell.whole(None, X, None, layer.cell.initial_state(2), None) is not None


def test_other_devices_and_numbers(layer, loops):
    assert layer.to("meta")(X.to("meta"))[0].shape == (2, 3, layer.width)
    half = NTM(4, 8, slots=6, slot_width=3, backend="fused").to(torch.bfloat16)
    assert half(X.bfloat16())[0].dtype == torch.bfloat16
    assert len(loops) == 6


def test_noise_that_wants_a_gradient_gets_one(loops):
    net = tape(register=2)
    net.use("fused")
    noise = numbers(2, 3, net.noise_width).requires_grad_()
    net(numbers(2, 3, INPUTS), noise=noise).logits.sum().backward()
    assert len(loops) == 3
    assert noise.grad.abs().max() > 0


class Doubled(nn.Linear):
    def forward(self, x):
        return 2 * super().forward(x)


def test_what_is_made_anew_is_left_to_the_loop(layer, loops):
    inside = layer.cell.access.writing
    layer.cell.access.writing = Doubled(inside.in_features, inside.out_features)
    assert torch.equal(layer(X)[0], by_loop(layer, X))
    layer.cell.access.writing = inside
    layer.cell.controller.layers.append(nn.Linear(8, 8))
    assert torch.equal(layer(X)[0], by_loop(layer, X))
    del layer.cell.controller.layers[-1]
    layer.cell.controller.layers[1] = nn.Tanh()
    assert torch.equal(layer(X)[0], by_loop(layer, X))
    layer.cell.controller.layers[1] = nn.ReLU()
    nn.utils.parametrizations.weight_norm(inside)
    assert torch.equal(layer(X)[0], by_loop(layer, X))
    assert len(loops) == 24


@pytest.mark.parametrize("part", [FeedForward, NTMHeads, Machine])
def test_a_class_of_ones_own_is_left_to_the_loop(part, layer, loops):
    own = type("Own", (part,), {})
    cell = layer.cell
    heads = NTMHeads(8, 3, 3) if part is not NTMHeads else own(8, 3, 3)
    controller = FeedForward(4 + 3, [8]) if part is not FeedForward else own(4 + 3, [8])
    cell = Machine(controller, heads) if part is not Machine else own(controller, heads)
    cell.use("auto")
    assert cell.whole(None, X, None, cell.initial_state(2), None) is None
    with pytest.raises(UserError, match="this model has no fused step; allowed: auto, eager"):
        cell.use("fused")


def test_shapes_that_do_not_fit_are_refused_as_ever(layer):
    net = ntm(register=2)
    net.use("fused")
    state = net.cell.initial_state(2)
    longer, wider = net.cell.initial_state(3), state._replace(reads=torch.zeros(2, 9, dtype=torch.float64))
    shorter = state._replace(controller=type(state.controller)(state.controller.register[:, :1]))
    for x, first in [(2, longer), (2, wider), (2, shorter), (3, state)]:
        with pytest.raises(RuntimeError):
            net(numbers(x, 3, INPUTS), state=first)
    for given in (numbers(2, 3, INPUTS + 1), numbers(2, 3, INPUTS - 1)):
        with pytest.raises(RuntimeError):
            net(given)
    with pytest.raises(RuntimeError):
        net(numbers(2, 3, INPUTS), noise=numbers(2, 3, 5))
    with pytest.raises(IndexError):
        Tape(4, control=(0, 4), backend="fused")(X)
    with pytest.raises(RuntimeError):
        layer(X[:, :0])
    assert layer(X[:0])[0].shape == (0, 3, layer.width)


def test_weights_that_change_before_the_way_back_are_told(layer):
    outputs, _ = layer(X)
    with torch.no_grad():
        layer.cell.access.writing.weight.mul_(2)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        outputs.sum().backward()


def test_the_way_back_twice(layer):
    x = X.clone().requires_grad_()
    outputs, _ = layer(x)
    first, second = (torch.autograd.grad(outputs.sum(), x, retain_graph=True)[0] for _ in range(2))
    assert torch.equal(first, second)


@pytest.mark.parametrize("kind", ["learned", "window", "two lstms"])
def test_derivatives_of_derivatives_are_those_of_the_loop(kind, loops):
    """A penalty on gradients, of weights, inputs and where it starts."""
    made = []
    for backend in ("eager", "fused"):
        net = MACHINES[kind]()
        net.use(backend)
        x = numbers(2, 3, INPUTS).requires_grad_()
        logits = net(x).logits
        loops.clear()
        leaves = [x, *net.parameters()]
        gradients = torch.autograd.grad(logits.square().sum(), leaves, create_graph=True, allow_unused=True)
        made.append([g for g in gradients if g is not None])
        penalty = sum(g.square().sum() for g in made[-1])
        made[-1] += [g for g in torch.autograd.grad(penalty, leaves, allow_unused=True) if g is not None]
    assert len(loops) == 3
    assert_close(*made, rtol=1e-8, atol=1e-8)


def test_layouts_of_inputs_and_weights_do_not_matter(layer):
    expected = layer(X)[0]
    turned = X.transpose(0, 1).contiguous().transpose(0, 1)
    assert not turned.is_contiguous()
    assert torch.equal(layer(turned)[0], expected)
    weight = layer.cell.access.writing.weight
    weight.data = weight.data.t().contiguous().t()
    outputs, _ = layer(X)
    assert torch.equal(outputs, expected)
    gradient = torch.autograd.grad(outputs.sum(), weight)[0]
    assert_close(gradient, torch.autograd.grad(by_loop(layer, X).sum(), weight)[0])
    one = X[:1].expand(5, -1, -1)
    assert_close(layer(one)[0], expected[:1].expand(5, -1, -1))


def test_what_is_saved_may_have_been_elsewhere(layer):
    def moved(saved):
        place = torch.empty(saved.numel() + 1, dtype=saved.dtype)[1:].view(saved.shape)  # where no vector may begin
        return place.copy_(saved)

    expected = torch.autograd.grad(layer(X)[0].sum(), list(layer.parameters()))
    with torch.autograd.graph.saved_tensors_hooks(lambda t: t, moved):
        made = torch.autograd.grad(layer(X)[0].sum(), list(layer.parameters()))
    assert all(map(torch.equal, expected, made))
    again = torch.utils.checkpoint.checkpoint(lambda x: layer(x)[0], X, use_reentrant=False)
    assert all(map(torch.equal, expected, torch.autograd.grad(again.sum(), list(layer.parameters()))))


def test_copies_and_inference(layer):
    expected = layer(X)[0]
    assert torch.equal(copy.deepcopy(layer)(X)[0], expected)
    assert torch.equal(pickle.loads(pickle.dumps(layer))(X)[0], expected)
    file = io.BytesIO()
    torch.save(layer.state_dict(), file)
    assert set(layer.state_dict()) == {name for name, _ in layer.named_parameters()}
    file.seek(0)
    twin = NTM(4, 8, slots=6, slot_width=3, backend="fused")
    twin.load_state_dict(torch.load(file, weights_only=True))
    assert torch.equal(twin(X)[0], expected)
    with torch.inference_mode():
        outputs, state = layer(X)
        assert torch.equal(outputs, expected)
        assert not layer(X, state)[0].requires_grad
    with torch.no_grad():
        assert layer(X)[0].grad_fn is None


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of Python 3.12, for whoever forks with threads
def test_a_fork_has_threads_of_its_own():
    """Those that wait for work are not in it; it would wait for them."""
    layer, x = NTM(3, slots=4), torch.rand(40, 3, 3)
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        expected = layer(x)[0].detach()
        child = os.fork()
        if child == 0:
            os._exit(0 if torch.equal(layer(x)[0], expected) else 1)
        for _ in range(1000):
            ended, status = os.waitpid(child, os.WNOHANG)
            if ended:
                break
            time.sleep(0.01)
        else:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
        assert ended
        assert status == 0
    finally:
        torch.set_num_threads(before)


@pytest.mark.parametrize("told", [None, "active"])
def test_idle_threads_of_torch_sleep_unless_told_otherwise(told, monkeypatch):
    monkeypatch.delenv("OMP_WAIT_POLICY", raising=False)
    if told:
        monkeypatch.setenv("OMP_WAIT_POLICY", told)
    code = "import ntm, os, sys; assert 'torch' not in sys.modules; print(os.environ['OMP_WAIT_POLICY'])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=LONG)
    assert done.stdout.strip() == (told or "passive")
