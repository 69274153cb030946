"""The floor: what a machine's arithmetic alone would take here, at the speed of a plain matrix product on one thread.

Letters: H heads, M slot width, N slots.
"""

import time

import torch
from torch import nn

from ntm.models.machine.machine import Machine
from ntm.models.machine.ntm_heads import NTMHeads
from ntm.models.machine.tape_heads import TapeHeads
from ntm.models.recurrent import Recurrent
from ntm.training.optimizers import one_thread

PRODUCT = (64, 128, 128)
"""The matrix product that the floor is measured by."""

TIMES = 200
"""Products of one measurement: some milliseconds."""

FLOPS = 2 * 3
"""Of a multiply-add: a product and a sum, once forth and twice back."""


def multiply_adds(model: Recurrent) -> int:
    """Of one tick of one sequence, forth: every linear layer, and what the heads do to the memory."""
    return sum(weights_of(part) for part in model.modules()) + memory_of(model.cell)


def weights_of(part: nn.Module) -> int:
    """The weights of one linear layer or LSTM cell, each multiplied once a tick; 0 for anything else."""
    matrices = [p for p in part.parameters(recurse=False) if p.dim() == 2] if isinstance(part, nn.Linear | nn.LSTMCell) else []
    return sum(p.numel() for p in matrices)


def memory_of(machine: nn.Module) -> int:
    """What the heads do to the memory: N M for each key, once for norms, for each read, and two for each write."""
    assert isinstance(machine, Machine)
    access = machine.access
    assert isinstance(access, NTMHeads | TapeHeads)
    slots = access.start.slots * access.slot_width  # of one tape
    if isinstance(access, TapeHeads):
        return slots * access.heads * (2 + len(access.window))
    return slots * (access.heads + 1 + access.readers + 2 * access.writers)


def seconds(multiply_adds: float, flops: float) -> float:
    """What so many multiply-adds take, forth and back."""
    return multiply_adds * FLOPS / flops


class Product:
    """One measurement: operations a second of the matrix product, on one thread."""

    def __init__(self) -> None:
        rows, inner, columns = PRODUCT
        self.left, self.right, self.out = torch.rand(rows, inner), torch.rand(inner, columns), torch.empty(rows, columns)

    def __call__(self) -> float:
        with one_thread():
            start = time.perf_counter()
            for _ in range(TIMES):
                torch.mm(self.left, self.right, out=self.out)
            taken = time.perf_counter() - start
        rows, inner, columns = PRODUCT
        return TIMES * 2 * rows * inner * columns / taken
