"""How far every gate is from flipping, in real arithmetic and in float32: the part of a certificate that is about numbers.

Around each combination of register and symbols that can occur lies a box: the register's bits may be off by `register`, what
is read by `read`. Through the controller the box is followed soundly: unit by unit as an exact linear map of the box where
a ReLU keeps its side in the whole box, as an interval where it may not, and with float32's own rounding added. Each logit
keeps a margin, its distance from 0 less the radius of its box; a margin m leaves an error of at most sigmoid(-m) in its bit.
The errors after a tick follow from the margins; `settle` looks for errors that reproduce themselves. Where it finds them, a
tick from inside the boxes ends inside the boxes, so by induction every tick of every run does what the decisions say.

Letters: X combinations, C units, R what is read, Q register, L logits.
"""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import torch

from ntm.models.machine.access import CLIP
from ntm.models.machine.addressing import WEIGHT_EPSILON
from ntm.models.recurrent import Recurrent
from ntm.models.turing.compiler import shape_of
from ntm.models.turing.decisions import Code, Decision, encode
from tasks.turing import Table

ROUNDING = 2.0**-24
"""Unit roundoff of float32."""
FUNCTION = 1e-6
"""Relative error granted to float32's exp, log, sigmoid, softmax and softplus, and to the few products around them."""
DRIFT = 1e-6
"""Error granted to a slot that no head visits for a long time: see `Bounds.ticks`."""
MOST_SLOTS = 2.0**40
LEAST = 2.0**-150
"""Under this float32 rounds to 0; stray weight is not told apart below it."""
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
    settled: bool  # the errors reproduce themselves

    @property
    def ticks(self) -> float:
        """Ticks for which a slot may be left alone before stray weight has moved it by DRIFT, in real arithmetic."""
        return DRIFT / (2 * self.errors.off_head)

    @property
    def forever(self) -> bool:
        """Whether the induction holds for all ticks in float32, where a slot left alone does not move.

        Round to nearest takes value - value * w back to value for w < 2^-25, and value + w back to value once that is above
        2^25 w: stray weight below ABSORBED never moves a slot by more than 2^-24, which is less than DRIFT.
        """
        return bool(self.settled and self.errors.off_head <= ABSORBED)

    @property
    def kept(self) -> float:
        """The share of its old error that a slot keeps under a head: far below 1, errors are forgotten."""
        return self.errors.off_head + flips(self.margins.erase)


def flips(margin: float) -> float:
    """How far a gate with this margin may be from 0 or 1."""
    return float(np.exp(-np.logaddexp(0, margin)))


class Layers(NamedTuple):
    """The network of one tick as weights and biases in float64."""

    hidden: list[tuple[np.ndarray, np.ndarray]]
    last: tuple[np.ndarray, np.ndarray]  # [L C], [L]: register, writing, addressing, output
    tail: np.ndarray  # [R], what the output makes of the reads after the tick


def layers_of(machine: Recurrent) -> Layers:
    """The weights of a machine as a certificate needs them."""

    def exact(tensor: torch.Tensor) -> np.ndarray:
        return tensor.detach().double().numpy()

    controller, feedback, heads, output = shape_of(machine)
    hidden = [(exact(layer.weight), exact(layer.bias)) for layer in controller.layers if isinstance(layer, torch.nn.Linear)]
    layers = [feedback, heads.writing, heads.addressing]
    width = controller.width
    weights = torch.cat([*(layer.weight for layer in layers), output.weight[:, :width]])
    biases = torch.cat([*(layer.bias for layer in layers), output.bias])
    return Layers(hidden, (exact(weights), exact(biases)), exact(output.weight[0, width:]))


