"""The proof of a copier: all words that it can write while it listens, then all that it says as its head passes over them.

While it listens, its head goes one slot on with every vector; the delimiter sends it back, always to the same slot, home or one
beside it; while it answers, it goes one slot on again. A word is what the slots hold before the first answer, each with the vector
that came there. All that is kept of words is which letters may stand beside each other, as many as are seen in one tick.
"""

from collections import defaultdict
from functools import cache
from itertools import product
from typing import NamedTuple

from ntm.models.machine.lookup import Code
from ntm.proofs.lockstep import Lockstep, Proof, near
from ntm.proofs.ticks import FAR, SEES, Did, StrayError, Tick, Ticks, possible

WIDEST = 8
"""Bits of a vector, at most: all pairs of vectors are gone through."""

Vector = tuple[int, ...]


class Letter(NamedTuple):
    """A slot between listening and answering."""

    content: Code
    vector: Vector | None  # that came there
    behind: bool = False  # behind the last vector


Window = tuple[Letter, ...]


class Listening(NamedTuple):
    """Between two ticks."""

    slot: int  # near home, or FAR
    register: Code
    last: Window  # letters, one fewer than a window's


class Answering(NamedTuple):
    """After a tick, or after the delimiter."""

    slot: int
    register: Code
    left: Code  # beside the head, written while it answers
    last: Window  # letters that are known of the next window, one fewer than all


def prove_copying(ticks: Ticks, width: int) -> Proof:
    """That a machine copies vectors of so many bits, as task copy asks; raises UnprovedError where no proof is found."""
    possible(lacks(width))
    return Copier(ticks, width).proof()


def lacks(width: int) -> str:
    """Why there can be no proof for vectors of so many bits; empty: there may be one."""
    return f"task.width={width}: above {WIDEST}, and all pairs of vectors are gone through" if width > WIDEST else ""


class Copier:
    """The search: first what may be listened to, then what may be answered.

    A window is the slots from the one whose vector is due, or the head's own where that is before it, to the last that is read.
    """

    def __init__(self, ticks: Ticks, width: int):
        self.steps, self.blank, self.register = Lockstep(ticks), ticks.blank, ticks.register
        self.vectors: list[Vector] = list(product((0, 1), repeat=width))
        self.silence = (0,) * width
        self.first = ticks[Tick((*self.silence, 1), FAR, self.register, *[self.blank] * 3)].slot(FAR)
        if self.first not in SEES:
            raise StrayError(f"the delimiter sends a head to slot {self.first} from slot {FAR}, and not home or beside it")
        self.own, self.due = max(0, self.first), max(0, -self.first)  # places in a window: of the head, of the vector that is due
        self.ahead = max(0, *ticks.window)
        self.size = self.own + 2 + self.ahead
        self.sees_left = -1 in ticks.window
        self.next: dict[Window, set[Letter]] = defaultdict(set)
        self.begun: set[Code] = set()  # registers after the delimiter
        self.heard = cache(self.listened)

    def proof(self) -> Proof:
        """Every answer is right; raises UnprovedError where one may not be."""
        self.listen()
        self.answer()
        return self.steps.proof()

    def listen(self) -> None:
        """All words, by their windows; the letters before a word and behind it are blank."""
        before = (Letter(self.blank, None),) * (self.size - 1)
        waiting = [Listening(0, self.register, before)]
        known = set(waiting)
        for now in waiting:
            slot, register, last = now
            if last != before:  # a word is of one vector at least
                self.delimit(now)
            for letter, after in self.heard(slot, register, self.left(last[-1].content)):
                self.next[last].add(letter)
                self.steps.note(known, waiting, Listening(near(slot + 1), after, (*last[1:], letter)))

    def listened(self, slot: int, register: Code, left: Code) -> list[tuple[Letter, Code]]:
        """What becomes of a slot and the register, by every vector."""
        found = []
        for vector in self.vectors:
            _, did = self.steps.tick((*vector, 0), slot, register, left, self.blank, self.blank)
            goes(slot, did, slot + 1)
            found.append((Letter(did.content, vector), did.register))
        return found

    def delimit(self, now: Listening) -> None:
        """The end of a word."""
        slot, register, last = now
        _, did = self.steps.tick((*self.silence, 1), slot, register, last[-1].content, self.blank, self.blank)
        goes(slot, did, self.first)
        self.begun.add(did.register)
        for content in (did.content, *[self.blank] * self.size):
            letter = Letter(content, None, True)
            self.next[last].add(letter)
            last = (*last[1:], letter)

    def answer(self) -> None:
        """All that may be said over all words."""
        starts: set[Window] = {(Letter(self.blank, None),) * (self.size - 1)}
        for _ in range(self.size - 1 + min(0, self.first)):
            starts = {(*last[1:], letter) for last in starts for letter in self.next[last]}
        self.steps.few(len(self.begun) * len(starts))
        waiting = [
            Answering(self.first, register, self.left(last[self.own - 1].content if self.own else self.blank), last)
            for register in sorted(self.begun)
            for last in starts
        ]
        known = set(waiting)
        for now in waiting:
            windows = [(*now.last, letter) for letter in self.next[now.last]]
            asked = [(window, vector) for window in windows if (vector := window[self.due].vector) is not None]
            if not asked:
                continue  # all is answered
            own, right = (letter.content for letter in asked[0][0][self.own :][:2])  # what the head sees is alike in all of them
            tick, did = self.steps.tick((*self.silence, 0), now.slot, now.register, now.left, own, right)
            goes(now.slot, did, now.slot + 1)
            for window, vector in asked:
                read = [did.content, *(letter.content for letter in window[self.own + 1 :]), self.blank][:3]
                self.steps.ends(tick, *read, due=bytes(vector))
                self.steps.note(known, waiting, Answering(near(now.slot + 1), did.register, self.left(did.content), window[1:]))

    def left(self, content: Code) -> Code:
        """What a head that sees it finds on its left."""
        return content if self.sees_left else self.blank


def goes(slot: int, did: Did, due: int) -> None:
    """Raise StrayError where a head goes elsewhere."""
    if did.slot(slot) != due:
        raise StrayError(f"a head goes from slot {slot} to slot {did.slot(slot)}, not {due}")
