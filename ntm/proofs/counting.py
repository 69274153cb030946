"""The proof of a repeater that counts: what slots may hold, by the vectors that came there or by the copies still to say.

It is about the repeat copy whose number of copies is given once (tasks/repeat_copy.py). While it listens, a head goes one slot on
with every vector; the delimiter's tick leaves the count in the slot behind them. While it answers, it goes one slot on, up to the
count's; on the tick there it leaves one less, and goes home and one slot on. All that is kept of a slot with a vector is which one
it is, and whether it is near home; of the count's, how many copies are left when a head comes to it. So any vector may be beside
any other, and n any number.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from itertools import product
from typing import TypeVar

from ntm.models.machine.lookup import Code
from ntm.models.machine.tape_heads import TapeHeads
from ntm.proofs import copying
from ntm.proofs.copying import Vector, goes
from ntm.proofs.counting_nodes import BEYOND, Answering, Behind, Listening, Seen, on
from ntm.proofs.lockstep import Lockstep, Proof
from ntm.proofs.ticks import FAR, Did, Move, StrayError, Tick, Ticks, possible

MOST = 2_000_000
"""Ticks: all pairs of what two slots may hold are gone through, and of vectors of 8 bits that is a million."""

About = TypeVar("About")

Where = tuple
"""What a slot is known by: (place, vector), (copies left,), or () behind the count."""

ON, ROUND = Move(False, 1), Move(True, 1)
"""One slot on; home, and one slot on."""


def prove_counting(ticks: Ticks, width: int, counts: dict[int, float]) -> Proof:
    """That a machine repeats vectors of `width` bits as often as it is told, `counts` by what it sees of them; raises
    UnprovedError where no proof is found.
    """
    return search(ticks, width, counts).proof()


def search(ticks: Ticks, width: int, counts: dict[int, float]) -> Lockstep:
    """All that may come of such a machine; raises UnprovedError where there can be no proof, or a head strays."""
    possible(lacks(ticks.decisions.machine.access, width))
    found = Counter(ticks, width, counts)
    found.go()
    return found.steps


def lacks(heads: TapeHeads, width: int) -> str:
    """Why there can be no proof with these heads of vectors of so many bits; empty: there may be one."""
    if heads.control is not None:
        return "model.heads.address_from=control: flags alone move its head, and none begins a copy"
    if not set(heads.window) <= {-1, 0}:
        return f"model.heads.window={list(heads.window)}: further than [-1, 0], and all neighbours would be gone through"
    return copying.lacks(width)


class Counter:
    """The search."""

    def __init__(self, ticks: Ticks, width: int, counts: dict[int, float]):
        self.steps, self.blank, self.register, self.counts = Lockstep(ticks, MOST), ticks.blank, ticks.register, counts
        self.vectors: list[Vector] = list(product((0, 1), repeat=width))
        self.silence = (0.0,) * (width + 2)
        self.mark = (*[0] * width, 1)
        self.held: dict[tuple[int, Vector], set[Code]] = defaultdict(set)  # by place and vector
        self.count: dict[int, set[Code]] = defaultdict(set)  # by the copies left when a head comes to it
        self.begun: dict[Answering | Behind, None] = {}  # after the delimiter
        self.behind: set[Code] = {ticks.blank}
        self.rounds: set[tuple[int, Code, int]] = set()  # lags and registers that came round, with so many contents of slot 0

    def go(self) -> None:
        """All of it."""
        self.listen()
        self.answer()

    def listen(self) -> None:
        """All words, and what they leave in slots."""
        waiting = [Listening(0, self.register, Seen(None, self.blank))]
        known = set(waiting)
        for now in waiting:
            rows = [((*vector, 0, 0), self.blank) for vector in self.vectors]
            for vector, tick, did in self.ticks(now.register, now.left.content, rows, self.vectors):
                did = self.leave(self.held[now.place, vector], (now.place, vector), tick, self.go_on(now.place, tick, did))
                left = Seen(vector, did.content)
                self.steps.note(known, waiting, Listening(on(now.place), did.register, left))
            if now.place:  # a word is of one vector at least
                shown = [((*self.silence[:-2], 1, count), self.blank) for count in self.counts.values()]
                for copies, tick, did in self.ticks(now.register, now.left.content, shown, self.counts):
                    self.delimit(now, copies, tick, did)

    def delimit(self, now: Listening, copies: int, tick: Tick, did: Did) -> None:
        """The delimiter's tick."""
        did = self.turn(tick, did)
        still = copies if did.moves[0] == ROUND else copies - 1
        did = self.leave(self.count[still], (still,), tick, did)
        place, register, left = now.place, did.register, now.left
        move = did.moves[0]
        if move == ON:
            begun: list[Answering | Behind] = [Behind(place, register, left, did.content)]
        elif move == Move(True, 0):
            begun = [Answering(False, 0, 0, register, Seen(None, self.blank))]
        elif move == ROUND:
            begun = [Answering(True, 1, 1, register, left)] if place == 1 else list(self.round(1, register))
        else:
            raise StrayError(f"the delimiter moves a head by {move}")
        self.begun.update(dict.fromkeys(begun))

    def answer(self) -> None:
        """All copies: what one leaves in slots is found by the next one, so all begins again with it."""
        size = 0
        while size != (size := self.size()):
            self.steps.ended.clear()
            self.rounds.clear()
            waiting = list(self.begun)
            known = set(waiting)
            for node in waiting:
                for after in self.answered(node):
                    self.steps.note(known, waiting, after)

    def answered(self, node: Answering | Behind) -> Iterator[Answering]:
        """Where the head may be a tick later."""
        if isinstance(node, Behind):
            return self.come_from_behind(node)
        return self.counted(node) if node.counts else self.say(node)

    def leave(self, contents: set[Code], where: Where, tick: Tick, did: Did) -> Did:
        """What a tick does that leaves something in a slot which may hold these contents."""
        contents.add(did.content)
        return did

    def go_on(self, place: int, tick: Tick, did: Did) -> Did:
        """What a tick does whose head goes one slot on; raises StrayError where it goes elsewhere."""
        slot = place if place < BEYOND else FAR
        goes(slot, did, slot + 1)
        return did

    def go_round(self, tick: Tick, did: Did) -> Did:
        """What a tick does whose head goes home and one slot on; raises StrayError where it goes elsewhere."""
        if did.moves[0] != ROUND:
            raise StrayError(f"behind a copy a head moves by {did.moves[0]}, not {ROUND}")
        return did

    def turn(self, tick: Tick, did: Did) -> Did:
        """What the delimiter's tick does."""
        return did

    def size(self) -> int:
        """How much slots may hold."""
        return sum(len(contents) for of in (self.held, self.count) for contents in of.values()) + len(self.behind)

    def say(self, node: Answering) -> Iterator[Answering]:
        """A tick on any vector."""
        following = self.at(on(node.place)).union(*self.count.values())
        held = [(vector, content) for vector in self.vectors for content in sorted(self.held[node.place, vector])]
        rows, vectors = [(self.silence, content) for _, content in held], [vector for vector, _ in held]
        for vector, tick, did in self.ticks(node.register, node.left.content, rows, vectors):
            did = self.leave(self.held[node.place, vector], (node.place, vector), tick, self.go_on(node.place, tick, did))
            due = node.left.vector if node.lag else vector
            assert due is not None
            self.ends(tick, [did.content], following, (*due, 0))
            left = Seen(vector, did.content)
            for counts in (False, True):
                yield Answering(counts, node.lag, on(node.place), did.register, left)

    def counted(self, node: Answering) -> Iterator[Answering]:
        """A tick on the count."""
        for copies, contents in sorted(self.count.items()):
            rows = [(self.silence, content) for content in sorted(contents)]
            for _, tick, did in self.ticks(node.register, node.left.content, rows, rows):
                if copies == 0:
                    self.ends(tick, *self.seen(did.moves[0], node, did.content), self.mark)
                elif node.lag:
                    yield from self.copied(tick, did, node, copies)
                else:
                    did = self.leave(self.count[copies - 1], (copies - 1,), tick, did)
                    yield from self.begin(tick, did, node.place, node.left, did.content)

    def copied(self, tick: Tick, did: Did, node: Answering, copies: int) -> Iterator[Answering]:
        """The last vector of a copy is due on the tick on the count."""
        assert node.left.vector is not None
        due = (*node.left.vector, 0)
        if copies == 1:
            self.mark_next(tick, did, node, due)
            return
        did = self.leave(self.count[copies - 1], (copies - 1,), tick, self.go_round(tick, did))
        if node.place == 1:
            self.ends(tick, [node.left.content], [did.content], due)
            yield node._replace(register=did.register)
        else:
            self.ends(tick, self.at(0), self.at(1), due)
            yield from self.round(1, did.register)

    def come_from_behind(self, node: Behind) -> Iterator[Answering]:
        """The tick behind the count, on which the first vector of all is due."""
        rows = [(self.silence, self.blank)]
        for _, tick, did in self.ticks(node.register, node.left_there, rows, rows):
            did = self.leave(self.behind, (), tick, did)
            yield from self.begin(tick, did, node.place, node.last, node.left_there)

    def begin(self, tick: Tick, did: Did, place: int, last: Seen, count: Code) -> Iterator[Answering]:
        """The first vector of a copy is due, and a head comes round from behind the last one."""
        did = self.go_round(tick, did)
        if place == 1:
            assert last.vector is not None
            self.ends(tick, [last.content], [count], (*last.vector, 0))
            yield Answering(True, 0, 1, did.register, last)
        else:
            second = self.at(1)
            for vector in self.vectors:
                self.ends(tick, self.held[0, vector], second, (*vector, 0))
            yield from self.round(0, did.register)

    def round(self, lag: int, register: Code) -> Iterator[Answering]:
        """A head that has come round, where there are two vectors at least; nothing where that was so before."""
        begun = lag, register, sum(len(self.held[0, vector]) for vector in self.vectors)
        if begun not in self.rounds:
            self.rounds.add(begun)
            for vector in self.vectors:
                for content in sorted(self.held[0, vector]):
                    yield Answering(False, lag, 1, register, Seen(vector, content))

    def mark_next(self, tick: Tick, did: Did, node: Answering, due: Vector) -> None:
        """Nothing is left to copy but the vector that is due on this tick, and then the end."""
        lefts, owns = self.seen(did.moves[0], node, did.content)
        self.ends(tick, lefts, owns, due)
        anything = self.anything()
        for left in sorted(lefts):
            rows = [(self.silence, own) for own in sorted(owns)]
            for _, last, after in self.ticks(did.register, left, rows, rows):
                if after.moves[0] == Move(False, 0):
                    self.ends(last, [left], [after.content], self.mark)
                else:
                    written = anything | {after.content}
                    self.ends(last, written, written, self.mark)

    def seen(self, move: Move, node: Answering, count: Code) -> tuple[frozenset[Code], frozenset[Code]]:
        """What may stand left of a head and under it that has left the count, and gone anywhere."""
        last, nothing, alone = frozenset([node.left.content]), frozenset([self.blank]), node.place == 1
        first, second = (last, frozenset([count])) if alone else (self.at(0), self.at(1))
        slots = {
            Move(True, -1): (nothing, nothing),
            Move(True, 0): (nothing, first),
            Move(True, 1): (first, second),
            Move(False, -1): (nothing if alone else self.at(0) | self.at(1) | self.at(BEYOND), last),
            Move(False, 0): (last, frozenset([count])),
            Move(False, 1): (frozenset([count]), frozenset(self.behind)),
        }
        return slots[move]

    def at(self, place: int) -> frozenset[Code]:
        """What slots with a vector may hold there."""
        return frozenset().union(*(self.held[place, vector] for vector in self.vectors))

    def anything(self) -> frozenset[Code]:
        """What any slot may hold."""
        return frozenset(self.behind).union(*self.held.values(), *self.count.values())

    def ticks(
        self, register: Code, left: Code, rows: Sequence[tuple[tuple[float, ...], Code]], about: Iterable[About]
    ) -> Iterator[tuple[About, Tick, Did]]:
        """Ticks that may come, by the inputs and what stands under the head, each with what it is about, and all that it may do."""
        asked = [self.steps.asked(inputs, FAR, register, left, own, self.blank) for inputs, own in rows]
        for what, ways in zip(about, self.does(asked)):
            for tick, did in ways:
                yield what, tick, did

    def does(self, asked: Sequence[Tick]) -> list[list[tuple[Tick, Did]]]:
        """All that each of these may do."""
        return self.steps.either_way(asked)

    def ends(self, tick: Tick, lefts: Iterable[Code], owns: Iterable[Code], due: Vector) -> None:
        """What is due at the end of a tick, whichever of these are read there."""
        self.steps.ends_among(tick, frozenset(lefts), frozenset(owns), frozenset([self.blank]), due=bytes(due))
