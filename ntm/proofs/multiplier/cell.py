"""What a proved multiplier does in one tick, read back: truth tables of bits, and a minimised formula for each bit it makes.

Rows are what the checker came by; all else cannot occur and is free. Bits that neither the product nor what becomes of the others
depends on are left out: channels that were given up, and more. Inputs are `load`, `start`, `data`, the register, and by channel
the slot under the head (`own`), those beside it (`left`, `right`) and, for the product bit alone, the one two on (`further`).
"""

import random
from typing import Any, NamedTuple

import numpy as np

from ntm.models.machine.lookup import Code
from ntm.proofs.formulas import Logic, Product, as_text, minimise
from ntm.proofs.multiplier.check import Checked
from ntm.proofs.multiplier.ticks import FLAGS, Ticks

ORDERS = 16
"""In which literals are tried to be left out of a formula; the shortest one is taken."""


class Cell(NamedTuple):
    """A machine's tick, as bits."""

    acts: Logic  # what becomes of a slot, the register and the head: write, next, home
    says: Logic  # what is said on tick 2 of a sweep: product
    formulas: dict[str, str]  # of each output of both
    channels: list[int]  # of a slot, that count
    registers: list[int]  # bits of it, alike
    width: int  # channels of a slot, those that do not count included
    blank: list[int]  # channels of an empty slot
    register: list[int]  # its bits at the beginning
    first: int  # slot that loading begins at, counted from the one that sweeps begin at


def cell_of(ticks: Ticks, checked: Checked) -> Cell:
    """The cell of a machine that the checker has been through, of as few bits as can be left out one after the other."""
    width = len(ticks.blank)
    channels, registers = [*range(width)], [*range(len(ticks.register))]
    tables = tables_of(ticks, checked, channels, registers)
    assert tables is not None, "a tick depends on what the checker does not see"
    for kept in (channels, registers):  # of slots there are many, of registers one
        for n in reversed(kept.copy()):
            at = kept.index(n)
            kept.remove(n)
            fewer = tables_of(ticks, checked, channels, registers)
            if fewer is None:
                kept.insert(at, n)
            else:
                tables = fewer
    formulas = {name: as_text(logic, shortest(logic, output)) for logic in tables for output, name in enumerate(logic.outputs)}
    blank, register = of(channels, ticks.blank), of(registers, ticks.register)
    return Cell(*tables, formulas, channels, registers, width, blank, register, -ticks.first)


def tables_of(ticks: Ticks, checked: Checked, channels: list[int], registers: list[int]) -> tuple[Logic, Logic] | None:
    """Both tables with only these bits; None where what becomes of them, or what is said, depends on others."""
    acts: dict[int, list[int]] = {}
    says: dict[int, list[int]] = {}
    for tick in checked.ticks:
        did = ticks[tick]
        seen = [*FLAGS[tick.kind], tick.bit, *of(registers, tick.register), *of(channels, tick.left, tick.own, tick.right)]
        # Ticks lets no head go elsewhere than back under the start flag, and one slot on without it.
        row = [*of(channels, did.content), *of(registers, did.register), int(tick.kind == "start")]
        if acts.setdefault(number(seen), row) != row:
            return None
    for end in checked.products:
        tick = end.tick
        seen = [tick.bit, *of(registers, tick.register), *of(channels, tick.left, tick.own, tick.right, end.right)]
        said = [ticks.product(end)]
        if says.setdefault(number(seen), said) != said:
            return None
    held = [f"register{n}" for n in registers] + [f"{where}{n}" for where in ("left", "own", "right") for n in channels]
    makes = [*(f"write{n}" for n in channels), *(f"next{n}" for n in registers), "home"]
    return (
        table(["load", "start", "data", *held], makes, acts),
        table(["data", *held, *(f"further{n}" for n in channels)], ["product"], says),
    )


def of(kept: list[int], *codes: Code) -> list[int]:
    """The bits of codes that are kept."""
    return [code[n] for code in codes for n in kept]


def number(bits: list[int]) -> int:
    """The number that bits are, the most significant one first."""
    return int("".join(map(str, bits)), 2)


def table(inputs: list[str], outputs: list[str], rows: dict[int, list[int]]) -> Logic:
    """Rows as formulas are made of them; a register's bits stand for themselves, so no states are numbered."""
    known = sorted(rows)
    return Logic(inputs, outputs, np.array(known), np.array([rows[key] for key in known]), [])


def shortest(logic: Logic, output: int) -> list[Product]:
    """The products of the fewest literals: which of them can go depends on which were tried first."""
    width, draw = len(logic.inputs), random.Random(0)
    found = [minimise(logic, output)]
    for _ in range(ORDERS - 1):
        order = draw.sample(range(width), width)
        back = [order.index(n) for n in range(width)]
        products = minimise(logic._replace(known=ordered(logic.known, order)), output)
        found.append([(ordered(mask, back), ordered(value, back)) for mask, value in products])
    return min(found, key=lambda products: (sum(mask.bit_count() for mask, _ in products), len(products)))


def ordered(numbers: Any, order: list[int]) -> Any:
    """A number, or an array of them, whose bit n is bit order[n] of the old one."""
    return sum((numbers >> old & 1) << new for new, old in enumerate(order))


def as_json(cell: Cell) -> dict[str, Any]:
    """The cell as plain values; a row is the bits of the inputs and those of the outputs, and what has no row cannot occur."""
    tables = [
        {
            "inputs": logic.inputs,
            "outputs": logic.outputs,
            "rows": [
                [f"{known:0{len(logic.inputs)}b}", "".join(map(str, made))]
                for known, made in zip(logic.known.tolist(), logic.values.tolist())
            ],
        }
        for logic in (cell.acts, cell.says)
    ]
    names = ("channels", "registers", "blank", "register", "first")
    return {**{name: getattr(cell, name) for name in names}, "formulas": cell.formulas, "tables": tables}
