"""How far a proof's decisions are from flipping in float32, and by how much its sums may be off at most.

Sums are bounded in the worst case, whatever their order (Higham, Accuracy and Stability of Numerical Algorithms, 3.1). Only signs
that matter count: a value's where its slot's old bit is erased, an erase gate's where the value is not the old bit, all of
register, moves and answers. Between ticks nothing adds up, for all that the machine holds is rounded.

Letters: D decisions, M slot width, C hidden units.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple

import numpy as np
from torch import nn

from ntm.models.machine.access import CLIP
from ntm.models.machine.lookup import Code
from ntm.proofs.ticks import SEES, Did, Ending, Endings, Tick, Ticks, UnprovedError

ROUNDING = 2.0**-24
"""Of one operation in float32, relative."""

TINY = 2.0**-126
"""What a subnormal number that is flushed to 0 loses: a term of a sum, or a weight, which is then lost times its input."""

FUNCTION = 1e-5
"""By so much a logit may seem off for what sigmoid and softmax make of it: they are right to 1e-6."""

SURE = 0.5
"""An error that is a smaller share of its margin leaves nothing open: half of what a proof needs, which it computes again."""

AT_ONCE = 65_536
"""Ticks that are judged together: all of them may be more than memory holds."""

LARGEST = 1e37
"""Sums up to here cannot leave float32's range."""


class Margins(NamedTuple):
    """Of all signs that matter."""

    smallest: float  # logit, from flipping
    largest_error: float  # of a logit
    worst: float  # error as a share of the margin; below 1


class Bounded(NamedTuple):
    """Numbers, and how far they are off at most in float32."""

    value: np.ndarray
    error: np.ndarray


class Signs(NamedTuple):
    """Logits whose sign matters: how far they are from flipping, and how far they may be off."""

    margin: np.ndarray
    error: np.ndarray


class Written(NamedTuple):
    """The bits that ticks leave in a slot, [D M], and which of the signs of values and of erase gates each rests on."""

    bit: np.ndarray
    signs: list[tuple[Signs, np.ndarray]]


def margins(
    ticks: Ticks,
    made: Mapping[Tick, Did],
    said: Mapping[Ending, Code],
    among: Mapping[Endings, Code],
    left_open: Mapping[Tick, tuple[int, ...]] = MappingProxyType({}),
) -> Margins:
    """Of what was made at ticks, and said at the end of some; raises UnprovedError where a sign that matters is not certain, or is
    not the one that it rests on. Bits of slots that are left open are not judged: both were gone on from.
    """
    machine, output = ticks.decisions.machine, ticks.decisions.output
    if any(not parameter.isfinite().all() for parameter in [*machine.parameters(), *output.parameters()]):
        raise UnprovedError("a weight is no number")
    found = [*of_ticks(ticks, made, left_open), *of_answers(ticks, said), *of_any_answers(ticks, among)]
    worst = max(part.worst for part in found)
    if not worst < 1:
        raise UnprovedError("a sign is not certain in float32, or a wrong answer may come")
    return Margins(min(part.smallest for part in found), max(part.largest_error for part in found), worst)


def of_ticks(ticks: Ticks, made: Mapping[Tick, Did], left_open: Mapping[Tick, tuple[int, ...]]) -> Iterator[Margins]:
    """Of what ticks leave, where they send heads, and what they hand on."""
    machine, every = ticks.decisions.machine, list(made)
    for first in range(0, len(every), AT_ONCE):
        asked = every[first : first + AT_ONCE]
        dids, hidden = [made[tick] for tick in asked], hidden_of(ticks, asked)
        left = written(ticks, asked, hidden)
        judged = np.ones(left.bit.shape, bool)
        for row, tick in enumerate(asked):
            judged[row, list(left_open.get(tick, ()))] = False
        agree(left.bit[judged], bits([did.content for did in dids])[judged], "a slot's bit")
        rests = [Signs(signs.margin[on & judged], signs.error[on & judged]) for signs, on in left.signs]
        for signs in [*rests, *moved(ticks, asked, hidden)]:
            yield from summed_up(signs)
        if machine.controller.feedback is not None:
            logits = through(machine.controller.feedback, hidden)
            agree(logits.value > 0, bits([did.register for did in dids]), "a register's bit")
            yield from summed_up(squashed(logits))


