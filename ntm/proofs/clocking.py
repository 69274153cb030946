"""The proof of a clock of two tapes: all that may stand on them at the delimiter, then all sweeps, in lock-step with task clock.

Flags alone move its heads. In a sweep one goes on over what it has marked, and back behind the flag that begins the next; the
other one waits beside a bit of b, and goes on by one slot behind that flag. Of the first one's tape it is known which slots may
stand beside each other, in any sweep, and how far they are from either end; of the other one's, what stood there before the
head came.
"""

from collections import defaultdict
from collections.abc import Iterator
from itertools import product
from typing import NamedTuple

from ntm.models.machine.lookup import Code
from ntm.models.machine.tape_heads import TapeHeads
from ntm.proofs.lockstep import Lockstep, Proof
from ntm.proofs.ticks import FAR, Did, Move, StrayError, Tick, Ticks, possible

Flags = tuple[int, int, int]

LOADING, DELIMITER, BEGUN, QUIET = (0, 1, 0), (1, 1, 0), (0, 0, 1), (0, 0, 0)
"""Kinds of ticks by their flags: the delimiter, and load and start as they were said a tick before."""


class Place(NamedTuple):
    """Where a slot is: exact between the bounds of `after`, and otherwise beyond."""

    home: int  # slots from home on, from -2 to 2
    end: int  # from the slot behind the operands on, where heads stand at the delimiter; from -2 to 3

    def after(self) -> list["Place"]:
        """Where the next slot may be."""
        home, end = min(2, self.home + 1), min(3, self.end + 1)
        return [Place(home, end), *([Place(home, -2)] if self.end == -2 else [])]


class Cell(NamedTuple):
    """A slot of the tape that is gone over."""

    place: Place
    content: Code


class Bit(NamedTuple):
    """A slot of the tape beside which the other head waits, as it was before."""

    content: Code
    value: int  # of b's bit; 0 behind them
    loaded: bool


class Waiting(NamedTuple):
    """Where the other head is."""

    left: Code
    own: Code
    right: Bit
    values: tuple[int, ...]  # of b's bits, from two slots before its own to the next one


class Loading(NamedTuple):
    """Between two ticks while it loads."""

    place: Place  # of the heads
    register: Code
    last: Cell
    bit: Bit | None


class Sweeping(NamedTuple):
    """Between two ticks of a sweep."""

    begun: bool  # whether the tick before was its first one
    register: Code
    cells: tuple[Cell, Cell, Cell]  # left of the head, under it, right of it
    waiting: Waiting


def prove_clocking(ticks: Ticks) -> Proof:
    """That a machine says on every tick what task clock asks for; raises UnprovedError where no proof is found."""
    possible(lacks(ticks.decisions.machine.access))
    search = Clocking(ticks)
    search.load()
    search.go_on()
    return search.steps.proof()


def lacks(heads: TapeHeads) -> str:
    """Why there can be no proof of a clock with these heads; empty: there may be one."""
    return "model.heads.address_from=hidden: more than flags moves its heads" if heads.control is None else ""


