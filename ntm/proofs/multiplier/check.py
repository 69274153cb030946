"""The checker: given an invariant, is a machine a multiplier? It shares no code with the search, and trusts nothing of it.

What is checked, and why that is the whole proof. Slots are counted from the one that
sweeps begin at, be it home or the one before. A word's sum S is what its digits add up to, slots 0 to n + reach + 1 (blank
behind n + 1). Every word between two sweeps has only windows that the invariant lists:

1. base: words after loading n >= 1 bits, by their windows, and S = 0;
2. step: a sweep over a word of such windows writes a word of such windows, whatever the bits of a and b;
3. identity: S + b * A = p + 2 * S' for that sweep, where A is the first operand, b the sweep's bit of the second, p the product
   bit that the machine says, S' the sum of the word written.

All of these are whole numbers, for digits are. Over 2n sweeps, by induction, the bits p add up to P with P + 4^n * S = A * B; both
P and A * B are in 0 .. 4^n - 1, so S is 0 and P is the product.

Step and identity are checked slot by slot. All that is known of the words is their last width - 1 letters, so each possible next
letter is gone through; what is left of the identity so far is kept as a fraction, in units of 2^slot.
"""

from collections import defaultdict
from fractions import Fraction
from typing import NamedTuple

from ntm.models.machine.lookup import Code
from ntm.proofs.multiplier.invariant import BEGIN, END, NONE, Beginning, History, Invariant, Key, Letter, Window
from ntm.proofs.multiplier.ticks import Kind, Product, Tick, Ticks
from ntm.proofs.ticks import FAR, UnprovedError

MOST = 2_000_000
"""States of one kind of sweep; more are refused, and so is a search without an end."""

LARGEST = 64
"""Sizes up to here are looked at."""


class Sum(NamedTuple):
    """What one slot of a sweep adds up, far from where sweeps begin."""

    own: int  # old digit
    right: int  # of the slot after this one
    new: int  # digit
    bits: tuple[int, int, int]  # of a, times the sweep's bit of b: of the slot before this one, of this one, and after it
    before: Fraction  # left of the identity, in units of this slot
    after: Fraction  # in units of the slot after it


class Checked(NamedTuple):
    """A proof, and what it rests on."""

    states: int  # gone through
    beginnings: int  # of sweeps
    leftovers: frozenset[Fraction]  # of the identity: the carries
    ticks: frozenset[Tick]
    products: frozenset[Product]
    sums: frozenset[Sum]


class State(NamedTuple):
    """A sweep at a slot, or loading at it."""

    slot: int  # up to where it makes no difference
    register: Code
    left: Fraction  # of the identity
    adder: int  # the ideal adder's carry, in lock-step
    old: Window  # ends with the slot after this one
    new: Window  # ends with the slot before this one


def check(ticks: Ticks, invariant: Invariant) -> Checked:
    """Raises UnprovedError, saying why, where the invariant proves nothing of this machine."""
    look_at(ticks, invariant)
    checker = Checker(ticks, invariant)
    waiting = list(checker.loaded())
    done = set(waiting)
    while waiting:
        for beginning in checker.swept(waiting.pop()):
            if beginning not in done:
                done.add(beginning)
                waiting.append(beginning)
    return Checked(
        checker.states,
        len(done),
        frozenset(checker.leftovers),
        frozenset(checker.ticks),
        frozenset(checker.products),
        frozenset(checker.sums),
    )


def look_at(ticks: Ticks, invariant: Invariant) -> None:
    """Raise UnprovedError where an invariant is none, before anything is run."""
    if not 1 <= invariant.reach <= invariant.width - 2 <= LARGEST or invariant.depth > LARGEST:
        raise UnprovedError(f"windows of {invariant.width} letters with digits of {invariant.reach}, depth {invariant.depth}")
    for windows in invariant.windows.values():
        for window in windows:
            if len(window) != invariant.width:
                raise UnprovedError(f"a window has {len(window)} letters, not {invariant.width}")
            for letter in window:
                proper = letter.mark in (0, 1, NONE) and letter.sum in (0, 1) and len(letter.content) == len(ticks.blank)
                if not proper and letter not in (BEGIN, END):
                    raise UnprovedError("a letter is none of this machine's")