def of_answers(ticks: Ticks, said: Mapping[Ending, Code]) -> Iterator[Margins]:
    """Of what is said where three slots are read."""
    if said:
        reads = exact(bits([b"".join(ticks.seen(ending, ticks.window)) for ending in said]))
        hidden = hidden_of(ticks, [ending.tick for ending in said])
        logits = through(ticks.decisions.output, beside(hidden, reads))
        agree(logits.value > 0, bits(list(said.values())), "an answer's bit")
        yield from summed_up(Signs(np.abs(logits.value), logits.error))


def of_any_answers(ticks: Ticks, among: Mapping[Endings, Code]) -> Iterator[Margins]:
    """Of what is said where any of some contents are read: by the worst of each slot, for what slots say adds up."""
    output, count = ticks.decisions.output, ticks.decisions.machine.controller.width
    weight = output.weight.detach().double().numpy().T[count:]
    by_slot = dict(zip(ticks.window, np.split(weight, len(ticks.window))))
    for slots, group in by_contents(among).items():
        sign = np.where(bits([among[endings] for endings in group]) > 0, 1, -1)
        silent = exact(np.zeros((len(group), len(weight))))
        logits = through(output, beside(hidden_of(ticks, [endings.tick for endings in group]), silent))
        margin, error = sign * logits.value, logits.error
        for offset, of_slot in by_slot.items():
            held = bits(sorted(slots[SEES.index(offset)]))
            adds, sizes = held @ of_slot, (held @ np.abs(of_slot)).max(0)
            within_range(sizes)
            margin = margin + np.where(sign > 0, adds.min(0), -adds.max(0))
            error = error + rounding_of(output.in_features) * sizes + TINY * len(of_slot)
        yield from summed_up(Signs(margin, error))


def by_contents(among: Iterable[Endings]) -> dict[tuple[frozenset[Code], ...], list[Endings]]:
    """Ends by what may be read at them."""
    groups: dict[tuple[frozenset[Code], ...], list[Endings]] = defaultdict(list)
    for endings in among:
        groups[endings[1:]].append(endings)
    return groups


def open_bits(ticks: Ticks, asked: Sequence[Tick], dids: Sequence[Did]) -> dict[Tick, tuple[int, ...]]:
    """The bits of slots that may come out either way in float32, of those ticks that leave any."""
    left = written(ticks, asked, hidden_of(ticks, asked))
    unsure = left.bit != (bits([did.content for did in dids]) > 0)
    for signs, on in left.signs:
        unsure |= on & ~(share(signs) < SURE)
    return {asked[row]: tuple(np.flatnonzero(unsure[row]).tolist()) for row in np.flatnonzero(unsure.any(1)).tolist()}


def summed_up(signs: Signs) -> list[Margins]:
    """What matters of them; nothing where there are none."""
    if not signs.margin.size:
        return []
    return [Margins(float(signs.margin.min()), float(signs.error.max()), float(share(signs).max()))]


def given_to(ticks: Ticks, asked: Sequence[Tick]) -> np.ndarray:
    """What the controller is given at ticks, [D I]."""
    slots = bits([b"".join(ticks.seen(tick, ticks.window)) for tick in asked])
    return np.concatenate([inputs_of(asked), slots, bits([tick.register for tick in asked])], 1)


def hidden_of(ticks: Ticks, asked: Sequence[Tick]) -> Bounded:
    """What the controller makes of ticks, [D C]."""
    now = exact(given_to(ticks, asked))
    for layer in ticks.decisions.machine.controller.layers:
        if isinstance(layer, nn.Linear):
            now = through(layer, now)
        else:  # ReLU: what is certainly below 0 is exactly 0
            now = Bounded(np.maximum(now.value, 0), np.where(now.value < -now.error, 0, now.error))
    return now