class Clocking:
    """The search."""

    def __init__(self, ticks: Ticks):
        self.steps, self.ticks, self.register = Lockstep(ticks), ticks, ticks.register
        self.width = len(ticks.blank) // 2
        self.blank = ticks.blank[: self.width]
        self.goer = int(self.moves(QUIET)[0] != Move(False, 1))  # the head that goes on
        self.first, (_, self.waits) = (self.moves(DELIMITER)[head] for head in self.both)
        self.sweeps = self.moves(BEGUN)[self.goer].step
        on = Move(False, 1)
        expected = {
            LOADING: (on, on),
            DELIMITER: (self.first, Move(True, self.waits)),
            BEGUN: (Move(True, self.sweeps), on),
            QUIET: (on, Move(False, 0)),
        }
        for flags, moves in expected.items():
            found = tuple(self.moves(flags)[head] for head in self.both)
            if found != moves:
                raise StrayError(f"after delimiter, load and start {flags} heads go {found}, not {moves}")
        before = Cell(Place(-2, -2), self.blank)
        self.next: dict[Cell, set[Cell]] = defaultdict(set, {before: {before}})  # what may stand right of a slot
        self.bits: dict[Bit | None, set[Bit]] = defaultdict(set)  # the same; right of None is the first one
        self.delimited: set[tuple[Tick, Code]] = set()  # the delimiter's ticks, and registers behind them

    @property
    def both(self) -> tuple[int, int]:
        """The head that goes on, and the one that waits."""
        return self.goer, 1 - self.goer

    def moves(self, flags: Flags) -> tuple[Move, ...]:
        """Where heads go under these flags."""
        return self.ticks[Tick((0, 0, *flags), FAR, self.register, *[self.ticks.blank] * 3)].moves

    def beside(self, cell: Code, bit: Code) -> Code:
        """What stands in a slot of either tape, as one code."""
        return cell + bit if self.goer == 0 else bit + cell

    def parted(self, code: Code) -> list[Code]:
        """The inverse of `beside`."""
        return [code[head * self.width : (head + 1) * self.width] for head in self.both]

    def load(self) -> None:
        """All that may stand on the tapes at the delimiter."""
        last = Cell(Place(-1, -2), self.blank)
        self.next[Cell(Place(-2, -2), self.blank)].add(last)
        waiting = [Loading(place, self.register, last, None) for place in last.place.after()]
        known = set(waiting)
        for node in waiting:
            if node.place.end == 0:
                self.delimit(node)
                continue
            for a, b in product((0, 1), repeat=2):
                tick, did = self.loaded(node, (a, b, *LOADING))
                self.steps.ends(tick, did.content, *[self.ticks.blank] * 2, due=bytes((a, 1, 0)))
                content, held = self.parted(did.content)
                cell, bit = Cell(node.place, content), Bit(held, b, True)
                self.next[node.last].add(cell)
                self.bits[node.bit].add(bit)
                for place in node.place.after():
                    self.steps.note(known, waiting, Loading(place, did.register, cell, bit))

    def loaded(self, node: Loading, inputs: tuple[int, ...]) -> tuple[Tick, Did]:
        """A tick while it loads."""
        left = self.beside(node.last.content, self.blank if node.bit is None else node.bit.content)
        return self.steps.tick(inputs, FAR, node.register, left, self.ticks.blank, self.ticks.blank)

    def delimit(self, node: Loading) -> None:
        """The tick of the delimiter, and what stands from there on."""
        tick, did = self.loaded(node, (0, 0, *DELIMITER))
        self.delimited.add((tick, did.register))
        content, held = self.parted(did.content)
        cell, bit, empty = Cell(node.place, content), Bit(held, 0, False), Bit(self.blank, 0, False)
        self.next[node.last].add(cell)
        for bits, following in ((node.bit, bit), (bit, empty), (empty, empty)):
            self.bits[bits].add(following)
        while cell not in self.next[cell]:
            (place,) = cell.place.after()
            self.next[cell].add(Cell(place, self.blank))
            cell = Cell(place, self.blank)

    def go_on(self) -> None:
        """All sweeps: what is written in one is found in the next, so all begins again with it."""
        count = 0
        while count != (count := sum(map(len, self.next.values()))):
            waiting = list(self.begin())
            known = set(waiting)
            for node in waiting:
                for after in self.swept(node):
                    self.steps.note(known, waiting, after)

    def begin(self) -> Iterator[Sweeping]:
        """The end of the delimiter's tick, at which the first bit of b is due."""
        for tick, register in sorted(self.delimited):
            for cells, waiting in product(self.around(*self.first), self.waits_first()):
                due = (waiting.values[2 - self.waits], 0, 1)
                self.ends(tick, cells, waiting, due)
                yield Sweeping(True, register, cells, waiting)

    def around(self, home: bool, slot: int) -> list[tuple[Cell, Cell, Cell]]:
        """What may stand between two sweeps around a slot, which is told from home, or from the one behind the operands."""
        pairs = [(left, own) for left, follow in self.next.items() for own in follow if own.place[not home] == slot]
        return [(left, own, right) for left, own in sorted(pairs) for right in sorted(self.next[own])]

    def waits_first(self) -> Iterator[Waiting]:
        """Where the other head may be after the delimiter."""
        paths: list[list[Bit]] = [[Bit(self.blank, 0, False)] * 3]
        for _ in range(2 + self.waits):
            paths = [[*path, bit] for path in paths for bit in sorted(self.bits[path[-1] if len(path) > 3 else None])]
        for *before, left, own, right in paths:
            values = (*(bit.value for bit in before), left.value, own.value, right.value)
            yield Waiting(left.content, own.content, right, values[-4:])

    def swept(self, node: Sweeping) -> Iterator[Sweeping]:
        """Where it may be a tick later, and that it says what is due."""
        left, own, right = node.cells
        inputs = (0, 0, *(BEGUN if node.begun else QUIET))
        tick, did = self.steps.tick(inputs, FAR, node.register, *self.seen(node.cells, node.waiting))
        content, held = self.parted(did.content)
        written, waiting = Cell(own.place, content), node.waiting._replace(own=held)
        self.next[left].add(written)
        if node.begun:  # the last one was the end of a way over the tape
            self.next[written].add(right)
            due = (waiting.values[2 - self.waits], 0, 0)
            ways = list(product(self.around(True, self.sweeps), self.moved_on(waiting)))
        else:
            over = own.place.end == self.sweeps  # the next sweep's first tick
            due = (waiting.values[1 - self.waits + over], 0, int(over))
            ways = [((written, right, beyond), waiting) for beyond in sorted(self.next[right])]
        for cells, after in ways:
            self.ends(tick, cells, after, due)
            yield Sweeping(not node.begun and over, did.register, cells, after)

    def moved_on(self, waiting: Waiting) -> list[Waiting]:
        """Where the other head may be a slot further."""
        own, values = waiting.right, waiting.values[1:]
        return [Waiting(waiting.own, own.content, bit, (*values, bit.value)) for bit in sorted(self.bits[own])]

    def seen(self, cells: tuple[Cell, Cell, Cell], waiting: Waiting) -> list[Code]:
        """What both heads have beside them and under them."""
        bits = (waiting.left, waiting.own, waiting.right.content)
        return [self.beside(cell.content, bit) for cell, bit in zip(cells, bits)]

    def ends(self, tick: Tick, cells: tuple[Cell, Cell, Cell], waiting: Waiting, due: Flags) -> None:
        """What is due at the end of a tick."""
        self.steps.ends(tick, *self.seen(cells, waiting), due=bytes(due))
