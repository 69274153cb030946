"""Ticks of a multiplying machine by the names of its task: kind of tick, bit, place, register, and three slots.

Each is a decision of the real machine, made as `ntm.evaluate discrete=true` makes it. The head must go as the protocol of
tasks/binary_mul.py needs it: under the start flag to where a sweep begins, home or the slot before it, and else one slot on.
Slots are counted from there: 0 is the first one that a sweep writes, -first is home, where loading begins.
"""

import sys
from array import array
from typing import Any, Literal, NamedTuple

import numpy as np
import torch

from ntm.models.base import Model
from ntm.models.machine.discrete import Decisions, codes, shape_of, values
from ntm.models.machine.lookup import Code, Decision, small
from ntm.models.machine.machine import Machine
from ntm.models.machine.tape_heads import TapeHeads
from ntm.models.recurrent import Recurrent

Kind = Literal["load", "start", "none"]

FLAGS: dict[Kind, tuple[int, int]] = {"load": (1, 0), "start": (0, 1), "none": (0, 0)}
"""The inputs behind the data line."""

FAR = 4
"""This slot and all above it: from there home is out of reach of moves."""

SEES = (-1, 0, 1)
"""Offsets of the slots that a tick may depend on."""


class UnprovedError(Exception):
    """Why a proof does not close, in words."""


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
    """Whether a model is of the kind that can be proved: rounded, with one tape head that sees its slot and those beside it."""
    if not isinstance(model, Recurrent) or not isinstance(model.cell, Machine) or not model.rounded:
        return False
    heads = model.cell.access
    assert isinstance(heads, TapeHeads)  # or it would not be rounded
    return heads.heads == 1 and heads.shift_width == 3 and set(heads.window) <= set(SEES)


class Ticks(dict[Tick, Did]):
    """Every tick that was asked for; raises UnprovedError where the head goes elsewhere than it should."""

    def __init__(self, model: Any):
        super().__init__()
        machine = model.cell
        self.slots = small(shape_of(machine.access), sys.maxsize)
        self.decisions = Decisions(machine, model.output, self.slots)
        self.blank: Code = codes(self.decisions.start.access.memory[0, :1])[0]
        self.register: Code = codes(self.decisions.start.controller.register)[0]
        self.products: dict[Product, int] = {}
        *_, move = self.decision("start", 0, FAR, self.register, self.blank, self.blank, self.blank)
        self.first = move % self.moves - self.moves // 2  # where a sweep begins, seen from home

    @torch.no_grad()
    def __missing__(self, tick: Tick) -> Did:
        number, register, content, move = self.decision(*tick)
        by_home, step = divmod(move, self.moves)
        to = (-self.first if by_home else tick.slot) + step - self.moves // 2
        if self.first not in (-1, 0):
            raise UnprovedError(f"under the start flag the head goes to slot {self.first}, not home or to the slot before it")
        if to != (0 if tick.kind == "start" else tick.slot + 1):
            where = f"to slot {self.first}" if tick.kind == "start" else "one slot on"
            at = f"from slot {tick.slot + self.first} to slot {to + self.first}"
            raise UnprovedError(f"a head that should go {where} (kind of tick: {tick.kind}) goes {at}")
        self[tick] = did = Did(register, content, number)
        return did

    @property
    def moves(self) -> int:
        """How many there are."""
        return 2 * self.decisions.shape.reach + 1

    def decision(self, kind: Kind, bit: int, slot: int, register: Code, *seen: Code) -> Decision:
        """What the machine does, with the three slots `seen`."""
        inputs = np.array([bit, *FLAGS[kind]], np.float32).tobytes()
        away = self.slots // 2 if slot >= FAR else -(slot + self.first) % self.slots
        left, own, right = seen
        return self.decisions[(inputs, register, away, *self.seen(left, own, right, self.decisions.shape.offsets))]

    @torch.no_grad()
    def product(self, asked: Product) -> int:
        """The product bit of a sweep."""
        if asked not in self.products:
            seen = self.seen(asked.left, asked.own, asked.right, self.decisions.machine.access.window)
            reads = torch.cat([values(code) for code in seen])[None]
            logit = self.decisions.logits(array("q", [self[asked.tick].number]), reads)
            self.products[asked] = int(logit[0, 0] > 0)
        return self.products[asked]

    @staticmethod
    def seen(left: Code, own: Code, right: Code, offsets: tuple[int, ...]) -> list[Code]:
        """Three slots in the order of offsets."""
        return [(left, own, right)[SEES.index(offset)] for offset in offsets]
