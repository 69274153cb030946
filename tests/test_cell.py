"""What is read back of a proved multiplier: sums of an adder, formulas of its decisions; they multiply, as Verilog, too."""

import itertools
import random
from fractions import Fraction

import pytest
from by_hand import YES, Row
from multipliers import adder, model_of, multiplied, proved, saving, shipped, silent

from ntm.proofs.multiplier.adder import BESIDE, FULL, SAVING, UNKNOWN, Adds, adds_of
from ntm.proofs.multiplier.adder import adder as spoken
from ntm.proofs.multiplier.attempts import Proof, prove
from ntm.proofs.multiplier.cell import cell_of, ordered
from ntm.proofs.multiplier.check import check
from ntm.proofs.multiplier.hardware import simulate, write_verilog
from ntm.proofs.multiplier.search import Search
from ntm.proofs.multiplier.ticks import Ticks
from ntm.proofs.verilog import simulator


def proof_of(rows):
    """Ticks and proof of a machine of these rows."""
    ticks = Ticks(model_of(rows))
    return ticks, prove(ticks, silent)


MACHINES = {
    "adder": lambda: proved()[1:],
    "early adder": lambda: proved(early=True)[1:],
    "saving": lambda: proof_of(saving()),
    "shipped": shipped,
}

FEW = [(bits, a, b) for bits in range(1, 6) for a in range(1 << bits) for b in range(1 << bits)]
DRAW = random.Random(0)
LONG = [(64, DRAW.getrandbits(64), DRAW.getrandbits(64)) for _ in range(20)] + [(64, (1 << 64) - 1, (1 << 64) - 1)]


@pytest.fixture(scope="module", params=MACHINES)
def machine(request):
    """Ticks, proof, and cell of a machine that is right."""
    ticks, proof = MACHINES[request.param]()
    assert isinstance(proof, Proof)
    return ticks, proof, cell_of(ticks, proof.checked)


@pytest.mark.parametrize("early", [False, True])
def test_one_that_passes_carries_on_is_a_full_adder(early):
    _, ticks, proof = proved(early)
    adds = adds_of(proof.invariant, proof.checked, early)
    table = [(*bits, sum(bits) % 2, sum(bits) // 2) for bits in itertools.product((0, 1), repeat=3)]
    assert [tuple(map(int, one)) for one in adds] == table
    assert spoken(proof.invariant, adds) == FULL
    cell = cell_of(ticks, proof.checked)
    assert (cell.channels, cell.registers, cell.first) == ([0, 1], [0], int(early))
    for bits in itertools.product((0, 1), repeat=4):
        data, a, right, carry = bits
        if carry > data:  # there are no carries in a sweep whose bit of b is 0: formulas are free to say anything
            continue
        seen = {"load": 0, "start": 0, "data": data, "right0" if early else "own0": a, "right1": right, "register0": carry}
        total = data * a + right + carry
        assert [eval(cell.formulas[name], {}, seen) & 1 for name in ("write1", "next0")] == [total % 2, total // 2]


def test_one_that_keeps_carries_saves_them():
    ticks, proof = proof_of(saving())
    adds = adds_of(proof.invariant, proof.checked, early=False)
    sums = itertools.product(range(4), (0, 1), (0, 1))
    assert [tuple(map(int, one)) for one in adds] == [(r, ab, c, r % 2 + ab + c, r // 2) for r, ab, c in sums]
    assert spoken(proof.invariant, adds) == SAVING
    cell = cell_of(ticks, proof.checked)
    assert (cell.channels, cell.registers) == ([0, 1, 2], [])


def test_others_are_called_by_what_their_digits_say():
    _, ticks, proof = proved()
    beside = Search(ticks, None, 3).found()
    assert spoken(beside, adds_of(beside, check(ticks, beside), early=False)) == BESIDE
    far = proof.invariant._replace(depth=3)
    assert spoken(far, adds_of(far, proof.checked, early=False)) == UNKNOWN
    one = Adds(0, 1, Fraction(1), 2, Fraction(0))
    assert spoken(proof.invariant, [one, Adds(1, 1, Fraction(0), 0, Fraction(1))]) == (
        "a redundant adder: digits from 0 to 2, carries 0, 1, so that a carry may stay in a digit"
    )
    assert (
        spoken(proof.invariant, [Adds(1, 0, Fraction(-1), 0, Fraction(0))]) == "an adder of its own: digits from 0 to 0, carries -1"
    )


def test_what_nothing_depends_on_is_left_out():
    """Channel 2 is written, and seen by nothing but itself."""
    ticks, proof = proof_of([*adder(), Row({"left1": 1, "start": 0}, {"value2": YES, "erase2": YES})])
    assert len({tick.own[2] for tick in proof.checked.ticks}) == 2
    cell = cell_of(ticks, proof.checked)
    assert (cell.channels, cell.width) == ([0, 1], 3)
    assert not any(name.endswith("2") for name in cell.acts.inputs + cell.acts.outputs + cell.says.inputs)


def test_formulas_are_the_decisions(machine):
    ticks, proof, cell = machine

    def named(where, code):
        return {f"{where}{n}": code[n] for n in (cell.registers if where in ("register", "next") else cell.channels)}

    def seen_by(tick):
        flags = {"data": tick.bit, "load": int(tick.kind == "load"), "start": int(tick.kind == "start")}
        places = named("left", tick.left) | named("own", tick.own) | named("right", tick.right)
        return flags | named("register", tick.register) | places

    for tick in proof.checked.ticks:
        did = ticks[tick]
        made = named("write", did.content) | named("next", did.register) | {"home": int(tick.kind == "start")}
        for name, bit in made.items():
            assert eval(cell.formulas[name], {}, seen_by(tick)) & 1 == bit
    for end in proof.checked.products:
        seen = seen_by(end.tick) | named("further", end.right)
        assert eval(cell.formulas["product"], {}, seen) & 1 == ticks.product(end)


@pytest.mark.parametrize("operands", [FEW, LONG], ids=["few", "long"])
def test_formulas_multiply(machine, operands):
    cell = machine[2]
    for bits, some in itertools.groupby(operands, lambda one: one[0]):
        pairs = [(a, b) for _, a, b in some]
        assert multiplied(cell, bits, pairs) == [a * b for a, b in pairs]


def test_each_formula_is_needed(machine):
    cell = machine[2]
    for name in cell.formulas.keys() - {"home"}:
        said = multiplied(cell._replace(formulas=cell.formulas | {name: "0"}), 5, [(21, 27), (31, 31), (19, 5)])
        assert said != [21 * 27, 31 * 31, 19 * 5]


@pytest.mark.skipif(simulator() is None, reason="iverilog is not installed")
def test_verilog_multiplies(machine, tmp_path):
    write_verilog(tmp_path, machine[2])
    operands = FEW + LONG
    assert simulate(tmp_path, operands) == [a * b for _, a, b in operands]


def test_an_order_of_bits_goes_there_and_back():
    order = [2, 0, 1]
    assert ordered(0b110, order) == 0b101
    assert ordered(ordered(0b110, order), [order.index(n) for n in range(3)]) == 0b110
