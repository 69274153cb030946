"""Which machines the fused step can run, and a machine and its state as what it takes.

Letters: B batch, T ticks, I inputs, H heads, N slots.
"""

import math
from typing import Any

import torch
from torch import Tensor, nn

from ntm.models.machine.access import Access, HeadsState
from ntm.models.machine.controllers import LSTM, FeedForward, LSTMState, RegisterState
from ntm.models.machine.fused.step import FEW, MOST_KEPT, VARIANTS, Call, Sizes, Step, counts, kept_numbers
from ntm.models.machine.ntm_heads import NTMHeads
from ntm.models.machine.tape_heads import TapeHeads


def known(controller: nn.Module, access: Access) -> bool:
    """Whether these very kinds have a fused step: what is made of them anew may do anything."""
    return type(controller) in (FeedForward, LSTM) and type(access) in (NTMHeads, TapeHeads)


def plain(machine: nn.Module, output: nn.Linear | None, x: Tensor, state: Any, noise: Tensor | None) -> bool:
    """Whether nothing asks for what only the loop has: other devices or numbers, tracing, transforms, hooks, autocast."""
    if torch.compiler.is_compiling() or torch._C._are_functorch_transforms_active() or torch.is_autocast_enabled("cpu"):
        return False
    modules = [*machine.modules(), *([] if output is None else [output])]
    if any(m._forward_hooks or m._forward_pre_hooks or m._backward_hooks or m._backward_pre_hooks for m in modules):
        return False
    tensors = [x, *(p for m in modules for p in m.parameters(recurse=False)), *parts_of(*state), state[1].home]
    if noise is not None:
        tensors.append(noise)
    ordinary = all(type(t) in (Tensor, nn.Parameter) and t.device.type == "cpu" and t.dtype == x.dtype for t in tensors)
    return ordinary and x.dtype in VARIANTS and x.numel() > 0 and (noise is None or not noise.requires_grad)


def weights_of(controller: FeedForward | LSTM, access: NTMHeads | TapeHeads, output: nn.Linear | None) -> list[Tensor]:
    """Weights and biases in the order in which the library takes them."""
    weights: list[Tensor] = []
    layers = [access.addressing, access.writing, *([] if output is None else [output])]
    if isinstance(controller, LSTM):
        for cell in controller.cells:
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
    sizes.slot_width, sizes.moves, sizes.segment, sizes.threads = (
        access.slot_width,
        access.shift_width,
        x.shape[1],
        torch.get_num_threads(),
    )
    if isinstance(controller, LSTM):
        hidden = [controller.width] * len(controller.cells)
        sizes.lstm = 1
    else:
        hidden = [layer.out_features for layer in controller.layers if isinstance(layer, nn.Linear)]
        sizes.bits = controller.register
    sizes.layers, sizes.hidden = len(hidden), counts(hidden)
    if isinstance(access, TapeHeads):
        control = access.control or ()
        sizes.tape, sizes.readers, sizes.separate = 1, access.heads, int(access.tapes > 1)
        sizes.seen, sizes.window, sizes.flags, sizes.control = (
            len(access.window),
            counts(access.window),
            len(control),
            counts(control),
        )
    else:
        sizes.readers, sizes.writers = access.readers, access.writers
    return sizes


def run(controller: Any, access: Any, output: nn.Linear | None, x: Tensor, state: tuple, noise: Tensor | None) -> tuple:
    """What is said [B T ...] and the state (controller's, heads', reads) after inputs [B T I] from such a state."""
    heads, weights = state[1], weights_of(controller, access, output)
    first = [part.contiguous() for part in parts_of(*state)]
    sizes = sizes_of(controller, access, x, heads.memory.shape[1], 0 if output is None else output.out_features)
    variant = "float_8" if x.dtype == torch.float32 and len(x) <= FEW else VARIANTS[x.dtype]
    taken = [x.contiguous(), None if noise is None else noise.contiguous(), heads.home.contiguous(), *first]
    taken += [w.contiguous() for w in weights]
    keep = torch.is_grad_enabled() and any(t is not None and t.requires_grad for t in taken)
    if keep and kept_numbers(variant, sizes) * x.element_size() > MOST_KEPT:
        sizes.segment = math.isqrt(x.shape[1] - 1) + 1
    said, *last = Step.apply(Call(sizes, variant, keep, len(first)), *taken)
    *of_controller, memory, where, reads = last
    return said, (type(state[0])(*of_controller), HeadsState(memory, where, heads.home), reads)
