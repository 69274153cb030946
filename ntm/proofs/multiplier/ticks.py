"""Ticks of a multiplying machine by the names of its task: kind of tick, bit, place, register, and three slots.

Each is a decision of the real machine, made as `ntm.evaluate discrete=true` makes it. Slot 0 is the head's home. The head must
go as the protocol of tasks/binary_mul.py needs it: one slot on, and under the start flag always to the same slot, home or the
one before. A sweep then is n + 1 ticks from there on, and the start tick of the next one behind them.
"""

import sys
from typing import Any, Literal, NamedTuple

import numpy as np
import torch

from ntm.models.base import Model
from ntm.models.machine.discrete import Decisions, codes, shape_of, values
from ntm.models.machine.lookup import Code, small
from ntm.models.machine.machine import Machine
from ntm.models.machine.tape_heads import TapeHeads
from ntm.models.recurrent import Recurrent

Kind = Literal["load", "start", "none"]

FLAGS: dict[Kind, tuple[int, int]] = {"load": (1, 0), "start": (0, 1), "none": (0, 0)}
"""The inputs behind the data line."""

FAR = 3
"""This slot and all above it: from there home is out of reach of moves."""

SEES = (-1, 0, 1)
"""Offsets of the slots that a tick may depend on."""


class UnprovedError(Exception):
    """Why a proof does not close, in words."""


class StrayError(UnprovedError):
    """A head that goes elsewhere than a proof needs it: no other proof would be about another head."""


class Tick(NamedTuple):
    """What a tick depends on."""

    kind: Kind
    bit: int
    slot: int  # FAR for all from there on
    register: Code
    left: Code
    own: Code
    right: Code


class Did(NamedTuple):
    """What a tick does beside moving the head."""

    register: Code
    content: Code  # of the slot that it leaves
    number: int  # of the decision


class Product(NamedTuple):
    """What the product bit of a sweep depends on: its tick 2, and the three slots that are read at the end of it."""

    tick: Tick
    left: Code
    own: Code
    right: Code


def fits(model: Model) -> bool:
    """Whether a rounded model is of the kind that can be proved: one tape head that sees its slot and those beside it."""
    if not model.rounded or not isinstance(model, Recurrent) or not isinstance(model.cell, Machine):
        return False
    heads = model.cell.access
    return isinstance(heads, TapeHeads) and heads.heads == 1 and heads.shift_width == 3 and set(heads.window) <= set(SEES)


class Ticks(dict[Tick, Did]):
    """Every tick that was asked for; raises StrayError where the head goes elsewhere than it should."""

    def __init__(self, model: Any):
        super().__init__()
        machine = model.cell
        self.slots = small(shape_of(machine.access), sys.maxsize)
        self.decisions = Decisions(machine, model.output, self.slots)
        self.blank: Code = codes(self.decisions.start.access.memory[0, :1])[0]
        self.register: Code = codes(self.decisions.start.controller.register)[0]
        self.products: dict[Product, int] = {}
        self.first = self.begins()

    def begins(self) -> int:
        """The slot that sweeps begin at: home, or the one before where a fresh machine's head goes there."""
        return -1 if self.moved(Tick("start", 0, FAR, self.register, *[self.blank] * 3))[1] == -1 else 0

    def __missing__(self, tick: Tick) -> Did:
        did, to = self.moved(tick)
        due = self.first if tick.kind == "start" else tick.slot + 1
        if to != due:
            raise StrayError(f"on a tick of kind {tick.kind} a head goes from slot {tick.slot} to slot {to}, not {due}")
        self[tick] = did
        return did

    @torch.no_grad()
    def moved(self, tick: Tick) -> tuple[Did, int]:
        """What a tick does, and the slot that the head goes to."""
        shape = self.decisions.shape
        inputs = np.array([tick.bit, *FLAGS[tick.kind]], np.float32).tobytes()
        away = self.slots // 2 if tick.slot >= FAR else -tick.slot % self.slots
        seen = self.seen(tick.left, tick.own, tick.right, shape.offsets)
        number, register, content, move = self.decisions[(inputs, tick.register, away, *seen)]
        by_home, step = divmod(move, 2 * shape.reach + 1)
        return Did(register, content, number), (0 if by_home else tick.slot) + step - shape.reach

    @torch.no_grad()
    def product(self, asked: Product) -> int:
        """The product bit of a sweep."""
        if asked not in self.products:
            seen = self.seen(asked.left, asked.own, asked.right, self.decisions.machine.access.window)
            reads = torch.cat([values(code) for code in seen])[None]
            logit = self.decisions.logits(torch.tensor([[self[asked.tick].number]]), reads)
            self.products[asked] = int(logit[0, 0, 0] > 0)
        return self.products[asked]

    @staticmethod
    def seen(left: Code, own: Code, right: Code, offsets: tuple[int, ...]) -> list[Code]:
        """Three slots in the order of offsets."""
        return [(left, own, right)[SEES.index(offset)] for offset in offsets]
