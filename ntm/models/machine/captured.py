"""On a GPU, a run of a machine and its way back as two CUDA graphs: the loop's own kernels, all of them started by two calls.

Python starts some hundred small kernels a tick, and takes longer than they do; a graph remembers them and their places in memory.
Letters: B batch, T ticks, I inputs, O outputs, H heads.
"""

import warnings
import weakref
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from ntm.models.machine.fused import step, whole

TOLD = "captured step (CUDA graphs)"

OFTEN, MOST = 3, 32
"""At which sight of a kind of run its graph is made, which costs some runs of the loop, and how many kinds are remembered."""

SHARE = 0.5
"""Of the memory that is free, what a graph may keep for itself: the loop needs the rest."""


class Graph(NamedTuple):
    """One kind of run: `forth` reads `inputs` and the weights, `back` reads `dsaid` and what `forth` has left in memory."""

    inputs: list[Tensor]  # what is taken and no weight
    made: list[Tensor]  # what is said, and the last state's parts
    dsaid: Tensor
    gradients: Tensor  # one after the other
    shapes: list[torch.Size | None]  # theirs, of all that is taken; None: it has none
    forth: Callable[[], None]
    back: Callable[[], None]


class Ahead:
    """A way back that is still to come: until then what `forth` has left must stay."""


class Graphs:
    """Those of one machine, in one piece of memory: one run of theirs at a time can have its way back ahead."""

    def __init__(self) -> None:
        self.known: dict[Any, int | Graph | None] = {}  # sights so far; its graph; that it cannot be had
        self.ahead: Callable[[], Ahead | None] = lambda: None
        self.memory, self.stream = torch.cuda.graph_pool_handle(), torch.cuda.Stream()

    def of(self, key: Any, make: Callable[[], Graph | None]) -> Graph | None:
        """The graph of a kind of run, made where it is seen often; None: the loop it is."""
        found = self.known.pop(key, 0)
        if isinstance(found, int):
            try:
                found = found + 1 if found + 1 < OFTEN else make()
            except RuntimeError as error:
                warnings.warn(f"no CUDA graph of this run, the loop goes on: {error}", stacklevel=2)
                found = None
        self.known[key] = found
        if len(self.known) > MOST:
            del self.known[next(iter(self.known))]  # what was not seen for longest
        return None if isinstance(found, int) else found


OF: weakref.WeakKeyDictionary[nn.Module, Graphs] = weakref.WeakKeyDictionary()
"""Beside the machines and not in them: a graph can be neither copied nor saved."""


def run(machine: Any, output: nn.Linear | None, x: Tensor, state: Any, noise: Tensor | None, blur: bool) -> tuple | None:
    """What is said [B T ...] and the state after inputs [B T I]; None where the loop must run, or does as well."""
    if not torch.is_grad_enabled() or not whole.plain(machine, output, x, state, noise, "cuda") or disturbed(x):
        return None
    weights = whole.weights_of(machine.controller, machine.access, output)
    taken = [x, noise, state[1].home, *whole.parts_of(*state), *weights]
    if not any(t is not None and t.requires_grad for t in taken):
        return None
    graphs = OF[machine] = OF.get(machine) or Graphs()
    if graphs.ahead() is not None:
        return None
    loop = whole.loop_of(machine, output, blur, state)
    graph = graphs.of(key_of(machine, blur, taken, weights), lambda: capture(graphs, loop, taken, len(weights)))
    if graph is None:
        return None
    said, *last = Replay.apply(graphs, graph, loop, *taken)
    return said, whole.rebuilt(state, last, state[1].home)


def disturbed(x: Tensor) -> bool:
    """Whether x is not on the device in use, or somebody looks at what the loop keeps, or captures it already."""
    elsewhere = x.device.index != torch.cuda.current_device()
    watched = torch.is_anomaly_enabled() or torch._C._autograd._top_saved_tensors_default_hooks(False) is not None
    return elsewhere or watched or torch.cuda.is_current_stream_capturing()


