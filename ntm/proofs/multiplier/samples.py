"""Words that real runs leave on the tape between sweeps, each with the running sum that they should stand for."""

from collections.abc import Iterator

import numpy as np

from ntm.proofs.multiplier.invariant import NONE, Letter
from ntm.proofs.multiplier.ticks import FAR, Kind, Tick, Ticks

SMALL = 6
"""Operands of up to so many bits are all run, each with some b."""

LONGEST = 11
"""Bits of those that are drawn."""

BEYOND = 10
"""Sweeps behind the last one that counts: a proof takes b as any bits, in any number of sweeps."""

Samples = dict[tuple[Letter, ...], int]


def samples(ticks: Ticks, count: int) -> Samples:
    """Words and their sums from all small a, and `count` drawn ones; where runs disagree, whatever came last."""
    random = np.random.default_rng(0)
    found: Samples = {}
    for n in range(1, SMALL + 1):
        for a in range(1 << n):
            for _ in range(max(5, 100 >> n)):
                found.update(words(ticks, a, n, sparse(random, 2 * n + BEYOND)))
    for _ in range(count):
        n = int(random.integers(SMALL, LONGEST + 1))
        found.update(words(ticks, int(sparse(random, n) @ (1 << np.arange(n))), n, sparse(random, 2 * n + BEYOND)))
    return found


def sparse(random: np.random.Generator, length: int) -> np.ndarray:
    """Bits, few or many of them 1, none in front or behind by chance."""
    drawn = random.random(length) < random.choice([0.05, 0.2, 0.5, 0.5, 0.8, 0.95])
    first, last = (int(at) for at in random.choice([0, 0, 0, 1, 3], 2))
    drawn[:first] = drawn[length - last * length // 4 :] = False
    return drawn.astype(np.int64)


def words(ticks: Ticks, a: int, n: int, b: np.ndarray) -> Iterator[tuple[tuple[Letter, ...], int]]:
    """The word after each start tick, and the running sum then."""
    tape, register, total = [ticks.blank] * (n + 5), ticks.register, 0  # the last ones stand for slots below 0

    def tick(kind: Kind, bit: int, slot: int) -> None:
        nonlocal register
        did = ticks[Tick(kind, bit, min(slot, FAR), register, *(tape[at] for at in (slot - 1, slot, slot + 1)))]
        register, tape[slot] = did.register, did.content

    for slot in range(n):
        tick("load", a >> slot & 1, slot)
    first, last = ticks.first, ticks.first + n + 1
    marks = [*[NONE] * -first, *(a >> slot & 1 for slot in range(n)), *[NONE] * 3]
    for number, bit in enumerate(b.tolist()):
        tick("start", bit, n if number == 0 else last)
        held = [tape[slot] for slot in range(first, first + n + 3)]
        yield tuple(Letter(content, mark, 0) for content, mark in zip(held, marks)), total
        for slot in range(first, last):
            tick("none", bit, slot)
        total = total + bit * a >> 1
