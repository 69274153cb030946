"""Which adder a proved multiplier is, derived from its digits and from what the identity leaves over slot by slot: its carries.

Digits of the old word and of the new one are weighted alike where the sum has moved down by a slot: a slot's new digit as the old
digit right of it. What has come in from all slots below, by the identity S + b a = p + 2 S', is the carry. So at each slot

    right + a b + carry = digit + 2 * (carry of the next slot),

where a is the bit of the first operand that weighs as much.
"""

from fractions import Fraction
from typing import NamedTuple

from ntm.proofs.multiplier.check import Checked
from ntm.proofs.multiplier.invariant import Invariant

FULL = "a full adder: each slot holds a sum bit, and the carry is passed on to the next slot at once"
SAVING = (
    "a full adder that saves its carry: a slot holds its sum bit plus twice its carry, a digit from 0 to 3; no carry runs along a "
    "sweep, it is added in the next one"
)
BESIDE = "not told: the proof keeps the running sum's bits beside the slots, what one holds is no digit of its own"
UNKNOWN = "not told: its digits are not weighted as the bits of a that it sees"


class Adds(NamedTuple):
    """A slot's sum: right + product + carry = digit + 2 * onward."""

    right: int  # old digit of the slot after it
    product: int  # bit of a, times the sweep's bit of b
    carry: Fraction
    digit: int  # that is written
    onward: Fraction  # the next slot's carry


def adds_of(invariant: Invariant, checked: Checked, early: bool) -> list[Adds]:
    """Every sum that a slot far from where sweeps begin can make; none where they would be the proof's own, or are not told."""
    at = early + 1 - invariant.depth  # of the bit of a, from the slot
    if invariant.lockstep or at not in (-1, 0, 1):
        return []
    unit = Fraction(2, 2**invariant.depth)  # of a new digit, in units of its slot
    found = set()
    for one in checked.sums:
        own, right = Fraction(one.own, 2), Fraction(one.right, 2)  # they weigh half of the slot's new digit, and of the next one's
        carry, onward = one.before / unit + own, one.after / unit + right
        before, here, after = one.bits
        if at == -1:  # the identity has counted a's bit already
            carry, onward = carry - before, onward - here
        elif at == 1:  # it has yet to count the one before
            carry, onward = carry + Fraction(here, 2), onward + Fraction(after, 2)
        found.add(Adds(one.right, one.bits[at + 1], carry, one.new, onward))
    assert all(add.right + add.product + add.carry == add.digit + 2 * add.onward for add in found)
    return sorted(found)


def adder(invariant: Invariant, adds: list[Adds]) -> str:
    """Which adder it is, in words."""
    if not adds:
        return BESIDE if invariant.lockstep else UNKNOWN
    bits = {0, 1}
    if all({add.right, add.carry, add.digit, add.onward} <= bits for add in adds):
        return FULL
    if all(add.carry in bits and add.digit == add.right % 2 + add.product + add.carry for add in adds):
        return SAVING
    digits, carries = {add.digit for add in adds}, sorted({add.carry for add in adds})
    sizes = f"digits from {min(digits)} to {max(digits)}, carries {', '.join(map(str, carries))}"
    return f"a redundant adder: {sizes}, so that a carry may stay in a digit" if digits - bits else f"an adder of its own: {sizes}"
