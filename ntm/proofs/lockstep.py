"""Proofs of a machine in lock-step with an ideal one: every tick that may come, and what is due at the end of each.

What may come is found as a fixed point, which is larger than what does come: a slot may hold more in it than it ever does.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from ntm.models.machine.lookup import Code
from ntm.proofs.floats import Margins, margins, open_bits
from ntm.proofs.ticks import FAR, SEES, Did, Ending, Endings, Tick, Ticks, UnprovedError

MOST = 200_000
"""Ticks, and ends of some; where a proof says no other number, more are given up."""

MOST_OPEN = 4
"""Bits of what a tick leaves that may come out either way; with more, it is given up."""


class Proof(NamedTuple):
    """What a proof went through."""

    ticks: int
    answers: int  # different ends of a tick at which something is due
    contents: int  # of a slot
    registers: int
    margins: Margins


class Lockstep:
    """The ticks that may come, and what is due, gathered."""

    def __init__(self, ticks: Ticks, most: int = MOST):
        self.ticks, self.most = ticks, most
        self.made: dict[Tick, Did] = {}
        self.open: dict[Tick, tuple[int, ...]] = {}  # bits of what some leave: both ways were gone on from
        self.due: dict[Ending, Code] = {}
        self.ended: dict[Endings, Code] = {}
        self.torn = False  # whether two things are due at one end
        self.hidden = [offset not in ticks.window for offset in SEES]
        self.hidden[SEES.index(0)] = False  # what becomes of a slot depends on what it holds

    def tick(self, inputs: tuple[float, ...], slot: int, register: Code, *slots: Code) -> tuple[Tick, Did]:
        """One that may come, by what is left of the head, under it and right of it: what it depends on, and what it does."""
        return self.at_once([self.asked(inputs, slot, register, *slots)])[0]

    def asked(self, inputs: tuple[float, ...], slot: int, register: Code, *slots: Code) -> Tick:
        """What a tick depends on."""
        return Tick(inputs, near(slot), register, *self.visible(slots))

    def at_once(self, asked: Sequence[Tick]) -> list[tuple[Tick, Did]]:
        """Several that may come, each with what it does."""
        self.make(asked)
        return [(tick, self.made[tick]) for tick in asked]

    def either_way(self, asked: Sequence[Tick]) -> list[list[tuple[Tick, Did]]]:
        """Several that may come, each with all that it may do where float32 leaves bits of what it leaves open."""
        fresh = self.make(asked)
        if fresh:
            self.open |= open_bits(self.ticks, fresh, [self.made[tick] for tick in fresh])
        return [[(tick, did) for did in self.variants(tick)] for tick in asked]

    def make(self, asked: Sequence[Tick]) -> list[Tick]:
        """Those that had not come before, made at once."""
        fresh = [tick for tick in dict.fromkeys(asked) if tick not in self.made]
        if fresh:
            self.ticks.make([tick for tick in fresh if tick not in self.ticks])
            self.made.update((tick, self.ticks[tick]) for tick in fresh)
            self.few(len(self.made))
        return fresh

    def variants(self, tick: Tick) -> list[Did]:
        """What a tick may do; raises UnprovedError where too much is open."""
        did, places = self.made[tick], self.open.get(tick, ())
        if len(places) > MOST_OPEN:
            raise UnprovedError(f"{len(places)} bits that a tick leaves are not certain in float32")
        found = [did]
        for place in places:
            found += [one._replace(content=flipped(one.content, place)) for one in found]
        return found

    def ends(self, tick: Tick, *slots: Code, due: Code) -> None:
        """At the end of a tick, where these slots are read, this is due."""
        if tick.slot != FAR:  # where the head is makes no difference to what is said
            tick, _ = self.tick(tick.inputs, FAR, *tick[2:])
        self.torn |= self.due.setdefault(Ending(tick, *self.visible(slots)), due) != due
        self.few(len(self.due))

    def ends_among(self, tick: Tick, *slots: frozenset[Code], due: Code) -> None:
        """At the end of a tick far from home, where slots with any of these contents are read, this is due."""
        unseen = frozenset([self.ticks.blank])
        among = [unseen if hidden else contents for hidden, contents in zip(self.hidden, slots)]
        self.torn |= self.ended.setdefault(Endings(tick, *among), due) != due
        self.few(len(self.ended))

    def visible(self, slots: Sequence[Code]) -> list[Code]:
        """Three slots; those that the head does not see are all alike."""
        return [self.ticks.blank if hidden else code for hidden, code in zip(self.hidden, slots)]

    def note(self, known: set, waiting: list, node: NamedTuple) -> None:
        """Something to go on from, if it is new."""
        if node not in known:
            known.add(node)
            waiting.append(node)
            self.few(len(known))

    def few(self, count: int) -> None:
        """Raise UnprovedError where there is too much to go through."""
        if count > self.most:
            raise UnprovedError(f"more than {self.most:,} ticks, or ends of them")

    def proof(self) -> Proof:
        """What is said is what is due, and certain in float32; raises UnprovedError where not."""
        if self.torn:
            raise UnprovedError("what is due depends on more than the machine sees")
        if self.due:
            said = (self.ticks.logits(list(self.due)) > 0).numpy()
            if (said != np.array([list(due) for due in self.due.values()], bool)).any():
                raise UnprovedError("a wrong answer may come")
        held = {code for tick in self.made for code in (tick.left, tick.own, tick.right)}
        registers = {tick.register for tick in self.made}
        answers = len(self.due) + len(self.ended)
        bounds = margins(self.ticks, self.made, self.due, self.ended, self.open)
        return Proof(len(self.made), answers, len(held), len(registers), bounds)


def flipped(content: Code, place: int) -> Code:
    """A slot's content with one bit the other way."""
    return content[:place] + bytes([1 - content[place]]) + content[place + 1 :]


def near(slot: int) -> int:
    """A slot as ticks are told it."""
    return slot if abs(slot) < FAR else FAR