def box(layers: Layers, centre: np.ndarray, spread: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Centre [L] and radius [L] of the logits, from what the controller sees [R+Q] and how far that may be off [R+Q]."""
    # Deviation of the units = linear @ deviation of what is seen, plus at most loose. Units that are surely 0 are left out.
    units, linear, loose, alive = centre, None, np.zeros(len(centre)), np.arange(len(centre))
    for weight, bias in layers.hidden:
        w = weight[:, alive]
        value, error = w @ units + bias, np.abs(w) @ loose + rounding(w, units, bias)
        through = w if linear is None else w @ linear
        radius = np.abs(through) @ spread + error
        alive = np.flatnonzero(value + radius >= 0)
        on = (value - radius)[alive] > 0
        units = np.maximum(value[alive], 0.0)
        linear = np.where(on[:, None], through[alive], 0.0)
        loose = np.where(on, error[alive], radius[alive])
    assert linear is not None, "a controller has a hidden layer"
    weight, bias = layers.last
    w = weight[:, alive]
    radius = np.abs(w @ linear) @ spread + np.abs(w) @ loose + rounding(w, units, bias)
    return w @ units + bias, radius


def rounding(weight: np.ndarray, units: np.ndarray, bias: np.ndarray) -> np.ndarray:
    """The most that float32 may be off in weight @ units + bias, in any order of summation (with a factor 2 to spare)."""
    terms = len(units) + 2
    return 2 * terms * ROUNDING * (np.abs(weight) @ np.abs(units) + np.abs(bias))


def bounds(machine: Recurrent, table: Table, reached: Mapping[tuple[Code, tuple[str, ...]], Decision]) -> Bounds:
    """Margins and errors over every combination that can occur, and whether the errors reproduce themselves."""
    if not all(parameter.isfinite().all() for parameter in machine.parameters()):
        return Bounds(Margins(*[-np.inf] * 7), Errors(np.inf, np.inf, np.inf), settled=False)
    errors = Errors(FUNCTION, FUNCTION, LEAST)
    for _ in range(50):
        margins = smallest(machine, table, reached, errors)
        after = one_tick(margins, errors)
        if not np.isfinite(np.array([*margins, *after])).all() or min(margins) <= 0 or max(after) > 0.5:
            return Bounds(margins, after, settled=False)
        if all(new <= old for new, old in zip(after, errors)):
            return Bounds(margins, errors, settled=True)
        errors = Errors(*(old if new <= old else 1.1 * new for new, old in zip(after, errors)))
    return Bounds(margins, errors, settled=False)


def smallest(machine: Recurrent, table: Table, reached: Mapping[tuple[Code, tuple[str, ...]], Decision], errors: Errors) -> Margins:
    """The smallest margins of all combinations within the boxes of these errors."""
    read = errors.slot + DRIFT + 2 * errors.off_head
    shape = shape_of(machine)
    spread = np.repeat([read, errors.register], [shape.heads.read_width, shape.controller.register])
    layers = layers_of(machine)
    each = [margins_at(layers, table, code, seen, decision, spread) for (code, seen), decision in reached.items()]
    return Margins(*np.min(np.array(each), axis=0).tolist())


def margins_at(layers: Layers, table: Table, code: Code, seen: tuple[str, ...], decision: Decision, spread: np.ndarray) -> Margins:
    """The margins of one combination, towards what its decision says."""
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
    # The output also sees what is read after the tick: any symbol of each tape.
    tail = layers.tail.reshape(tapes, symbols)
    after = np.abs(tail).max(1).sum() + np.abs(tail).sum() * spread.max()
    return Margins(
        register=float((np.where(np.array(decision.code) > 0, register, -register) - r_register).min()),
        written=float(np.clip(np.where(written > 0, values, -values) - r_values, -CLIP, CLIP).min()),
        erase=float(np.clip(erase - r_erase, -CLIP, CLIP).min()),
        stay=float(-high[:, 0].max()),
        move=float(min(gaps)),
        running=float((running[0] if decision.running else -running[0]) - r_running[0] - after),
        sharpening=float(1 + np.logaddexp(0, low[:, 1].min())),
    )


def one_tick(margins: Margins, errors: Errors) -> Errors:
    """The errors after a tick that began within `errors`.

    Under its head a slot keeps at most off_head + (1 - erase) of what it held, so its old error is forgotten. The share of
    weight that leaves the head, to home, to other moves and from before, is raised to the power of the sharpening; slots that
    hold next to nothing count as WEIGHT_EPSILON each.
    """
    keeps = errors.off_head + flips(margins.erase)
    slot = keeps * (1 + errors.slot) + flips(margins.written)
    strays = 2 * np.exp(-margins.move)
    on = (1 - flips(margins.stay)) * (1 - errors.off_head) / (1 + strays)
    power = margins.sharpening * (1 - FUNCTION)
    off = ((1 - on) / on * (1 + FUNCTION)) ** power + MOST_SLOTS * (WEIGHT_EPSILON / on) ** power
    return Errors(flips(margins.register) + FUNCTION, slot + FUNCTION, max(off, LEAST))