class Checker:
    """An invariant's two checks, and what they came by."""

    def __init__(self, machine: Ticks, invariant: Invariant):
        self.machine, self.invariant = machine, invariant
        self.before_all = (BEGIN,) * (invariant.width - 1)
        self.blank = Letter(machine.blank, NONE, 0)
        self.last_slot = max(FAR - machine.first, invariant.depth)
        self.early = machine.first == -1
        self.states = 0
        self.leftovers: set[Fraction] = set()
        self.ticks: set[Tick] = set()
        self.products: set[Product] = set()
        self.sums: set[Sum] = set()

    def loaded(self) -> set[Beginning]:
        """The base: every way to load bits and to begin the first sweep."""
        found = set()
        begin = State(0, self.machine.register, Fraction(0), 0, (), self.before_all)
        if self.early:  # the slot before home is blank
            window = (*self.before_all, self.blank)
            self.inside(History(0), window)
            begin = self.moved(begin, begin.register, self.on(-2 * self.digit(0, window)), 0, (), self.blank)
        states = [begin]
        known = set(states)
        for state in states:
            bare = state._replace(old=(self.blank, self.blank))
            for bit in (0, 1):
                register, content = self.tick("load", bit, bare)
                letter = Letter(content, bit, 0)
                self.inside(History(0), (*state.new, letter))
                left = self.on(state.left - 2 * self.digit(state.slot, (*state.new, letter)))
                self.note(states, known, self.moved(state, register, left, 0, (), letter))
            if state.new[-1].mark != NONE and state.new[-1] != BEGIN:
                found |= self.begun(bare, History(0), swept=False)
        return found

    def swept(self, beginning: Beginning) -> set[Beginning]:
        """The step and the identity: every sweep that begins so, over every word that may be there."""
        after: dict[Window, set[Letter]] = defaultdict(set)
        for key in (beginning, History(beginning.ever)):
            for window in self.invariant.windows.get(key, ()):
                after[window[:-1]].add(window[-1])
        found = set()
        ever = History(max(beginning.ever, beginning.bit))
        states = []
        for first in after[self.before_all]:
            start = (*self.before_all[1:], first)
            for second in after[start]:
                states.append(State(0, beginning.register, Fraction(0), 0, (*start[1:], second), self.before_all))
        known = set(states)
        for state in states:
            own, right = state.old[-2:]
            total = state.left + self.digit(state.slot, state.old[:-1])
            # Slot n + 1: the second without a bit of a behind those that have one; where sweeps begin early, the first.
            if own.mark == NONE and (state.new[-1].mark in (0, 1) if self.early else state.new[-1].mark == NONE):
                if right != self.blank:
                    raise UnprovedError("a slot behind n + 1 is not blank")
                found |= self.begun(state._replace(left=total), ever, swept=True)
                continue
            a = 1 if own.mark == 1 else 0
            register, content = self.tick("none", beginning.bit, state)
            added = right.mark == 1 if self.early else own.mark == 1
            ideal = right.sum + beginning.bit * added + state.adder if self.invariant.lockstep else 0
            letter = Letter(content, own.mark, ideal % 2)
            self.inside(ever, (*state.new, letter))
            new = self.digit(state.slot, (*state.new, letter))
            total += Fraction(beginning.bit * a, 2 if self.early else 1) - 2 * new
            for further in after[state.old]:
                if further == END:  # the slot after this one would be n + 2, but this one is not n + 1: there is no such word
                    continue
                said = 0
                if state.slot == 1:
                    asked = Product(self.asked("none", beginning.bit, state), content, right.content, further.content)
                    self.products.add(asked)
                    said = self.machine.product(asked)
                left = self.on(total - Fraction(said, 2))  # a bit of slot 0, in units of slot 1
                if state.slot == self.last_slot:
                    self.sums.add(self.summed(state, beginning.bit, new, left))
                self.note(states, known, self.moved(state, register, left, ideal // 2, (*state.old[1:], further), letter))
        return found

    def summed(self, state: State, bit: int, new: Fraction, left: Fraction) -> Sum:
        """What a state adds up; its digits are whole numbers in other units."""
        digits = (self.digit(state.slot, state.old[:-1]), self.digit(state.slot, state.old), new)
        own, right, written = (int(digit * 2**self.invariant.depth) for digit in digits)
        marks = [letter.mark for letter in (state.new[-1], *state.old[-2:])]
        before, here, after = (bit * (mark == 1) for mark in marks)
        return Sum(own, right, written, (before, here, after), state.left, left)

    def begun(self, state: State, ever: History, swept: bool) -> set[Beginning]:
        """The start tick of the next sweep: it ends a word, of which a sweep leaves one more slot, loading two."""
        found = set()
        blanks = 1 if swept or self.early else 2
        reach, before, new = self.invariant.reach, state.old, state.new
        for bit in (0, 1):
            register, content = self.tick("start", bit, state)
            beginning = Beginning(ever.ever, bit, register)
            found.add(beginning)
            word = (*new, Letter(content, NONE, state.adder % 2), *[self.blank] * blanks, END)
            for at in range(len(word) - self.invariant.width + 1):
                self.inside(beginning, word[at : at + self.invariant.width])
            left = state.left
            for number in range(blanks + reach):
                after = (*word[:-1], *[self.blank] * reach)[: len(new) + 1 + number]
                if swept and number:
                    left += self.digit(state.slot + number, (*before, *[self.blank] * (number - 1)))
                left = self.on(left - 2 * self.digit(state.slot + number, after))
            if left != 0:
                raise UnprovedError(f"the identity is off by {left} behind the last slot")
        return found

    def tick(self, kind: Kind, bit: int, state: State) -> tuple[Code, Code]:
        """The register and the content that the machine makes of a state."""
        did = self.machine[self.asked(kind, bit, state)]
        return did.register, did.content

    def asked(self, kind: Kind, bit: int, state: State) -> Tick:
        """The tick of a state; the slot before slot 0 is never written."""
        left = self.machine.blank if state.new[-1] == BEGIN else state.new[-1].content
        own, right = state.old[-2:]
        tick = Tick(kind, bit, min(state.slot + self.machine.first, FAR), state.register, left, own.content, right.content)
        self.ticks.add(tick)
        return tick

    def inside(self, key: Key, window: Window) -> None:
        """Raise UnprovedError where a word would have a window that is not listed."""
        if window not in self.invariant.windows.get(key, ()):
            raise UnprovedError("a word is written that has a window which the invariant does not list")

    def digit(self, slot: int, letters: Window) -> Fraction:
        """The last letter's digit, in units of its slot."""
        place = min(slot, self.invariant.depth)
        window = tuple(letter for letter in letters[-self.invariant.reach :] if letter != BEGIN)
        if (place, window) not in self.invariant.digits:
            raise UnprovedError("a word has a window which has no digit")
        return Fraction(self.invariant.digits[place, window], 2**place)

    def on(self, left: Fraction) -> Fraction:
        """What is left of the identity, for the next slot; one that would only grow is refused."""
        left /= 2
        if abs(left) > MOST or left.denominator > 4 << self.invariant.depth:
            raise UnprovedError(f"what is left of the identity, {left}, would not come to 0")
        self.leftovers.add(left)
        return left

    def moved(self, state: State, register: Code, left: Fraction, adder: int, old: Window, letter: Letter) -> State:
        """The state at the next slot."""
        return State(min(state.slot + 1, self.last_slot), register, left, adder, old, (*state.new[1:], letter))

    def note(self, states: list[State], known: set[State], state: State) -> None:
        """A state to be gone through, if it is a new one."""
        if state not in known:
            known.add(state)
            states.append(state)
            self.states += 1
            if len(states) > MOST:
                raise UnprovedError(f"more than {MOST:,} states")
