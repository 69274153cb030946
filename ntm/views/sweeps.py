"""A learned machine is let multiply, and what stands on its tape behind every sweep is read, as digits where these are found."""

from collections.abc import Iterator

import torch

from ntm.models import Model
from ntm.models.machine.discrete import Discrete
from ntm.models.machine.lookup import Configuration
from ntm.models.machine.machine import Machine
from ntm.models.machine.tape_heads import TapeHeads
from ntm.models.recurrent import Recurrent
from ntm.proofs.multiplier.attempts import DEPTHS
from ntm.proofs.multiplier.digits import Digits, solve, windows
from ntm.proofs.multiplier.invariant import NONE, Letter
from ntm.proofs.multiplier.samples import Samples, words
from ntm.proofs.multiplier.ticks import Ticks
from ntm.proofs.ticks import UnprovedError, fits
from ntm.views.sheet import Row, Sheet
from tasks import BinaryMul
from tasks.binary_add import bits, number

REACHES = (1, 2)
"""Slots that stand for a digit together: the slot, then with the one before it."""

FEW, MOST = 4, 1_200
"""Digits are solved from words of a of so many bits, and not where these take more decisions: seconds, then."""

LARGEST = 9
"""What people call a digit."""


def drawable(model: Model) -> bool:
    """Whether sweeps of this model are rows of bits: rounded, one tape head."""
    if not model.rounded or not isinstance(model, Recurrent) or not isinstance(model.cell, Machine):
        return False
    return isinstance(model.cell.access, TapeHeads) and model.cell.access.heads == 1


def sheet_of(model: Recurrent, task: BinaryMul, a: int, b: int, length: int) -> Sheet:
    """Multiply numbers of `length` bits, and keep what stands on the tape behind every sweep."""
    discrete = model.discrete()
    assert isinstance(discrete, Discrete)
    inputs = task.posed([(a, b)], length, "test").inputs
    inputs = torch.cat([inputs, torch.tensor([[[0.0, 0, 1]]])], 1)  # as if one more sweep began
    room = discrete.room_for(task.room(length))
    states: list[Configuration] = discrete(inputs[:, : length + 1], room=room).state
    said = [0]
    for sweep in inputs[:, length + 1 :].split(length + 2, 1):
        output = discrete(sweep, state=states[-1:])
        states = states + output.state
        said.append(number(task.answer(output.logits)[0, 1]))  # of tick 2: the start tick was the piece before's last
    slots, home = len(states[0].tapes[0]), discrete.begin(room)[2].at[0]
    first = -1 if (states[0].at[0] - home) % slots == slots - 1 else 0
    columns = [(home + first + slot) % slots for slot in range(length + 3)]
    held, right = [0, *bits(b, len(said) - 1).tolist()], [0, *bits(a * b, len(said) - 1).tolist()]
    rows = []
    for j, state in enumerate(states):
        contents = tuple(state.tapes[0][slot] for slot in columns)
        due = a * (b % (1 << j)) >> j
        rows.append(Row(int(held[j]), contents, state.register, None, None, due, said[j], int(right[j])))
    sheet = Sheet(a, b, length, first, None, 1, *kept(model, rows), rows)
    return next((read for digits in tables(model) if (read := with_digits(sheet, digits)) is not None), sheet)


def kept(model: Recurrent, rows: list[Row]) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Channels of a slot and bits of the register that were not given up."""
    left = {channel.name for channel in model.channels() if channel.left}
    slot, register = len(rows[0].contents[0]), len(rows[0].register)
    return tuple(n for n in range(slot) if f"slot {n}" in left), tuple(n for n in range(register) if f"register {n}" in left)


def tables(model: Recurrent) -> Iterator[Digits]:
    """Tables of digits by which all words of few bits stand for their sums, the simplest first."""
    if not fits(model):
        return
    ticks, known = Ticks(model), Samples()
    try:
        for length in range(1, FEW + 1):
            for a in range(1 << length):
                known.update(words(ticks, a, length))
                if len(ticks) > MOST:
                    return
    except UnprovedError:
        return
    for reach in REACHES:
        for depth in DEPTHS:
            digits = solve(known, reach, depth)
            if digits is not None and all(0 <= digit <= LARGEST for digit in digits.table.values()):
                yield digits


def with_digits(sheet: Sheet, digits: Digits) -> Sheet | None:
    """The sheet with its digits read; None where a slot has none, or where they contradict a product that is right."""
    a, first, (reach, depth, table) = bits(sheet.a, sheet.length).tolist(), sheet.first, digits
    marks = [*[NONE] * -first, *map(int, a), *[NONE] * 3]
    columns = len(sheet.rows[0].contents)
    used = {place for (place, _), digit in table.items() if digit}
    weights = tuple(1 << max(0, slot - depth) if min(slot, depth) in used else 0 for slot in range(columns))
    rows = []
    for row in sheet.rows:
        word = tuple(Letter(content, mark, 0) for content, mark in zip(row.contents, marks))
        read = [table.get(window) for window in windows(word, reach, depth)]
        found = [digit for digit in read if digit is not None]
        if len(found) < len(read) or any(found[columns:]):
            return None
        rows.append(row._replace(digits=tuple(found[:columns]), total=sum(map(int.__mul__, found, weights))))
    if sheet.product == sheet.a * sheet.b and any(row.total != row.due for row in rows):
        return None
    return sheet._replace(rows=rows, weights=weights, reach=reach)
