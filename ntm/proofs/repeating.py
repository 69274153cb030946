"""The proof of a repeater: what slots may hold, by the vectors that came there, and all that is said as a head passes over them.

It is about the repeat copy that is clocked (tasks/repeat_copy.py). While it listens, a head goes one slot on with every vector; the
delimiter, and the flag before another copy, send it home; while it answers, it goes one slot on again. All that is kept of a slot
is the vector that came there, and whether it is near home. So any slot may be beside any other, and any vector the last one.
"""

from collections import defaultdict
from collections.abc import Iterator
from itertools import product
from typing import NamedTuple

from ntm.models.machine.lookup import Code
from ntm.models.machine.tape_heads import TapeHeads
from ntm.proofs import copying
from ntm.proofs.copying import Vector, goes
from ntm.proofs.lockstep import Lockstep, Proof, near
from ntm.proofs.ticks import FAR, Tick, Ticks, possible

SILENT, DELIMITER, AGAIN = (0, 0), (1, 0), (0, 1)
"""Kinds of ticks by their last two channels: the delimiter, and whether another copy follows."""


HOME = 0
"""The slot that copies begin at."""


class Slot(NamedTuple):
    """What is known of a slot but for what it holds."""

    place: int  # near home, or FAR
    vector: Vector | None  # that came there; None: it is behind all of them


class Come(NamedTuple):
    """A head that comes to a slot while it answers."""

    register: Code
    place: int


def prove_repeating(ticks: Ticks, width: int) -> Proof:
    """That a machine repeats vectors of so many bits as often as flags say; raises UnprovedError where no proof is found."""
    possible(lacks(ticks.decisions.machine.access, width))
    search = Repeater(ticks, width)
    search.listen()
    search.answer()
    return search.steps.proof()


def lacks(heads: TapeHeads, width: int) -> str:
    """Why there can be no proof with these heads of vectors of so many bits; empty: there may be one."""
    window = list(heads.window)
    if window != [0]:
        return f"model.heads.window={window}: other than [0], and all neighbours would be gone through"
    return copying.lacks(width)


class Repeater:
    """The search."""

    def __init__(self, ticks: Ticks, width: int):
        self.steps, self.blank, self.register = Lockstep(ticks), ticks.blank, ticks.register
        self.vectors: list[Vector] = list(product((0, 1), repeat=width))
        self.silence = (0,) * width
        self.held: dict[Slot, set[Code]] = defaultdict(set)  # what slots may hold
        self.begun: set[Come] = set()
        self.read: set[tuple[Tick, frozenset[Code], Vector]] = set()

    def listen(self) -> None:
        """All words, and what they leave in slots."""
        waiting = [Come(self.register, HOME)]
        known = set(waiting)
        for come in waiting:
            for vector in self.vectors:
                _, left, after = self.tick((*vector, *SILENT), come, self.blank, come.place + 1)
                self.held[Slot(come.place, vector)].add(left)
                self.steps.note(known, waiting, after)
        for come in waiting:
            if come.place > 0:  # a word is of one vector at least
                _, left, after = self.tick((*self.silence, *DELIMITER), come, self.blank, HOME)
                self.held[Slot(come.place, None)] |= {left, self.blank}
                self.begun.add(after)

    def answer(self) -> None:
        """All copies: what one leaves in slots is found by the next one, so all begins again with it."""
        count = 0
        while count != (count := sum(map(len, self.held.values()))):
            waiting = sorted(self.begun)
            known = set(waiting)
            for come in waiting:
                for slot in self.slots(come.place):
                    for content in sorted(self.held[slot]):
                        for after in self.said(come, slot, content):
                            self.steps.note(known, waiting, after)

    def said(self, come: Come, slot: Slot, content: Code) -> Iterator[Come]:
        """Where the head may be a tick later; what is due is the vector that came to its slot, or behind all of them the marker."""
        if slot.vector is None:
            tick, _, after = self.tick((*self.silence, *SILENT), come, content, come.place + 1)
            self.ends(tick, [Slot(after.place, None)], (*self.silence, 1))
            return
        for kind, to in ((SILENT, come.place + 1), (AGAIN, HOME)):
            tick, left, after = self.tick((*self.silence, *kind), come, content, to)
            self.held[slot].add(left)
            self.ends(tick, self.slots(after.place), (*slot.vector, 0))
            yield after

    def slots(self, place: int) -> list[Slot]:
        """What may be at a place, behind the first vector or at it."""
        behind = [Slot(place, None)] if place > 0 else []
        return [*(Slot(place, vector) for vector in self.vectors), *behind]

    def tick(self, inputs: tuple[int, ...], come: Come, content: Code, to: int) -> tuple[Tick, Code, Come]:
        """One that may come, what it leaves in its slot, and where the head comes to; raises StrayError where not to slot `to`."""
        tick, did = self.steps.tick(inputs, come.place, come.register, self.blank, content, self.blank)
        goes(come.place, did, to)
        return tick, did.content, Come(did.register, near(to))

    def ends(self, tick: Tick, slots: list[Slot], due: Vector) -> None:
        """What is due at the end of a tick, whichever of these slots is read there."""
        contents = frozenset().union(*(self.held[slot] for slot in slots))
        read = tick._replace(slot=FAR), contents, due
        if read not in self.read:
            self.read.add(read)
            for content in sorted(contents):
                self.steps.ends(tick, self.blank, content, self.blank, due=bytes(due))
