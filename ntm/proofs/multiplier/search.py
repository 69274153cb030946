"""The search for an invariant: all words between sweeps, known by their windows alone, to a fixed point.

Slots are counted from the one that sweeps begin at. A sweep, left to right, is a walk: at slot p the machine has seen the old word
up to slot p + 1 and written the new one up to p - 1. Of both a node keeps the last width - 1 letters, of the sums so far their
difference, a carry. A node steps on by each letter that the windows known so far allow behind those it keeps; what it writes are
further windows.

The carry is what is left of (running sum before) + (bit of b) * a - (product bit) - 2 * (running sum after), slots and bits below p
alone, in units of 2^p: it must stay whole and end as 0. Numbers here are that many times UNIT, and never fractions.
"""

from collections import defaultdict
from collections.abc import Sequence
from typing import NamedTuple

from ntm.models.machine.lookup import Code
from ntm.proofs.multiplier.digits import Digits
from ntm.proofs.multiplier.invariant import BEGIN, END, NONE, Beginning, History, Invariant, Key, Letter, Window
from ntm.proofs.multiplier.ticks import Product, Tick, Ticks
from ntm.proofs.ticks import FAR, UnprovedError

MOST_NODES = 400_000
"""More of them are given up."""

MOST_CARRY = 64
"""A larger carry is given up: it would go on growing."""


class Node(NamedTuple):
    """Where a sweep stands."""

    slot: int  # of the head, no further than it matters; negative while the old word's first letters are read
    register: Code
    carry: int
    old: Window
    new: Window
    beginning: Beginning


