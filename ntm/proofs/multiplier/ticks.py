"""Ticks of a multiplying machine by the names of its task: kind of tick, bit, place, register, and three slots.

The head must go as the protocol of tasks/binary_mul.py needs it: one slot on, and under the start flag always to the same slot,
home or the one before. A sweep then is n + 1 ticks from there on, and the start tick of the next one behind them.
"""

from typing import Any, Literal, NamedTuple

from ntm.models.machine.lookup import Code
from ntm.proofs import ticks
from ntm.proofs.ticks import FAR, StrayError

Kind = Literal["load", "start", "none"]

FLAGS: dict[Kind, tuple[int, int]] = {"load": (1, 0), "start": (0, 1), "none": (0, 0)}
"""The inputs behind the data line."""


class Tick(NamedTuple):
    """What a tick depends on."""

    kind: Kind
    bit: int
    slot: int  # FAR for all from there on
    register: Code
    left: Code
    own: Code
    right: Code

    def plain(self) -> ticks.Tick:
        """The same for any machine."""
        return ticks.Tick((self.bit, *FLAGS[self.kind]), *self[2:])


class Product(NamedTuple):
    """What the product bit of a sweep depends on: its tick 2, and the three slots that are read at the end of it."""

    tick: Tick
    left: Code
    own: Code
    right: Code

    def plain(self) -> ticks.Ending:
        """The same for any machine."""
        return ticks.Ending(self.tick.plain(), *self[1:])


class Ticks(dict[Tick, ticks.Did]):
    """Every tick that was asked for; raises StrayError where the head goes elsewhere than it should."""

    def __init__(self, model: Any):
        super().__init__()
        self.all = ticks.Ticks(model)
        self.blank, self.register = self.all.blank, self.all.register
        self.products: dict[Product, int] = {}
        self.first = self.begins()

    def begins(self) -> int:
        """The slot that sweeps begin at: home, or the one before where a fresh machine's head goes there."""
        start = Tick("start", 0, FAR, self.register, *[self.blank] * 3)
        return -1 if self.all[start.plain()].slot(FAR) == -1 else 0

    def __missing__(self, tick: Tick) -> ticks.Did:
        did = self.all[tick.plain()]
        to, due = did.slot(tick.slot), self.first if tick.kind == "start" else tick.slot + 1
        if to != due:
            raise StrayError(f"on a tick of kind {tick.kind} a head goes from slot {tick.slot} to slot {to}, not {due}")
        self[tick] = did
        return did

    def product(self, asked: Product) -> int:
        """The product bit of a sweep."""
        if asked not in self.products:
            self.products[asked] = int(self.all.logits([asked.plain()])[0, 0] > 0)
        return self.products[asked]
