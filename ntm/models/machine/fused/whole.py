"""Which machines the fused step can run, and a machine and its state as what it takes.

Letters: B batch, T ticks, I inputs, H heads, N slots.
"""

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd import forward_ad
from torch.nn.modules.module import _has_any_global_hook as has_global_hooks

from ntm.models.machine.access import Access, HeadsState
from ntm.models.machine.controllers import LSTM, FeedForward, LSTMState, RegisterState
from ntm.models.machine.fused import step
from ntm.models.machine.fused.library import USUAL, NoLibraryError, load
from ntm.models.machine.fused.step import MOST_KEPT, Call, Sizes, Step, counts, kept_numbers
from ntm.models.machine.ntm_heads import NTMHeads
from ntm.models.machine.tape_heads import TapeHeads
from ntm.models.recurrent import saying, unroll

MOST_STATE = 2**29
"""Numbers of a row's memory and heads that the library counts in C's int."""

CHUNKS: dict[torch.dtype, list[tuple[float, str]]] = {
    torch.float32: [(1, "float_1"), (4, "float_4"), (8, "float_8")],
    torch.float64: [(math.inf, "double_4")],
}
"""Lanes for so many rows at most: few rows in wide lanes would be mostly empty, and a long memory of theirs large."""

PLAIN = {FeedForward, LSTM, NTMHeads, TapeHeads, nn.Linear, nn.ReLU, nn.LSTMCell, nn.Sequential, nn.ModuleList}
"""Modules that the library knows."""


def known(controller: nn.Module, access: Access) -> bool:
    """Whether these very kinds have a fused step: what is made of them anew may do anything."""
    return type(controller) in (FeedForward, LSTM) and type(access) in (NTMHeads, TapeHeads)


def plain(machine: Any, output: nn.Linear | None, x: Tensor, state: Any, noise: Tensor | None, device: str = "cpu") -> bool:
    """Whether nothing asks for what only the loop has: other devices or numbers, tracing, transforms, hooks, autocast, layers of
    somebody else's, or shapes that it refuses."""
    if torch.compiler.is_compiling() or torch.jit.is_tracing() or torch.is_autocast_enabled(device):
        return False
    if torch._C._are_functorch_transforms_active() or torch._C._len_torch_dispatch_stack() or forward_ad._current_level >= 0:
        return False
    modules = [*machine.modules(), *([] if output is None else [output])]
    if any(m._forward_hooks or m._forward_pre_hooks or m._backward_hooks or m._backward_pre_hooks for m in modules):
        return False
    if has_global_hooks() or any("forward" in vars(m) or type(m) not in PLAIN for m in modules if m is not machine):
        return False
    if not sensible(machine.controller, machine.access, x.shape[-1]):
        return False
    tensors = [x, *([] if noise is None else [noise]), state[1].home, *parts_of(*state)]
    tensors += weights_of(machine.controller, machine.access, output)
    if not all(type(t) in (Tensor, nn.Parameter) and t.device.type == device and t.dtype == x.dtype for t in tensors):
        return False
    if x.dtype not in CHUNKS or x.dim() != 3 or x.numel() == 0 or (noise is not None and noise.requires_grad):
        return False
    if state[1].memory.numel() + 4 * state[1].home.numel() > MOST_STATE * len(x):
        return False
    expected = shapes(machine.controller, machine.access, output, x, state[1].memory, noise)
    return [tuple(t.shape) for t in tensors] == expected