class Search:
    """The windows known so far, nodes that wait for further ones, and steps to be made."""

    def __init__(self, ticks: Ticks, digits: Digits | None, width: int):
        """Without digits in lock-step: each letter has beside it a bit of the ideal running sum, and those are the digits."""
        self.ticks, self.given, self.width = ticks, digits, width
        self.reach, self.depth = (digits.reach, digits.depth) if digits else (1, 1)
        assert width >= self.reach + 2
        self.unit = 4 << self.depth
        self.furthest = max(FAR - ticks.first, self.depth)
        self.beyond = Letter(ticks.blank, NONE, 0)
        self.windows: dict[Key, set[Window]] = defaultdict(set)
        self.behind: dict[tuple[Key, Window], list[Letter]] = defaultdict(list)
        self.waiting: dict[tuple[Key, Window], list[Node]] = defaultdict(list)
        self.todo: list[tuple[Node, Letter]] = []
        self.nodes: set[Node] = set()
        self.used: dict[tuple[int, Window], int] = {}

    def found(self) -> Invariant:
        """The invariant; raises UnprovedError where it does not close."""
        self.load()
        while self.todo:
            node, letter = self.todo.pop()
            self.step(node, letter)
        windows = {key: frozenset(windows) for key, windows in self.windows.items()}
        return Invariant(self.width, self.reach, self.depth, self.given is None, windows, self.used)

    def add(self, key: Key, window: Window) -> None:
        """A window that words have; nodes that waited for it step on."""
        if window not in self.windows[key]:
            self.windows[key].add(window)
            self.behind[key, window[:-1]].append(window[-1])
            self.todo += [(node, window[-1]) for node in self.waiting[key, window[:-1]]]

    def visit(self, node: Node) -> None:
        """A node that sweeps come to."""
        if node in self.nodes:
            return
        self.nodes.add(node)
        if len(self.nodes) > MOST_NODES:
            raise UnprovedError(f"more than {MOST_NODES:,} nodes")
        for key in (node.beginning, History(node.beginning.ever)):
            self.waiting[key, node.old].append(node)
            self.todo += [(node, letter) for letter in self.behind[key, node.old]]

    def load(self) -> None:
        """Words right after loading, of any length from 1 on."""
        blank, before, start, carry = self.ticks.blank, (BEGIN,) * (self.width - 1), 0, 0
        for _ in range(-self.ticks.first):  # a slot that is blank after loading
            self.add(History(0), (*before, self.beyond))
            before, start, carry = (*before[1:], self.beyond), start + 1, self.halved(-2 * self.share(0, (*before, self.beyond)))
        stack = [(start, self.ticks.register, carry, before)]
        seen = set(stack)
        while stack:
            slot, register, carry, new = stack.pop()
            for a in (0, 1):
                did = self.ticks[Tick("load", a, self.place(slot), register, content(new[-1], blank), blank, blank)]
                letter = Letter(did.content, a, 0)
                window = (*new, letter)
                self.add(History(0), window)
                after = self.halved(carry - 2 * self.share(slot, window))
                there = (min(slot + 1, self.furthest), did.register, after, window[1:])
                if there not in seen:
                    seen.add(there)
                    stack.append(there)
            if new[-1].mark in (0, 1):
                three = content(new[-1], blank), blank, blank
                self.end(History(0), slot, register, carry, new, three, None)

    def step(self, node: Node, letter: Letter) -> None:
        """One tick of a node, where `letter` is behind the old ones that it keeps."""
        slot, register, carry, old, new, beginning = node
        if slot < 0:
            self.visit(node._replace(slot=slot + 1, old=(*old[1:], letter)))
            return
        here, right, bit = old[-2], old[-1], beginning.bit
        three = content(new[-1], self.ticks.blank), here.content, right.content
        carry += self.share(slot, old[:-1])
        if here.mark == NONE and new[-1].mark in ((0, 1) if self.ticks.first else (NONE,)):
            if right != self.beyond:
                raise UnprovedError("something is written behind slot n + 1")
            self.end(History(beginning.ever | bit), slot, register, carry, new, three, old)
            return
        if letter == END:
            return  # the word ends behind slot n + 2, where no node comes to: no word has these windows
        tick = Tick("none", bit, self.place(slot), register, *three)
        did = self.ticks[tick]
        carry += (self.unit >> -self.ticks.first) * bit * (here.mark == 1)
        if slot == 1:
            carry -= self.unit // 2 * self.ticks.product(Product(tick, did.content, right.content, letter.content))
        written = Letter(did.content, here.mark, self.sum_bit(carry, right, bit))
        window = (*new, written)
        carry = self.halved(carry - 2 * self.share(slot, window))
        self.add(History(beginning.ever | bit), window)
        there = min(slot + 1, self.furthest)
        self.visit(Node(there, did.register, carry, (*old[1:], letter), window[1:], beginning))

    def end(self, ever: History, slot: int, register: Code, carry: int, new: Window, three: Sequence[Code], old: Window | None):
        """The start tick of the next sweep, behind a sweep over `old` or behind loading; its slot's old digit is in the carry."""
        for bit in (0, 1):
            did = self.ticks[Tick("start", bit, self.place(slot), register, *three)]
            beginning = Beginning(ever.ever, bit, did.register)
            written = Letter(did.content, NONE, self.sum_bit(carry, self.beyond, bit))
            window = (*new, written)
            left = self.halved(carry - 2 * self.share(slot, window))
            self.add(beginning, window)
            # Words are n + 3 letters, and sums go on over the `reach` - 1 windows behind, in which there are letters of the word.
            # Loading ends a slot before the one that sweeps end at, if they begin at home.
            blanks = 1 if old or self.ticks.first else 2
            for blank in [self.beyond] * blanks:
                window = (*window[1:], blank)
                self.add(beginning, window)
            self.add(beginning, (*window[1:], END))
            behind, before = (*new[1:], written), old
            for further in range(1, self.reach + blanks):
                if before is not None:
                    left += self.share(slot + further, before)
                    before = (*before[1:], self.beyond)
                behind = (*behind[1:], self.beyond)
                left = self.halved(left - 2 * self.share(slot + further, behind))
            if left:
                raise UnprovedError(f"a carry of {left / self.unit:g} would be left behind the last slot")
            self.visit(Node(-2, did.register, 0, (BEGIN,) * (self.width - 1), (BEGIN,) * (self.width - 1), beginning))

    def share(self, slot: int, window: Window) -> int:
        """What the last letter of a window adds to a sum, as the carry counts it."""
        place = min(slot, self.depth)
        known = tuple(letter for letter in window[-self.reach :] if letter != BEGIN)
        if (place, known) not in self.used:
            if self.given is None:
                digit: int | None = known[-1].sum if place else 0
            else:
                digit = self.given.table.get((place, known))
            if digit is None:
                raise UnprovedError("a window was never seen in a run: no digit is known for it")
            self.used[place, known] = digit
        return (self.unit >> place) * self.used[place, known]

    def place(self, slot: int) -> int:
        """A slot as ticks are told it."""
        return min(slot + self.ticks.first, FAR)

    def sum_bit(self, carry: int, right: Letter, bit: int) -> int:
        """The ideal running sum's bit at a slot; the sum moves down by a slot in each sweep."""
        if self.given is not None:
            return 0
        whole, rest = divmod(carry, self.unit)
        if rest:
            raise UnprovedError("a product bit would not be the running sum's")
        return (whole + right.sum + (bit * (right.mark == 1) if self.ticks.first else 0)) % 2

    def halved(self, carry: int) -> int:
        """A carry for the next slot."""
        after, odd = divmod(carry, 2)
        if odd:
            raise UnprovedError("a carry would not be whole")
        if abs(after) > MOST_CARRY * self.unit:
            raise UnprovedError(f"a carry would be over {MOST_CARRY}")
        return after


def content(letter: Letter, blank: Code) -> Code:
    """What the slot of a letter holds; before slot 0 there is a slot that is never written."""
    return blank if letter == BEGIN else letter.content
