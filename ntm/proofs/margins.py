"""How far every gate is from flipping, in real arithmetic and in float32: the part of a certificate that is about numbers.

Around each combination of register and symbols that can occur lies a box: the register's bits may be off by `register`, what
is read by `seen`. Through the controller the box is followed soundly (boxes.py). Each logit keeps a margin, its distance from
0 less the radius of its box; a margin m leaves an error of at most sigmoid(-m) in its bit. The errors after a tick follow from
the margins; `bounds` looks for errors that reproduce themselves. Where it finds them, a tick from inside the boxes ends inside
the boxes, so by induction every tick of every run does what the decisions say, if it begins there.
"""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from ntm.models.machine.access import CLIP
from ntm.models.machine.addressing import WEIGHT_EPSILON
from ntm.models.recurrent import Recurrent
from ntm.models.turing.compiler import shape_of
from ntm.models.turing.decisions import TOLERANCE, Code, Decision, encode
from ntm.proofs.boxes import TINY, Layers, OverflowsError, box, layers_of
from tasks.turing import Table

FUNCTION = 1e-6
"""Granted to float32's functions each time that one is used: of its value to softmax, of 1 to sigmoid, of 1 or of its value,
whichever is more, to softplus and log; and to a sum over all slots, of its terms' magnitudes."""
LOOSE = 1 + 1e-3
"""For the few roundings and products of two small errors that are not written out; see `one_tick`."""
DRIFT = 1e-6
"""Error granted to a slot that no head visits for a long time: see `Bounds.ticks`."""
MOST_SLOTS = 2.0**40
LEAST = 2.0**-150
"""Where the search for errors of a weight begins."""
ABSORBED = 2.0**-50
"""Stray weight of which float32 takes up no more than DRIFT, however often it is added; see `Bounds.forever`."""


class Errors(NamedTuple):
    """Bounds on how far the machine's values are from the symbols they stand for."""

    register: float  # of a bit of the register
    slot: float  # of a channel of a slot, when the head has just written it
    off_head: float  # weight that lies on all other slots together


class Margins(NamedTuple):
    """The smallest margins of all combinations, in units of a logit; below 0 a gate may flip."""

    register: float
    written: float
    erase: float  # towards overwriting
    stay: float  # towards not going home
    move: float  # of the move taken over each other
    running: float
    sharpening: float  # the least power, at least 1


class Bounds(NamedTuple):
    """A proof about numbers, or the reason why there is none."""

    margins: Margins
    errors: Errors
    settled: bool  # the errors reproduce themselves, and leave bits that count as such
    overflows: bool = False  # nothing is known: a sum may leave float32's range

    @property
    def ticks(self) -> float:
        """Ticks for which a slot may be left alone before stray weight has moved it by DRIFT.

        Of a slot near 0 or 1 a tick erases at most twice the weight, and adds as much; float32 does twice that at most, for where
        the slot was is one of the numbers that it rounds to.
        """
        return DRIFT / (8 * LOOSE * self.errors.off_head)

    @property
    def forever(self) -> bool:
        """Whether the induction holds for all ticks in float32, where a slot left alone does not move.

        Round to nearest takes value - value * w back to value for w < 2^-25, and value + w back to value once that is above
        2^25 w: stray weight below ABSORBED never moves a slot by more than 2^-24, which is less than DRIFT.
        """
        return bool(self.settled and self.errors.off_head <= ABSORBED)

    @property
    def kept(self) -> float:
        """The share of its old error that a slot keeps under a head: far below 1, errors are forgotten.

        The weight on the slot and the erase gate are each granted FUNCTION, and so is their product, with all its rounding.
        """
        return self.errors.off_head + flips(self.margins.erase) + 3 * FUNCTION


def flips(margin: float) -> float:
    """How far a gate with this margin may be from 0 or 1."""
    return float(np.exp(-np.logaddexp(0, margin)))


def bounds(machine: Recurrent, table: Table, reached: Mapping[tuple[Code, tuple[str, ...]], Decision]) -> Bounds:
    """Margins and errors over every combination that can occur, and whether the errors reproduce themselves."""
    nothing = Bounds(Margins(*[-np.inf] * 7), Errors(np.inf, np.inf, np.inf), settled=False, overflows=True)
    if not all(parameter.isfinite().all() for parameter in machine.parameters()):
        return nothing
    errors = Errors(FUNCTION, FUNCTION, LEAST)
    for _ in range(50):
        try:
            margins = smallest(machine, table, reached, errors)
        except OverflowsError:
            return nothing
        after = one_tick(margins, errors)
        # Whoever reads a run off asks that its values be bits to TOLERANCE.
        if not np.isfinite(np.array([*margins, *after])).all() or min(margins) <= 0 or max(after) > TOLERANCE - DRIFT:
            return Bounds(margins, after, settled=False)
        if all(new <= old for new, old in zip(after, errors)):
            return Bounds(margins, errors, settled=True)
        errors = Errors(*(old if new <= old else 1.1 * new for new, old in zip(after, errors)))
    return Bounds(margins, errors, settled=False)


