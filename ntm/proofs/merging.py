"""A repeater as it would be if each vector, and each number of copies, were one content of a slot: its own commonest one.

A machine that was trained until it is right writes a vector in a few ways, by what stands beside it, and a proof goes through all
pairs of them. Here a tick that leaves another content than most is taken to leave that of most, and one that sends its head
elsewhere than all the others do, to send it there too. What comes of it is a smaller machine, which `hardening.harden` teaches.
"""

from collections import Counter as Votes
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from ntm.models.machine.lookup import Code
from ntm.proofs.counting import ON, ROUND, Counter, Where
from ntm.proofs.counting_nodes import BEYOND
from ntm.proofs.lockstep import Lockstep
from ntm.proofs.ticks import Did, Move, StrayError, Tick, Ticks, UnprovedError

MOST = 0.5
"""Of all ticks may be done otherwise; with more, it is another machine that is needed."""


class Choice(NamedTuple):
    """What most ticks do."""

    contents: dict[Where, Code]  # that they leave
    turn: Move  # on the delimiter's tick


def chosen(ticks: Ticks, width: int, counts: dict[int, float]) -> Choice:
    """What most ticks of a machine do, where the first that comes to a slot stands for all; raises UnprovedError."""
    first = Merging(ticks, width, counts)
    first.go()
    return Choice(apart(first.votes), first.turns.most_common(1)[0][0])


def apart(votes: Mapping[Where, Votes[Code]]) -> dict[Where, Code]:
    """The commonest content of each that no other vector or number of copies has; the commonest of all where there is none."""
    found: dict[Where, Code] = {}
    taken: dict[Code, Where] = {}
    for where in sorted(votes, key=lambda where: -votes[where].most_common(1)[0][1]):
        by_votes = [content for content, _ in votes[where].most_common()]
        about = where[-1:]  # a vector is the same one wherever it is
        free = [content for content in by_votes if not about or taken.get(content, about) == about]
        found[where] = [*free, *by_votes][0]
        if about:  # behind the count nothing is kept
            taken.setdefault(found[where], about)
    return found


def merged(ticks: Ticks, width: int, counts: dict[int, float], choice: Choice) -> tuple[Lockstep, int]:
    """All that may come of such a machine, and how many ticks it does otherwise; raises UnprovedError where those are too many."""
    found = Merging(ticks, width, counts, choice)
    found.go()
    made = found.steps.made
    otherwise = sum(did.content != ticks[tick].content or did.moves != ticks[tick].moves for tick, did in made.items())
    if otherwise > MOST * len(made):
        raise UnprovedError(f"{otherwise:,} of {len(made):,} ticks differ from what most do")
    return found.steps, otherwise


class Merging(Counter):
    """The search, where what is left differs from what is favoured, goes on from that."""

    def __init__(self, ticks: Ticks, width: int, counts: dict[int, float], choice: Choice | None = None):
        super().__init__(ticks, width, counts)
        self.favoured: dict[Where, Code] = {} if choice is None else dict(choice.contents)
        self.turning = None if choice is None else choice.turn
        self.votes: dict[Where, Votes[Code]] = defaultdict(Votes)
        self.turns: Votes[Move] = Votes()
        self.left: dict[Tick, Code] = {}

    def does(self, asked: Sequence[Tick]) -> list[list[tuple[Tick, Did]]]:
        """What float32 leaves open is not gone on from: it will be practised."""
        return [[done] for done in self.steps.at_once(asked)]

    def leave(self, contents: set[Code], where: Where, tick: Tick, did: Did) -> Did:
        if len(where) == 2:  # any place but the first one is like the next
            where = (min(where[0], BEYOND - 1), where[1])
        self.votes[where][self.steps.ticks[tick].content] += 1
        content = self.favoured.setdefault(where, did.content)
        contents.add(content)
        self.steps.torn |= self.left.setdefault(tick, content) != content
        return self.changed(tick, did._replace(content=content))

    def go_on(self, place: int, tick: Tick, did: Did) -> Did:
        try:
            return super().go_on(place, tick, did)
        except StrayError:
            return self.changed(tick, did._replace(moves=(ON,)))

    def go_round(self, tick: Tick, did: Did) -> Did:
        return self.changed(tick, did._replace(moves=(ROUND,)))

    def turn(self, tick: Tick, did: Did) -> Did:
        self.turns[self.steps.ticks[tick].moves[0]] += 1
        self.turning = self.turning or did.moves[0]
        return self.changed(tick, did._replace(moves=(self.turning,)))

    def changed(self, tick: Tick, did: Did) -> Did:
        """What a tick is taken to do."""
        self.steps.made[tick] = did
        return did
