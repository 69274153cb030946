"""Ticks of a rounded machine with tape heads: each is a decision of the real machine, as `ntm.evaluate discrete=true` makes it.

Slot 0 is a head's home. A tick depends on the inputs, the register, the slots that the head sees, and how far it is from home.
Where heads have a tape of their own each, a code is that of all of them, one after another.
"""

import sys
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from ntm.models.base import Model
from ntm.models.machine.discrete import Decisions, codes, on_cpu, shape_of, values
from ntm.models.machine.lookup import Code, small
from ntm.models.machine.machine import Machine
from ntm.models.machine.tape_heads import TapeHeads
from ntm.models.recurrent import Recurrent

FAR = 3
"""A slot so far from home, on either side, that home is out of reach of moves."""

SEES = (-1, 0, 1)
"""Offsets of the slots that a tick may depend on."""


TAPES = {1: "one tape head (model=tape)", 2: "two tape heads on tapes of their own (model.heads.separate=true)"}
"""Heads that can be proved, by their number."""


class UnprovedError(Exception):
    """Why a proof does not close, in words."""


def possible(lacking: str) -> None:
    """Raise UnprovedError where this says why there can be no proof; empty: there may be one."""
    if lacking:
        raise UnprovedError(lacking)


class StrayError(UnprovedError):
    """A head that goes elsewhere than a proof needs it: no other proof would be about another head."""


class Tick(NamedTuple):
    """What a tick depends on."""

    inputs: tuple[float, ...]
    slot: int  # FAR for all from there on
    register: Code
    left: Code
    own: Code
    right: Code


class Move(NamedTuple):
    """Where a head goes."""

    home: bool  # whether it goes home first
    step: int  # and then by so many slots


class Did(NamedTuple):
    """What a tick does."""

    register: Code
    content: Code  # of the slot that it leaves
    number: int  # of the decision
    moves: tuple[Move, ...]  # of every head

    def slot(self, before: int) -> int:
        """Where the first head is after it."""
        home, step = self.moves[0]
        return (0 if home else before) + step


class Ending(NamedTuple):
    """What is said on a tick depends on: the tick, and the three slots that are read at the end of it."""

    tick: Tick
    left: Code
    own: Code
    right: Code


class Endings(NamedTuple):
    """Ends of a tick, of one head on one tape, at which any of these contents are read in the three slots."""

    tick: Tick
    left: frozenset[Code]
    own: frozenset[Code]
    right: frozenset[Code]


def fits(model: Model, count: int = 1) -> bool:
    """Whether a rounded model is of a kind that can be proved: `count` tape heads, each on its own tape, that see their slot and
    those beside it.
    """
    if not model.rounded or not isinstance(model, Recurrent) or not isinstance(model.cell, Machine):
        return False
    heads = model.cell.access
    if not isinstance(heads, TapeHeads) or (heads.heads, heads.tapes) != (count, count):
        return False
    return heads.shift_width == 3 and set(heads.window) <= set(SEES)


class Ticks(dict[Tick, Did]):
    """Every tick that was asked for."""

    def __init__(self, model: Any):
        super().__init__()
        machine, output = on_cpu(model.cell, model.output)
        self.slots = small(shape_of(machine.access), sys.maxsize)
        self.decisions = Decisions(machine, output, self.slots)
        self.blank: Code = codes(self.decisions.start.access.memory[0, :1])[0]
        self.register: Code = codes(self.decisions.start.controller.register)[0]
        self.window: tuple[int, ...] = machine.access.window

    def __missing__(self, tick: Tick) -> Did:
        self.make([tick])
        return self[tick]

    @torch.no_grad()
    def make(self, asked: Sequence[Tick]) -> None:
        """Ask for ticks at once: of many this takes a small part of what one after the other does."""
        reach, keys = self.decisions.shape.reach, [self.key(tick) for tick in asked]
        self.decisions.of(list(dict.fromkeys(keys)))
        for tick, key in zip(asked, keys):
            number, register, *acts = self.decisions[key]
            moves = (divmod(move, 2 * reach + 1) for move in acts[1::2])
            goes = tuple(Move(bool(home), step - reach) for home, step in moves)
            self[tick] = Did(register, b"".join(acts[::2]), number, goes)

    def key(self, tick: Tick) -> tuple:
        """What the decision on a tick depends on."""
        shape = self.decisions.shape
        inputs = np.array(tick.inputs, np.float32).tobytes()
        away = self.slots // 2 if abs(tick.slot) >= FAR else -tick.slot % self.slots
        return (inputs, tick.register, *[away] * shape.heads, *self.seen(tick, shape.offsets))

    def seen(self, of: Tick | Ending, offsets: Sequence[int]) -> list[Code]:
        """The slots at these offsets, head by head."""
        heads = self.decisions.shape.heads
        slots = [(of.left, of.own, of.right)[SEES.index(offset)] for offset in offsets]
        width = len(of.own) // heads
        return [slot[head * width : (head + 1) * width] for head in range(heads) for slot in slots]

    @torch.no_grad()
    def logits(self, endings: Sequence[Ending]) -> Tensor:
        """What is said at each of them, [E O]."""
        numbers = torch.tensor([[self[ending.tick].number] for ending in endings])
        reads = b"".join(code for ending in endings for code in self.seen(ending, self.window))
        return self.decisions.logits(numbers, values(reads).view(len(endings), -1))[:, 0]