def key_of(machine: Any, blur: bool, taken: Sequence[Tensor | None], weights: Sequence[Tensor]) -> tuple:
    """All that is fixed in a graph: shapes, where the weights are, numbers of Python's in a tick, and how torch multiplies."""
    shapes = tuple(None if t is None else (t.shape, t.dtype, t.device, t.requires_grad) for t in taken)
    numbers = repr([{k: v for k, v in vars(m).items() if k[0] != "_"} for m in (machine.controller, machine.access)])
    how = torch.get_float32_matmul_precision(), torch.are_deterministic_algorithms_enabled()
    return blur, shapes, tuple(w.data_ptr() for w in weights), numbers, how


def capture(graphs: Graphs, loop: step.Loop, taken: Sequence[Tensor | None], weights: int) -> Graph | None:
    """The graph of a run, or None where it would keep too much memory; raises RuntimeError where there can be none."""
    first, now = len(taken) - weights, torch.cuda.current_stream()
    own = [t if t is None else t.detach().clone(memory_format=torch.contiguous_format) for t in taken[:first]]
    own += [w if w is None else w.detach() for w in taken[first:]]  # the weights themselves: they change in place
    wanted = [t.requires_grad_() for t, given in zip(own, taken) if t is not None and given is not None and given.requires_grad]
    graphs.stream.wait_stream(now)
    with torch.cuda.stream(graphs.stream):  # once without a graph: what torch makes at first use must not be part of one
        before = torch.cuda.memory_allocated()
        said = loop(*own)[0]
        kept = torch.cuda.memory_allocated() - before
        dsaid = torch.zeros_like(said)
        torch.autograd.grad(said, wanted, dsaid, allow_unused=True)
        del said
    now.wait_stream(graphs.stream)
    torch.cuda.empty_cache()
    if kept > SHARE * torch.cuda.mem_get_info()[0]:
        return None
    forth, back = torch.cuda.CUDAGraph(), torch.cuda.CUDAGraph()
    with torch.cuda.graph(forth, graphs.memory, graphs.stream, "thread_local"):
        made = loop(*own)
    with torch.cuda.graph(back, graphs.memory, graphs.stream, "thread_local"):
        found = iter(torch.autograd.grad(made[0], wanted, dsaid, allow_unused=True))
        each = [next(found) if t is not None and t.requires_grad else None for t in own]
        gradients = torch.cat([d.reshape(-1) for d in each if d is not None])  # to be copied at once
    inputs, shapes = [t.detach() for t in own[:first] if t is not None], [None if d is None else d.shape for d in each]
    return Graph(inputs, [t.detach() for t in made], dsaid, gradients, shapes, forth.replay, back.replay)


class Replay(torch.autograd.Function):
    """(graphs, graph, loop, x [B T I], noise, home [B H N], state's parts, weights) to what is said [B T O] and the last parts."""

    @staticmethod
    def forward(ctx: Any, graphs: Graphs, graph: Graph, loop: step.Loop, *taken: Tensor | None) -> tuple[Tensor, ...]:
        for own, given in zip(graph.inputs, [t for t in taken if t is not None]):
            own.copy_(given)
        graph.forth()
        ctx.graph, ctx.loop, ctx.ahead = graph, loop, Ahead()
        graphs.ahead = weakref.ref(ctx.ahead)  # gone with what was said, where nobody goes back
        ctx.save_for_backward(*taken)
        ctx.set_materialize_grads(False)
        return tuple(t.clone() for t in graph.made)

    @staticmethod
    def backward(ctx: Any, dsaid: Tensor | None, *dlast: Tensor | None) -> tuple[Tensor | None, ...]:
        taken, graph, first, ctx.ahead = ctx.saved_tensors, ctx.graph, ctx.ahead, None
        twice = torch.is_grad_enabled()
        if twice or first is None or dsaid is None or any(d is not None for d in dlast):  # a graph goes back once
            with torch.enable_grad():
                found = step.differentiable(ctx.loop, taken, (dsaid, *dlast))
            return None, None, None, *(d if twice or d is None else d.detach() for d in found)
        graph.dsaid.copy_(dsaid)
        graph.back()
        parts = graph.gradients.clone().split([0 if shape is None else shape.numel() for shape in graph.shapes])
        return None, None, None, *(None if shape is None else part.view(shape) for part, shape in zip(parts, graph.shapes))
