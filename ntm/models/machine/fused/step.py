"""A whole sequence of a machine in one call, forth and back, by the library's C++: the same numbers as `unroll` within rounding.

Letters: B batch, T ticks, I inputs, O outputs, K channels of noise, N slots, M slot width, H heads.
"""

import ctypes
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from ntm.models.machine.fused import library

MOST_KEPT = 2**27
"""Bytes that a run keeps for its way back; a longer one keeps the state at every so many ticks, and runs between them again."""

ALIGNED = 64
"""Bytes at whose multiples torch's memory begins, and vectors must."""


class Sizes(ctypes.Structure):
    """machine.h's."""

    _fields_ = [
        *((name, ctypes.c_int64) for name in ("batch", "ticks", "inputs", "outputs", "slots", "slot_width", "moves")),
        *((name, ctypes.c_int64) for name in ("lstm", "layers", "bits")),
        *((name, ctypes.c_int64) for name in ("tape", "readers", "writers", "separate", "seen", "flags", "blur")),
        ("rounding", ctypes.c_double),
        *((name, ctypes.c_int64) for name in ("segment", "threads")),
        *((name, ctypes.POINTER(ctypes.c_int64)) for name in ("hidden", "window", "control", "order", "lengths")),
    ]


class Arrays(ctypes.Structure):
    """machine.h's."""

    _fields_ = [
        *((name, ctypes.c_void_p) for name in ("x", "noise")),
        *((name, ctypes.POINTER(ctypes.c_void_p)) for name in ("weights", "first")),
        *((name, ctypes.c_void_p) for name in ("home", "said")),
        ("last", ctypes.POINTER(ctypes.c_void_p)),
        *((name, ctypes.c_void_p) for name in ("kept", "dsaid")),
        ("dlast", ctypes.POINTER(ctypes.c_void_p)),
        ("dx", ctypes.c_void_p),
        ("dfirst", ctypes.POINTER(ctypes.c_void_p)),
        *((name, ctypes.c_void_p) for name in ("dhome", "dweights")),
    ]


Loop = Callable[..., tuple[Tensor, ...]]
"""A run by the loop: from what `Step` takes to what it makes."""


class Call(NamedTuple):
    """What a run is of."""

    sizes: Sizes
    lanes: str  # of library.LANES
    kept: int  # numbers that are kept for a way back; 0: there is none
    states: int  # parts of the state
    loop: Loop  # the same by the loop


def at(tensors: Sequence[Tensor | None]) -> Any:
    """Where tensors are, as C's array."""
    return (ctypes.c_void_p * len(tensors))(*(None if t is None else t.data_ptr() for t in tensors))


def given(x: Tensor, noise: Tensor | None, home: Tensor, first: Sequence[Tensor], weights: Sequence[Tensor]) -> Arrays:
    """What either way takes."""
    places = {name: None if t is None else t.data_ptr() for name, t in (("x", x), ("noise", noise), ("home", home))}
    return Arrays(**places, first=at(first), weights=at(weights))


class Step(torch.autograd.Function):
    """(call, x [B T I], noise, home [B H N], the state's parts, weights) to what is said [B T O] and the last state's parts."""

    @staticmethod
    def forward(ctx: Any, call: Call, x: Tensor, noise: Tensor | None, home: Tensor, *rest: Tensor) -> tuple[Tensor, ...]:
        first, weights = rest[: call.states], rest[call.states :]
        outputs = (call.sizes.outputs or call.sizes.hidden[call.sizes.layers - 1] + first[-1].shape[1]) + call.sizes.blur
        said = x.new_empty(*x.shape[:2], outputs)
        last = [torch.empty_like(part) for part in first]
        kept = x.new_empty(call.kept) if call.kept else None
        arrays = given(x, noise, home, first, weights)
        arrays.said, arrays.last = said.data_ptr(), at(last)
        arrays.kept = None if kept is None else kept.data_ptr()
        run(call, arrays, back=False)
        if kept is not None:
            ctx.call = call
            ctx.save_for_backward(x, noise, home, kept, *rest)
            ctx.set_materialize_grads(False)
        return said, *last

    @staticmethod
    def backward(ctx: Any, dsaid: Tensor | None, *dlast: Tensor | None) -> tuple[Tensor | None, ...]:
        call, (x, noise, home, kept, *rest) = ctx.call, ctx.saved_tensors
        kept = kept if kept.data_ptr() % ALIGNED == 0 else kept.clone()  # a hook may have had it elsewhere meanwhile
        if torch.is_grad_enabled():
            return None, *differentiable(call.loop, (x, noise, home, *rest), (dsaid, *dlast))
        first, weights = rest[: call.states], rest[call.states :]
        needs = ctx.needs_input_grad[1:]  # x, noise, home, ...
        dlast = tuple(None if d is None else d.contiguous() for d in dlast)
        dsaid = None if dsaid is None else dsaid.contiguous()
        dx, dhome = (torch.empty_like(t) if needed else None for t, needed in ((x, needs[0]), (home, needs[2])))
        dfirst = [torch.empty_like(part) if needed else None for part, needed in zip(first, needs[3:])]
        dweights = x.new_zeros(sum(w.numel() for w in weights))
        arrays = given(x, noise, home, first, weights)
        arrays.kept, arrays.dlast, arrays.dfirst = kept.data_ptr(), at(dlast), at(dfirst)
        arrays.dsaid, arrays.dx, arrays.dhome = (None if t is None else t.data_ptr() for t in (dsaid, dx, dhome))
        arrays.dweights = dweights.data_ptr()
        run(call, arrays, back=True)
        parts = (part.view_as(w) for part, w in zip(dweights.split([w.numel() for w in weights]), weights, strict=True))
        return None, dx, None, dhome, *dfirst, *parts


def differentiable(loop: Loop, taken: Sequence[Tensor | None], gradients: Sequence[Tensor | None]) -> list[Tensor | None]:
    """Gradients that have a derivative themselves (`create_graph`): the loop's."""
    inputs = [None if t is None else t.view_as(t) for t in taken]  # one tensor may be taken twice: home, and where heads are
    pairs = [(made, d) for made, d in zip(loop(*inputs), gradients, strict=True) if d is not None and made.requires_grad]
    made, given = zip(*pairs, strict=True)
    wanted = [t for t in inputs if t is not None and t.requires_grad]
    found = iter(torch.autograd.grad(made, wanted, given, create_graph=True, allow_unused=True))
    return [next(found) if t is not None and t.requires_grad else None for t in inputs]


def run(call: Call, arrays: Arrays, back: bool) -> None:
    """One way; raises MemoryError."""
    if library.load(call.lanes).functions.run_lanes(ctypes.byref(call.sizes), ctypes.byref(arrays), int(back)):
        raise MemoryError("the fused step needs more memory than there is")


def kept_numbers(lanes: str, sizes: Sizes) -> int:
    """How many numbers a run keeps for its way back."""
    size = library.load(lanes).functions.kept_numbers
    size.restype = ctypes.c_int64
    return size(ctypes.byref(sizes))


def counts(numbers: Sequence[int]) -> Any:
    """Integers as C's array."""
    return (ctypes.c_int64 * len(numbers))(*numbers)
