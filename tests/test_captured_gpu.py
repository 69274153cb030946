"""The captured step on a GPU: bit by bit the loop's. CI has none: run these where there is one."""

import copy
import pickle
import warnings

import pytest
import torch
from both_steps import INPUTS, ntm, numbers
from conftest import TINY
from test_captured import MACHINES, equal, everything
from torch.testing import assert_close
from torch.utils.checkpoint import checkpoint

from ntm import NTM
from ntm.models.machine import captured

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")


def both(net, x, noise=None):
    """By the loop, and as it comes once there is a graph."""
    loop = copy.deepcopy(net)
    loop.use("eager")
    net.use("auto")
    for seed in range(captured.OFTEN):
        everything(net, numbers(*x.shape, seed=seed).to(x).requires_grad_(), noise)
    x.requires_grad_()
    return everything(loop, x, noise), everything(net, x, noise)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("name", MACHINES)
def test_on_a_gpu_everything_is_the_loops(name, dtype):
    net, x = MACHINES[name]().to("cuda", dtype), numbers(4, 7, INPUTS).to("cuda", dtype)
    noise = numbers(4, 7, net.noise_width, seed=2).to(x) if net.noise_width else None
    with warnings.catch_warnings(action="error"):
        loop, found = both(net, x, noise)
    (made,) = captured.OF[net.cell].known.values()
    assert isinstance(made, captured.Graph)
    assert_close(found, loop, rtol=1e-5 if dtype == torch.float32 else 1e-12, atol=1e-6 if dtype == torch.float32 else 1e-13)
    assert equal(found, loop)


def test_on_a_gpu_shapes_share_their_memory():
    """In any order, and with runs of the loop between them."""
    net = ntm(register=2).to("cuda")
    loop = copy.deepcopy(net)
    loop.use("eager")
    net.use("auto")
    for seed in range(20):
        x = numbers(4, 5 + seed % 3 * 4 if seed < 15 else 5 + (seed * 7) % 5 * 2, INPUTS, seed=seed).to("cuda")
        assert equal(everything(net, x), everything(loop, x)), seed
    assert sum(isinstance(known, captured.Graph) for known in captured.OF[net.cell].known.values()) == 3


def test_on_a_gpu_a_run_that_would_keep_too_much_is_left_to_the_loop(monkeypatch):
    monkeypatch.setattr(captured, "SHARE", 0.0)
    net = ntm().to("cuda")
    loop, found = both(net, numbers(4, 7, INPUTS).to("cuda"))
    assert equal(found, loop)
    assert list(captured.OF[net.cell].known.values()) == [None]


def test_on_a_gpu_a_layer_goes_by_its_graph_and_its_checkpoints_by_the_loop():
    layer, x = NTM(4, 8, slots=6, slot_width=3).to("cuda"), torch.rand(2, 5, 4, device="cuda", requires_grad=True)
    found = [torch.autograd.grad(layer(x)[0].square().sum(), [x, *layer.parameters()]) for _ in range(captured.OFTEN)]
    (made,) = captured.OF[layer.cell].known.values()
    assert isinstance(made, captured.Graph)
    said = checkpoint(lambda x: layer(x)[0], x, use_reentrant=False)
    found.append(torch.autograd.grad(said.square().sum(), [x, *layer.parameters()]))
    assert all(equal(one, found[0]) for one in found)
    assert isinstance(pickle.loads(pickle.dumps(layer)), NTM)


def test_on_a_gpu_a_resumed_run_is_bit_identical(run, capsys):
    words = [*TINY, "trainer.accelerator=gpu"]
    run("train", *words, "trainer.max_steps=20", "run_dir=whole")
    assert captured.TOLD in capsys.readouterr().out
    run("train", *words, "trainer.max_steps=10", "run_dir=part")
    run("train", "resume=part", "trainer.max_steps=20")
    run("train", *words, "trainer.backend=eager", "trainer.max_steps=20", "run_dir=loop")
    one, two, three = (torch.load(f"{n}/last.ckpt", weights_only=True)["state_dict"] for n in ("whole", "part", "loop"))
    assert all(torch.equal(value, two[name]) and torch.equal(value, three[name]) for name, value in one.items())