def smallest(machine: Recurrent, table: Table, reached: Mapping[tuple[Code, tuple[str, ...]], Decision], errors: Errors) -> Margins:
    """The smallest margins of all combinations within the boxes of these errors; raises OverflowsError."""
    shape = shape_of(machine)
    spread = np.repeat([seen_within(errors), errors.register], [shape.heads.read_width, shape.controller.register])
    layers = layers_of(machine)
    each = [margins_at(layers, table, code, seen, decision, spread) for (code, seen), decision in reached.items()]
    return Margins(*np.min(np.array(each), axis=0).tolist())


def seen_within(errors: Errors) -> float:
    """How far what a head reads may be from the symbol of its slot: the slot's error, its weight's, and what else is read.

    The head's weight on it may be off by what lies elsewhere and by the grants of softmax and of the sum.
    """
    slot = errors.slot + DRIFT
    return slot + LOOSE * (2 * errors.off_head + 2 * FUNCTION) * (1 + slot) + MOST_SLOTS * TINY


def margins_at(layers: Layers, table: Table, code: Code, seen: tuple[str, ...], decision: Decision, spread: np.ndarray) -> Margins:
    """The margins of one combination, towards what its decision says; raises OverflowsError."""
    tapes, symbols = table.tapes, len(table.symbols)
    read = encode(table, seen).double().numpy()
    logits, radius = box(layers, np.concatenate([read, np.array(code, dtype=float)]), spread)
    sizes = np.cumsum([len(code), tapes * 2 * symbols, tapes * 5])
    register, writing, addressing, running = np.split(logits, sizes)
    r_register, r_writing, r_addressing, r_running = np.split(radius, sizes)
    (values, erase), (r_values, r_erase) = (part.reshape(tapes, 2, symbols).transpose(1, 0, 2) for part in (writing, r_writing))
    address, r_address = addressing.reshape(tapes, 5), r_addressing.reshape(tapes, 5)
    written = encode(table, decision.write).double().numpy().reshape(tapes, symbols)
    low, high = np.clip(address - r_address, -CLIP, CLIP), np.clip(address + r_address, -CLIP, CLIP)
    gaps = [
        low[tape, 3 + move] - high[tape, 3 + other]
        for tape, move in enumerate(decision.move)
        for other in (-1, 0, 1)
        if other != move
    ]
    return Margins(
        register=float((np.where(np.array(decision.code) > 0, register, -register) - r_register).min()),
        written=float(np.clip(np.where(written > 0, values, -values) - r_values, -CLIP, CLIP).min()),
        erase=float(np.clip(erase - r_erase, -CLIP, CLIP).min()),
        stay=float(-high[:, 0].max()),
        move=float(min(gaps)),
        running=float((running[0] if decision.running else -running[0]) - r_running[0]),
        sharpening=float(1 + np.logaddexp(0, low[:, 1].min())),
    )


def one_tick(margins: Margins, errors: Errors) -> Errors:
    """The errors after a tick that began within `errors`; FUNCTION is granted each time that a function is used.

    Written: under its head a slot keeps at most `kept` of what it held, so its old error is forgotten, and takes the value's, of
    which sigmoid may be off. The three products and two sums round by less than the last FUNCTION.
    Moved: the share of weight that leaves the head, to home, to other moves and from before, is raised to the power of the
    sharpening; slots that hold next to nothing count as WEIGHT_EPSILON each. Two logs are off by FUNCTION, which a power of at
    most 22 makes 1e-4 of a weight: LOOSE; in proportion to the log they make the power smaller, and so do softplus and a product.
    """
    kept = errors.off_head + flips(margins.erase) + 3 * FUNCTION
    slot = kept * (1 + errors.slot + DRIFT) + LOOSE * (flips(margins.written) + FUNCTION) + FUNCTION
    home = flips(margins.stay) + FUNCTION
    strays = 2 * np.exp(-margins.move) + TINY
    on = (1 - errors.off_head) * (1 - home) / (1 + strays) / LOOSE
    power = margins.sharpening * (1 - 4 * FUNCTION)
    if on <= 0 or power < 1:  # below 1 the powers of shares may add up to more than the power of their sum
        return Errors(flips(margins.register) + FUNCTION, slot, np.inf)
    share = LOOSE * (errors.off_head + home + strays) / on
    off = LOOSE * (share**power + MOST_SLOTS * (WEIGHT_EPSILON / on) ** power) + MOST_SLOTS * TINY
    return Errors(flips(margins.register) + FUNCTION, slot, off)
