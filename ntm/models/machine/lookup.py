"""A run of decisions that are looked up: no network here, and no arithmetic; where slots and moves lead is looked up too.

Letters: H heads, W offsets, N slots.
"""

from collections.abc import Callable
from itertools import combinations
from typing import NamedTuple

Code = bytes
"""The bits of a register or a slot, a byte each; of inputs, their float32."""


class Shape(NamedTuple):
    """What a loop is made for."""

    heads: int
    tapes: int  # 1: all heads are on it; otherwise one for each head
    offsets: tuple[int, ...]  # of slots that a head's decisions depend on, from its own; 0 is one of them
    reach: int  # of a move


class Configuration(NamedTuple):
    """Where a run stands."""

    register: Code
    at: list[int]  # the slot of every head
    tapes: list[list[Code]]  # [tapes N], changed in place


class Ring(NamedTuple):
    """Lists with an entry for each of N slots."""

    beside: list[list[int]]  # [W N], the slot at an offset
    away: list[list[int]]  # [H N], how far a head's home is on the ring that decisions are made on
    goes: list[list[list[int]]]  # [H moves N], the slot that a move leads to: from -reach to reach, then the same from home


Decision = tuple
"""(number, register, then for each head the slot that it leaves and its move), flat: what is looked up by a `Key`."""


class Key(NamedTuple):
    """What a decision depends on; loops look up the same in a flat tuple."""

    inputs: Code
    register: Code
    away: tuple[int, ...]  # [H]
    seen: tuple[Code, ...]  # [H*W], head by head
    met: tuple[bool, ...]  # of each pair of heads on one tape: whether they stand on one slot

    @classmethod
    def of(cls, shape: Shape, flat: tuple) -> "Key":
        """The parts of a flat key."""
        inputs, register, *rest = flat
        seen = shape.heads * (1 + len(shape.offsets))
        return cls(inputs, register, tuple(rest[: shape.heads]), tuple(rest[shape.heads : seen]), tuple(rest[seen:]))


def pairs(shape: Shape) -> list[tuple[int, int]]:
    """Heads that may stand on one slot."""
    return list(combinations(range(shape.heads), 2)) if shape.tapes == 1 else []


def small(shape: Shape, slots: int) -> int:
    """Slots of a ring on which a decision comes out as on one of `slots` slots: twice as many as moves from a head and from
    a home that is far can reach."""
    return min(slots, max(shape.heads, 8 * shape.reach + 2))


def ring_of(shape: Shape, slots: int, homes: list[int]) -> Ring:
    """The lists for `slots` slots and heads at home on these."""
    ring, few = list(range(slots)), small(shape, slots)
    moves = range(-shape.reach, shape.reach + 1)

    def shifted(by: int) -> list[int]:
        return ring[by % slots :] + ring[: by % slots]

    def distances(home: int) -> list[int]:
        if few == slots:
            return [(home - at) % slots for at in ring]
        away = [few // 2] * slots  # far
        for near in range(-2 * shape.reach, 2 * shape.reach + 1):
            away[(home - near) % slots] = near % few
        return away

    stays = [shifted(move) for move in moves]
    goes = [stays + [[(home + move) % slots] * slots for move in moves] for home in homes]
    return Ring([shifted(offset) for offset in shape.offsets], [distances(home) for home in homes], goes)


Loop = Callable[[list[Code], dict[tuple, Decision], Ring, Configuration, Callable[[int], None]], Configuration]
"""(inputs, decisions, ring, configuration, what is told the number of each decision) -> the configuration after them."""


def loop_of(shape: Shape) -> Loop:
    """The loop for this many heads and offsets, each written out: loops over them inside of it take four times as long."""
    each = range(shape.heads)

    def names(name: str, count: int = shape.heads) -> str:
        return "".join(f"{name}{n}, " for n in range(count))

    away = [f"away{h}[at{h}]" for h in each]
    seen = [f"tape{h}[beside{n}[at{h}]]" if offset else f"tape{h}[at{h}]" for h in each for n, offset in enumerate(shape.offsets)]
    met = [f"at{a} == at{b}" for a, b in pairs(shape)]
    source = f"""
def loop(rows, decisions, ring, configuration, say):
    register, places, tapes = configuration
    {names("at")} = places
    {names("tape")} = tapes * {shape.heads // shape.tapes}
    {names("beside", len(shape.offsets))} = ring.beside
    {names("away")} = ring.away
    {names("goes")} = ring.goes
    for inputs in rows:
        number, register, {"".join(f"tape{h}[at{h}], go{h}, " for h in each)} = decisions[
            inputs, register, {", ".join(away + seen + met)}
        ]
        {"; ".join(f"at{h} = goes{h}[go{h}][at{h}]" for h in each)}
        say(number)
    return Configuration(register, [{names("at")}], tapes)
"""
    made = {"Configuration": Configuration}
    exec(source, made)  # of numbers alone, as a NamedTuple's methods are made
    return made["loop"]  # type: ignore[return-value]