def sensible(controller: Any, access: Any, inputs: int) -> bool:
    """Whether layers follow each other as they were built, and heads look at channels and slots that there are."""
    if isinstance(controller, FeedForward):
        kinds = [type(layer) for layer in controller.layers]
        if kinds != [nn.Linear, nn.ReLU] * (len(kinds) // 2):
            return False
    if isinstance(access, NTMHeads):
        return True
    control = [0] if access.control is None else access.control
    return len(access.window) > 0 and len(control) > 0 and all(-inputs <= channel < inputs for channel in control)


def shapes(controller: Any, access: Any, output: nn.Linear | None, x: Tensor, memory: Tensor, noise: Tensor | None) -> list[tuple]:
    """Of inputs, noise, home, the state's parts and weights: the library takes them as they should be."""
    batch, ticks, inputs = x.shape
    slots, hidden, bits = memory.shape[1], widths_of(controller), controller.noise_width
    said, width, moves, heads = hidden[-1], access.slot_width, access.shift_width, access.heads
    if isinstance(access, TapeHeads):
        tapes, read = access.tapes, heads * len(access.window) * width
        source = said if access.control is None else len(access.control)
        layers = [(heads * (2 + moves), source), (heads * 2 * width, said)]
    else:
        tapes, read = 1, access.readers * width
        layers = [(heads * (3 + width + moves), said), (access.writers * 2 * width, said)]
    given = inputs + read + bits
    if isinstance(controller, LSTM):
        own: list[tuple[int, ...]] = [(batch, len(hidden), said)] * 2
        cells = [[(4 * said, below), (4 * said, said)] for below in [given, *hidden[:-1]]]
        layers = [layer for cell in cells for layer in cell] + layers
    else:
        own = [(batch, bits)]
        layers = [*zip(hidden, [given, *hidden]), *([(bits, said)] if bits else []), *layers]
    layers += [] if output is None else [(output.out_features, said + read)]
    state = [*own, (batch, slots, tapes * width), (batch, heads, slots), (batch, read)]
    begin = [(batch, ticks, inputs), *([] if noise is None else [(batch, ticks, bits + access.noise_width)]), (batch, heads, slots)]
    return [*begin, *state, *(shape for layer in layers for shape in (layer, layer[:1]))]


def widths_of(controller: FeedForward | LSTM) -> list[int]:
    """Of its layers."""
    if isinstance(controller, LSTM):
        return [controller.width] * len(controller.cells)
    return [layer.out_features for layer in controller.layers if isinstance(layer, nn.Linear)]


def weights_of(controller: Any, access: NTMHeads | TapeHeads, output: nn.Linear | None) -> list[Tensor]:
    """Weights and biases in the order in which the library takes them."""
    weights: list[Tensor] = []
    layers = [access.addressing, access.writing, *([] if output is None else [output])]
    if isinstance(controller, LSTM):
        cells: list[Any] = [*controller.cells]
        for cell in cells:
            weights += [cell.weight_ih, cell.bias_ih, cell.weight_hh, cell.bias_hh]
    else:
        feedback = [] if controller.feedback is None else [controller.feedback]
        layers = [*(layer for layer in controller.layers if isinstance(layer, nn.Linear)), *feedback, *layers]
    for layer in layers:
        weights += [layer.weight, layer.bias]
    return weights


def parts_of(controller: RegisterState | LSTMState, access: HeadsState, reads: Tensor) -> list[Tensor]:
    """The changing parts of a state, in the library's order."""
    return [*controller, access.memory, access.weights, reads]


def sizes_of(controller: FeedForward | LSTM, access: NTMHeads | TapeHeads, x: Tensor, slots: int, outputs: int) -> Sizes:
    """A machine and a run's sizes, all records of it kept."""
    sizes = Sizes(batch=x.shape[0], ticks=x.shape[1], inputs=x.shape[2], outputs=outputs, slots=slots)
    sizes.slot_width, sizes.moves = access.slot_width, access.shift_width
    sizes.segment, sizes.threads = x.shape[1], torch.get_num_threads()
    hidden = widths_of(controller)
    sizes.layers, sizes.hidden = len(hidden), counts(hidden)
    sizes.lstm, sizes.bits = int(isinstance(controller, LSTM)), controller.noise_width
    if isinstance(access, TapeHeads):
        control = [channel % x.shape[2] for channel in access.control or ()]
        sizes.tape, sizes.readers, sizes.separate = 1, access.heads, int(access.tapes > 1)
        sizes.seen, sizes.window = len(access.window), counts(access.window)
        sizes.flags, sizes.control = len(control), counts(control)
        sizes.rounding = access.rounding
    else:
        sizes.readers, sizes.writers = access.readers, access.writers
    return sizes


def kind_of(rows: int, dtype: torch.dtype) -> str:
    """The lanes for so many rows."""
    return next((lanes for most, lanes in CHUNKS[dtype] if rows <= most), USUAL)


def lanes_of(x: Tensor) -> str:
    """The lanes for rows of x [B T I], or the usual ones where others cannot be built; raises NoLibraryError where none can."""
    lanes = kind_of(len(x), x.dtype)
    try:
        load(lanes)
        return lanes
    except NoLibraryError:
        if x.dtype != torch.float32:
            raise
        load(USUAL)
        return USUAL


class Loop(nn.Module):
    """A machine in the loop, from what `Step` takes to what it makes."""

    def __init__(self, machine: Any, output: nn.Linear | None, blur: bool):
        super().__init__()
        self.machine, self.output, self.blur = machine, nn.Identity() if output is None else output, blur
        names = {id(p): name for name, p in self.named_parameters(remove_duplicate=False)}
        self.names = [names[id(w)] for w in weights_of(machine.controller, machine.access, output)]

    def forward(self, x: Tensor, noise: Tensor | None, state: Any) -> tuple[Tensor, ...]:
        run = unroll(self.machine, saying(self.machine, self.output, self.blur), x, state, noise)
        return torch.stack(run.said, 1), *parts_of(*run.state)


def run(
    machine: Any, output: nn.Linear | None, x: Tensor, ticks: Tensor | None, state: Any, noise: Tensor | None, blur: bool
) -> tuple:
    """What is said [B T ...] and the parts of such a state after inputs [B T I], of which row b lasts ticks[b] (None: all T).

    `blur` adds a channel to what an output layer says: `Machine.blur`.

    Rows of about one length are run together, and no longer than the longest of them lasts: after it they say zeros.
    """
    controller, access, heads = machine.controller, machine.access, state[1]
    weights = weights_of(controller, access, output)
    first = [part.contiguous() for part in parts_of(*state)]
    sizes = sizes_of(controller, access, x, heads.memory.shape[1], 0 if output is None else output.out_features)
    sizes.blur = int(blur)
    if ticks is not None:
        lengths = [min(length, x.shape[1]) for length in ticks.tolist()]
        sizes.lengths, sizes.order = counts(lengths), counts(sorted(range(len(x)), key=lambda row: -lengths[row]))
    lanes = lanes_of(x)
    taken = [x.contiguous(), None if noise is None else noise.contiguous(), heads.home.contiguous(), *first]
    taken += [w.contiguous() for w in weights]
    kept = 0
    if torch.is_grad_enabled() and any(t is not None and t.requires_grad for t in taken):
        kept = kept_numbers(lanes, sizes)
        if kept * x.element_size() > MOST_KEPT:
            sizes.segment = math.isqrt(x.shape[1] - 1) + 1
            kept = kept_numbers(lanes, sizes)

    said, *last = Step.apply(Call(sizes, lanes, kept, len(first), loop_of(machine, output, blur, state)), *taken)
    return said, rebuilt(state, last, heads.home)


def rebuilt(state: Any, parts: Sequence[Tensor], home: Tensor) -> Any:
    """A state like this one, of such parts."""
    *of_controller, memory, where, reads = parts
    return type(state)(type(state[0])(*of_controller), HeadsState(memory, where, home), reads)


def loop_of(machine: Any, output: nn.Linear | None, blur: bool, state: Any) -> step.Loop:
    """The loop, from what `Step` takes to what it makes, with states like this one."""
    count = len(parts_of(*state))

    def loop(x: Tensor, noise: Tensor | None, home: Tensor, *rest: Tensor) -> tuple[Tensor, ...]:
        whole = Loop(machine, output, blur)
        named = dict(zip(whole.names, rest[count:], strict=True))
        return torch.func.functional_call(whole, named, (x, noise, rebuilt(state, rest[:count], home)))

    return loop
