"""A machine's decisions as boolean formulas: a minimised sum of products for each bit of what a tick does.

State and symbols are numbered in the order of the table and coded in binary. The minimiser is the expand and irredundant
steps of two-level logic (Brayton et al. 1984, Espresso): each product has lost every literal it can lose, and no product can
be left out. It is not proved to be the shortest. (sympy's SOPform finds a product less here and there, but had not ended after
two minutes with one bit of the universal machine's 13 variables.)
"""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from ntm.models.turing.decisions import Code, Decision, code_of
from tasks.turing import Table


class Logic(NamedTuple):
    """Output bits as functions of input bits, known on some inputs and free on all others."""

    inputs: list[str]  # names, the most significant bit first
    outputs: list[str]
    known: np.ndarray  # [X] numbers of input bits
    values: np.ndarray  # [X outputs] 0 or 1
    states: list[Code]  # by their number


Product = tuple[int, int]
"""Which bits a product looks at, and what they must be: it is 1 where inputs & mask == value."""


def width(count: int) -> int:
    """Bits that number `count` things."""
    return max(1, (count - 1).bit_length())


def logic_of(table: Table, reached: Mapping[tuple[Code, tuple[str, ...]], Decision]) -> Logic:
    """The decisions in binary: state and symbols seen to next state, symbols written, moves left and right, running."""
    start = code_of(table, table.start)
    states = [start, *sorted({code for code, _ in reached} - {start}, reverse=True)]
    number = {code: n for n, code in enumerate(states)}
    q, a = width(len(states)), width(len(table.symbols))
    tapes = range(1, table.tapes + 1)
    inputs = [f"state_{bit}" for bit in reversed(range(q))] + [f"seen{t}_{bit}" for t in tapes for bit in reversed(range(a))]
    outputs = [f"next_{bit}" for bit in reversed(range(q))] + [f"write{t}_{bit}" for t in tapes for bit in reversed(range(a))]
    outputs += [f"{side}{t}" for t in tapes for side in ("left", "right")] + ["running"]

    def coded(code: Code, symbols: tuple[str, ...]) -> int:
        value = number[code]
        for symbol in symbols:
            value = value << a | table.symbols.index(symbol)
        return value

    known, values = [], []
    for (code, seen), decision in reached.items():
        known.append(coded(code, seen))
        after = coded(decision.code, decision.write)
        bits = [after >> bit & 1 for bit in reversed(range(len(inputs)))]
        values.append([*bits, *(int(move == side) for move in decision.move for side in (-1, 1)), int(decision.running)])
    return Logic(inputs, outputs, np.array(known), np.array(values), states)


def minimise(logic: Logic, output: int) -> list[Product]:
    """Products whose sum is one output bit wherever it is known."""
    one = logic.values[:, output] == 1
    on, off = np.unique(logic.known[one]), np.unique(logic.known[~one])
    whole = (1 << len(logic.inputs)) - 1
    products: list[Product] = []
    covered = np.zeros(len(on), dtype=bool)
    while not covered.all():
        mask, value = whole, int(on[np.argmin(covered)])
        for bit in range(len(logic.inputs)):
            wider = mask & ~(1 << bit)
            if not ((off & wider) == (value & wider)).any():
                mask = wider
        value &= mask
        products.append((mask, value))
        covered |= (on & mask) == value
    kept = list(products)
    for product in products:
        others = [other for other in kept if other != product]
        if others and np.logical_or.reduce([(on & mask) == value for mask, value in others]).all():
            kept = others
    return kept


def as_text(logic: Logic, products: list[Product]) -> str:
    """A sum of products as a formula, in Python and in Verilog alike."""
    if not products:
        return "0"
    terms = []
    for mask, value in products:
        bits = [(name, len(logic.inputs) - 1 - n) for n, name in enumerate(logic.inputs)]
        literals = [name if value >> bit & 1 else "~" + name for name, bit in bits if mask >> bit & 1]
        terms.append(" & ".join(literals) or "1")
    return terms[0] if len(terms) == 1 else " | ".join(f"({term})" for term in terms)
