"""All words that the tape can hold between sweeps, for operands of few bits, each with the running sum that it should stand for."""

from ntm.models.machine.lookup import Code
from ntm.proofs.multiplier.invariant import AHEAD, NONE, Letter
from ntm.proofs.multiplier.ticks import FAR, Kind, Tick, Ticks, UnprovedError

LARGEST = 6
"""Bits of a, up to which every a is swept over, by any bits of b, for ever: a proof takes them all."""

MOST = 400_000
"""Words of one a; more are given up."""

Samples = dict[tuple[Letter, ...], int]


def samples(ticks: Ticks) -> Samples:
    """Words and their sums; where two sums come with one word, whatever came last."""
    found: Samples = {}
    for n in range(1, LARGEST + 1):
        for a in range(1 << n):
            found.update(words(ticks, a, n))
    return found


def words(ticks: Ticks, a: int, n: int) -> Samples:
    """The words after start ticks, and the running sums then."""
    first = -ticks.first
    tape, register = [ticks.blank] * (n + 5), ticks.register  # the last one stands for the slot before slot 0
    for bit in range(n):
        register = make(ticks, "load", a >> bit & 1, bit + first, register, tape)
    marks = [*[AHEAD] * first, *(a >> bit & 1 for bit in range(n)), *[NONE] * 3][: n + 3]
    found: Samples = {}
    waiting = begun(ticks, tape, register, n + first, 0)
    seen = set(waiting)
    while waiting:
        held, register, bit, total = waiting.pop()
        found[tuple(Letter(content, mark, 0) for content, mark in zip(held, marks))] = total
        tape = list(held)
        for slot in range(n + 1):
            register = make(ticks, "none", bit, slot, register, tape)
        fresh = [after for after in begun(ticks, tape, register, n + 1, total + bit * a >> 1) if after not in seen]
        seen.update(fresh)
        waiting += fresh
        if len(seen) > MOST:
            raise UnprovedError(f"an operand of {n} bits makes more than {MOST:,} words")
    return found


def begun(ticks: Ticks, tape: list[Code], register: Code, slot: int, total: int) -> list[tuple[tuple[Code, ...], Code, int, int]]:
    """Tape, register, bit of b and running sum after a start tick, with either bit."""
    made = []
    for bit in (0, 1):
        after = tape.copy()
        made.append((make(ticks, "start", bit, slot, register, after), bit, total, after))
    return [(tuple(after), register, bit, total) for register, bit, total, after in made]


def make(ticks: Ticks, kind: Kind, bit: int, slot: int, register: Code, tape: list[Code]) -> Code:
    """One tick on a tape, changed in place; the register after it."""
    did = ticks[Tick(kind, bit, min(slot, FAR), register, *(tape[at] for at in (slot - 1, slot, slot + 1)))]
    tape[slot] = did.content
    return did.register
