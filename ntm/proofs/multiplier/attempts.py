"""The proof of a multiplier: what is tried, one after the other, until an invariant is found and the checker takes it."""

from collections.abc import Callable, Sequence
from functools import cache
from typing import NamedTuple

from ntm.proofs.floats import Margins, margins
from ntm.proofs.multiplier.check import Checked, check
from ntm.proofs.multiplier.digits import Digits, solve
from ntm.proofs.multiplier.invariant import Invariant
from ntm.proofs.multiplier.samples import samples
from ntm.proofs.multiplier.search import Search
from ntm.proofs.multiplier.ticks import Ticks
from ntm.proofs.ticks import StrayError, UnprovedError

DEPTHS = range(4)
"""Places from slot 0 on that may have digits of their own."""


class Attempt(NamedTuple):
    """One way to look for an invariant."""

    width: int  # letters of a window
    reach: int | None = None  # letters that stand for a digit; None: in lock-step with an ideal adder

    def __str__(self) -> str:
        how = "in lock-step" if self.reach is None else f"digits of {self.reach}"
        return f"windows of {self.width} slots, {how}"


ATTEMPTS = [
    Attempt(3, 1),
    Attempt(3),
    Attempt(4, 1),
    Attempt(4, 2),
    Attempt(4),
    Attempt(5, 2),
    Attempt(5, 3),
    Attempt(5),
]
"""The cheap ones first."""


class Proof(NamedTuple):
    """An invariant that the checker has taken, and in float32, too."""

    attempt: Attempt | None  # None where the invariant was given
    invariant: Invariant
    checked: Checked
    margins: Margins


class Failed(NamedTuple):
    """Why there is no proof, for each attempt."""

    reasons: list[str]


def prove(ticks: Ticks, tell: Callable[[str], None], attempts: Sequence[Attempt] = ATTEMPTS) -> Proof | Failed:
    """The first proof that closes; `tell` hears what is tried."""
    tell("sweeping over all operands of few bits")
    try:
        known = samples(ticks)
    except UnprovedError as error:
        return Failed([str(error)])

    @cache
    def digits(reach: int, depth: int) -> Digits | None:
        return solve(known, reach, depth)

    reasons: list[str] = []
    for attempt in attempts:
        tell(f"searching: {attempt}")
        try:
            return proof_of(ticks, found_by(ticks, attempt, digits), attempt)
        except StrayError as error:
            return Failed([str(error)])
        except UnprovedError as error:
            reasons.append(f"{attempt}: {error}")
    return Failed(reasons)


def found_by(ticks: Ticks, attempt: Attempt, digits: Callable[[int, int], Digits | None]) -> Invariant:
    """The invariant that an attempt finds; raises UnprovedError, with the last reason."""
    if attempt.reach is None:
        return Search(ticks, None, attempt.width).found()
    reason = UnprovedError("no table of digits makes the sums of real runs")
    for depth in DEPTHS:
        known = digits(attempt.reach, depth)
        if known is not None:
            try:
                return Search(ticks, known, attempt.width).found()
            except StrayError:
                raise
            except UnprovedError as error:
                reason = error
    raise reason


def proof_of(ticks: Ticks, invariant: Invariant, attempt: Attempt | None = None) -> Proof:
    """The proof by an invariant; raises UnprovedError where the checker refuses it, or float32 is too coarse."""
    checked = check(ticks, invariant)
    return Proof(attempt, invariant, checked, certain(ticks, checked))


def certain(ticks: Ticks, checked: Checked) -> Margins:
    """How far all that a proof rests on is from flipping in float32; raises UnprovedError where that is not certain."""
    made = {tick.plain(): ticks[tick] for tick in checked.ticks}
    said = {product.plain(): bytes([ticks.product(product)]) for product in checked.products}
    return margins(ticks.all, made, said, {})
