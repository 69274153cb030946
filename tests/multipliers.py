"""Multipliers whose weights are set by hand, for tests."""

import itertools
from functools import cache
from pathlib import Path

import numpy as np
import torch
from by_hand import YES, Row, by_hand

from ntm.named import saved
from ntm.proofs.multiplier.attempts import prove
from ntm.proofs.multiplier.ticks import Ticks

SHIPPED = Path(__file__).parents[1] / "checkpoints" / "pretrained" / "binary_mul.ckpt"

NONE = {"load": 0, "start": 0}


def adder(early=False):
    """Content 0 is a's bit, content 1 the running sum's, a slot late; the register is the carry. Early: for sweeps from slot -1."""
    rows = [Row({"load": 1, "data": bit}, {"value0": YES * bit, "erase0": YES, "erase1": YES}) for bit in (0, 1)]
    for bits in itertools.product((0, 1), repeat=4):
        data, a, total, carry = bits
        total += data * a + carry
        when = {**NONE, **dict(zip(("data", "right0" if early else "own0", "right1", "register0"), bits))}
        rows.append(Row(when, {"erase1": YES, "value1": YES * (total % 2), "register0": YES * (total // 2)}))
    return [*rows, Row({**NONE, "left1": 1}, {"said": YES})]


def saving():
    """Content 0 is a's bit, 1 the sum's, a slot late, and 2 the carry, which stays in its slot until the next sweep."""
    rows = [Row({"load": 1, "data": bit}, {"value0": YES * bit, **{f"erase{n}": YES for n in range(3)}}) for bit in (0, 1)]
    for bits in itertools.product((0, 1), repeat=4):
        data, a, total, carry = bits
        total += data * a + carry
        written = {"value1": YES * (total % 2), "value2": YES * (total // 2), "erase1": YES, "erase2": YES}
        rows.append(Row({**NONE, **dict(zip(("data", "own0", "right1", "own2"), bits))}, written))
    return [*rows, Row({**NONE, "left1": 1}, {"said": YES})]


def counting(count):
    """An adder whose slots are numbered by so many bits more, and which loses its sum at the last number and behind."""
    names = [f"{n}" for n in range(2, 2 + count)]
    rows = adder()
    for number in range(1 << count):
        after = min(number + 1, (1 << count) - 1)
        when = {"load": 1, **{f"left{name}": number >> n & 1 for n, name in enumerate(names)}}
        adds = {f"value{name}": YES * (after >> n & 1) for n, name in enumerate(names)}
        rows.append(Row(when, adds | {f"erase{name}": YES for name in names}))
    return [*rows, Row({**NONE, **{f"own{name}": 1 for name in names}}, {"value1": -3 * YES})]


def words_of(rows):
    """The words of a command line for a machine of these rows."""
    width = max(int(name[5:]) for row in rows for name in row.adds if name.startswith("value")) + 1
    shape = [f"model.controller.hidden=[{len(rows)}]", f"model.slot_width={width}", "model.controller.register=1"]
    return ["task=binary_mul", "model=tape", "recipe=binary_mul_tape_wide", *shape]


def model_of(rows, early=False):
    """The machine, rounded; its sweeps begin at home, or one slot early."""
    moves = torch.tensor([20.0, 0, 20 * early, 20 * (not early), -20])  # the start flag
    return by_hand(words_of(rows), rows, ["data", "load", "start"], {1: moves})


def silent(line):
    """Nobody hears what is tried."""


@cache
def proved(early=False):
    """The adder's model, ticks, and proof, made once."""
    model = model_of(adder(early), early)
    ticks = Ticks(model)
    return model, ticks, prove(ticks, silent)


@cache
def shipped():
    """Ticks of the weights that come with the project, and their proof, made once."""
    ticks = Ticks(saved("run", str(SHIPPED)).model)
    return ticks, prove(ticks, silent)


def multiplied(cell, bits, pairs):
    """The products that a cell's printed formulas make of pairs of numbers of so many bits, stepped side by side."""
    formulas = {name: compile(formula, name, "eval") for name, formula in cell.formulas.items()}
    blank = np.repeat(np.array(cell.blank, np.uint8)[:, None], len(pairs), 1)
    tape = [blank] * (bits + 5)  # the first one is left of slot 0
    register = [np.full(len(pairs), bit, np.uint8) for bit in cell.register]
    at, said = cell.first, []
    zero, a, b = np.zeros(len(pairs), np.uint8), *(bits_of(numbers, 2 * bits) for numbers in zip(*pairs))
    feed = [(1, 0, bit) for bit in a[:bits]] + [(0, int(tick == 0), bit) for bit in b for tick in range(bits + 2)]
    for number, (load, start, data) in enumerate(feed):
        seen = {"load": zero + load, "start": zero + start, "data": data}
        seen |= {f"register{n}": bit for n, bit in zip(cell.registers, register)}
        for where, slot in zip(("left", "own", "right", "further"), tape[at : at + 4]):
            seen |= {f"{where}{n}": bit for n, bit in zip(cell.channels, slot)}
        made = {name: eval(formula, {}, seen) & 1 | zero for name, formula in formulas.items()}
        if number >= bits and (number - bits) % (bits + 2) == 2:
            said.append(made["product"])
        tape[at + 1] = np.array([made[f"write{n}"] for n in cell.channels])
        register = [made[f"next{n}"] for n in cell.registers]
        assert len(set(made["home"].tolist())) == 1
        at = 0 if made["home"][0] else at + 1
    return [sum(int(bit) << n for n, bit in enumerate(row)) for row in np.array(said).T]


def bits_of(numbers, count):
    """Bits of numbers, the lowest first, each an array over the numbers."""
    return [np.array([number >> n & 1 for number in numbers], np.uint8) for n in range(count)]
