"""All words that the tape can hold between sweeps, for operands of few bits, each with the running sum that it should stand for."""

from typing import NamedTuple

from ntm.models.machine.lookup import Code
from ntm.proofs.multiplier.invariant import NONE, Letter
from ntm.proofs.multiplier.ticks import Kind, Tick, Ticks
from ntm.proofs.ticks import FAR, UnprovedError

LARGEST = 6
"""Bits of a, up to which every a is swept over, by any bits of b, for ever: a proof takes them all."""

MOST = 400_000
"""Words of one a; more are given up."""

Samples = dict[tuple[Letter, ...], int]


class Begun(NamedTuple):
    """A sweep that has just begun."""

    tape: tuple[Code, ...]  # slots below 0 come last
    register: Code
    bit: int  # of b
    total: int  # the running sum before it


def samples(ticks: Ticks) -> Samples:
    """Words and their sums; where two sums come with one word, whatever came last."""
    found: Samples = {}
    for n in range(1, LARGEST + 1):
        for a in range(1 << n):
            found.update(words(ticks, a, n))
    return found


def words(ticks: Ticks, a: int, n: int) -> Samples:
    """The word after each start tick, and the running sum then."""
    tape, register = [ticks.blank] * (n + 5), ticks.register
    for slot in range(n):
        register = make(ticks, "load", a >> slot & 1, slot, register, tape)
    first, last = ticks.first, ticks.first + n + 1
    marks = [*[NONE] * -first, *(a >> slot & 1 for slot in range(n)), *[NONE] * 3]
    found: Samples = {}
    waiting = begun(ticks, tape, register, n, 0)
    seen = set(waiting)
    while waiting:
        now = waiting.pop()
        held = [now.tape[slot] for slot in range(first, first + n + 3)]
        found[tuple(Letter(content, mark, 0) for content, mark in zip(held, marks))] = now.total
        tape, register = list(now.tape), now.register
        for slot in range(first, last):
            register = make(ticks, "none", now.bit, slot, register, tape)
        fresh = [after for after in begun(ticks, tape, register, last, now.total + now.bit * a >> 1) if after not in seen]
        seen.update(fresh)
        waiting += fresh
        if len(seen) > MOST:
            raise UnprovedError(f"an operand of {n} bits makes more than {MOST:,} words")
    return found


def begun(ticks: Ticks, tape: list[Code], register: Code, slot: int, total: int) -> list[Begun]:
    """What is there after a start tick with either bit of b."""
    found = []
    for bit in (0, 1):
        after = tape.copy()
        now = make(ticks, "start", bit, slot, register, after)
        found.append(Begun(tuple(after), now, bit, total))
    return found


def make(ticks: Ticks, kind: Kind, bit: int, slot: int, register: Code, tape: list[Code]) -> Code:
    """One tick on a tape, which is changed; the register after it."""
    did = ticks[Tick(kind, bit, min(slot, FAR), register, *(tape[at] for at in (slot - 1, slot, slot + 1)))]
    tape[slot] = did.content
    return did.register