def written(ticks: Ticks, asked: Sequence[Tick], hidden: Bounded) -> Written:
    """What is left in a slot."""
    access = ticks.decisions.machine.access
    logits, width = through(access.writing, hidden), access.slot_width
    values, gates = (each(logits, access.heads, part) for part in (slice(width), slice(width, None)))
    value, erase = squashed(values), squashed(gates)
    new, erased = values.value > 0, gates.value > 0
    old = bits([tick.own for tick in asked]) > 0
    # A bit comes out by its gate, and by its value where that is 1; or by its value alone, where it is the old bit.
    by_value = share(value)
    by_gate = np.maximum(share(erase), np.where(erased, by_value, 0))
    alone = (new == old) & (by_value < by_gate)
    return Written(np.where(erased, new, old), [(erase, ~alone), (value, alone | erased)])


def moved(ticks: Ticks, asked: Sequence[Tick], hidden: Bounded) -> list[Signs]:
    """Gates home, and by how much the heaviest move is before the next."""
    access = ticks.decisions.machine.access
    logits = through(access.addressing, hidden if access.control is None else exact(inputs_of(asked)[:, access.control]))
    gate = squashed(each(logits, access.heads, slice(1)))
    moves = [part.reshape(-1, access.shift_width) for part in each(logits, access.heads, slice(2, None))]
    best = np.sort(np.clip(moves[0], -CLIP, CLIP), 1)
    return [gate, Signs(best[:, -1] - best[:, -2], 2 * (moves[1].max(1) + FUNCTION))]


def through(layer: nn.Linear, before: Bounded) -> Bounded:
    """A layer's sums; raises UnprovedError where one may overflow."""
    weight = layer.weight.detach().double().numpy().T
    bias = layer.bias.detach().double().numpy()
    rounding = rounding_of(len(weight))
    sizes = np.abs(before.value) @ np.abs(weight) + np.abs(bias)
    errors = before.error @ np.abs(weight)
    within_range(sizes + errors)
    flushed = TINY * (len(weight) + 2 + (np.abs(before.value) + before.error).sum(1, keepdims=True))
    return Bounded(before.value @ weight + bias, errors * (1 + rounding) + rounding * sizes + flushed)


def within_range(sizes: np.ndarray) -> None:
    """Raise UnprovedError where a sum may overflow."""
    if not (sizes < LARGEST).all():
        raise UnprovedError("a sum may leave float32's range")


def rounding_of(inputs: int) -> float:
    """Of a sum over so many inputs in float32, as a share of its terms' sizes."""
    terms = inputs + 2
    return 1.001 * terms * ROUNDING / (1 - terms * ROUNDING)  # a thousandth for what is computed here


def each(logits: Bounded, heads: int, part: slice) -> Bounded:
    """A part of every head's logits [D H*X], head by head."""
    return Bounded(*(numbers.reshape(len(numbers), heads, -1)[:, :, part].reshape(len(numbers), -1) for numbers in logits))


def squashed(logits: Bounded) -> Signs:
    """Logits of a sigmoid that is rounded to a bit."""
    return Signs(np.abs(logits.value), logits.error + FUNCTION)


def share(signs: Signs) -> np.ndarray:
    """Errors as shares of the margins."""
    return signs.error / np.maximum(signs.margin, TINY)


def agree(made: np.ndarray, expected: np.ndarray, what: str) -> None:
    """Raise UnprovedError where this arithmetic and the machine's part."""
    if (made != (expected > 0)).any():
        raise UnprovedError(f"{what} is not certain in float32")


def inputs_of(asked: Sequence[Tick]) -> np.ndarray:
    """The inputs of ticks, [D I]."""
    return np.array([tick.inputs for tick in asked], float)


def bits(codes: Sequence[Code]) -> np.ndarray:
    """Codes as rows of numbers."""
    return np.frombuffer(b"".join(codes), np.uint8).reshape(len(codes), -1).astype(float)


def exact(values: np.ndarray) -> Bounded:
    """Numbers that float32 has."""
    return Bounded(values, np.zeros_like(values))


def beside(left: Bounded, right: Bounded) -> Bounded:
    """Side by side."""
    return Bounded(*(np.concatenate(pair, 1) for pair in zip(left, right)))
