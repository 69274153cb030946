"""Certificates of learned multipliers: right for all n, a and b, or wrong operands, or neither; for people and as JSON."""

import json
import random
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from ntm.certificate import NOT_PROVED, ROUNDED, fingerprint
from ntm.errors import UserError
from ntm.models import Model
from ntm.models.recurrent import Recurrent
from ntm.proofs.multiplier import invariant as invariants
from ntm.proofs.multiplier.adder import adder, adds_of
from ntm.proofs.multiplier.attempts import Failed, Proof, proof_of, prove
from ntm.proofs.multiplier.cell import Cell, cell_of
from ntm.proofs.multiplier.cell import as_json as cell_as_json
from ntm.proofs.multiplier.hardware import BITS, simulate, write_verilog
from ntm.proofs.multiplier.invariant import NONE, Invariant, bits_of
from ntm.proofs.multiplier.operands import Wrong, drawn, small
from ntm.proofs.multiplier.ticks import Ticks
from ntm.proofs.ticks import UnprovedError
from ntm.proofs.verilog import simulator
from ntm.runs import Loaded
from tasks import BinaryMul, Task

SCOPE = "all n, a and b: n any number of bits from 1 on, a and b any numbers of n bits"

ASSUMED = [
    "a run is fed as its task says: n ticks of a, then 2n sweeps of n + 2 ticks; the product's bits are read on tick 2 of each",
    "a run starts with a register of zeros, every slot blank, and the head on slot 0 of 2 (n + 8) slots or more, as they start it",
    *ROUNDED,
]

FIRST, MORE = range(1, 6), range(6, 9)
"""Bits of the operands that are all tried before the search for a proof, and after one that failed."""

SECONDS = 5.0
"""Until the search for wrong operands goes on to the next kind."""

MOST_ROWS = 60
"""Rows of the table of digits that are printed, and of sums."""

A_LINE = 6
"""Sums of a slot on one line."""


class Certificate(NamedTuple):
    """What was found out about a machine."""

    where: str
    supervision: str
    sha256: str
    found: Proof | Failed | None  # None where wrong operands were found first
    wrong: Wrong | None
    cell: Cell | None  # of a proved one

    @property
    def verdict(self) -> str:
        """`certified`: every product is proved right; `differs`: a run shows one that is wrong; else `undecided`."""
        if self.wrong is not None:
            return "differs"
        return "certified" if isinstance(self.found, Proof) else "undecided"


def lacks(model: Model, task: Task) -> str:
    """Why there can be no proof of a multiplier; empty: there may be one."""
    assert isinstance(task, BinaryMul)
    unclocked = f"task.protocol={task.protocol}, where no flag begins a sweep (task=clock learns to give them)"
    return "" if task.protocol == "clocked" else unclocked


def certificate_of(loaded: Loaded, given: Invariant | None, tell: Callable[[str], None]) -> Certificate:
    """What can be found out about a run of binary_mul, or what a given invariant proves of it; `tell` hears what is done."""
    model, task = loaded.model, loaded.config.task
    assert isinstance(task, BinaryMul)
    assert isinstance(model, Recurrent)
    discrete, found, cell = model.discrete(), None, None
    tell("multiplying all operands of few bits")
    wrong = small(discrete, task, FIRST, SECONDS)
    if wrong is None:
        try:
            ticks = Ticks(model)
            found = prove(ticks, tell) if given is None else checked_alone(ticks, given)
            cell = cell_of(ticks, found.checked) if isinstance(found, Proof) else None
        except UnprovedError as error:
            found = Failed([str(error)])
    if isinstance(found, Failed):
        tell("multiplying more operands")
        wrong = small(discrete, task, MORE, SECONDS) or drawn(discrete, task, SECONDS)
    return Certificate(loaded.where, task.claim, fingerprint(model), found, wrong, cell)


def checked_alone(ticks: Ticks, given: Invariant) -> Proof | Failed:
    """What an invariant proves that came from elsewhere."""
    try:
        return proof_of(ticks, given)
    except UnprovedError as error:
        return Failed([f"the invariant proves nothing of this machine: {error}"])


def read_invariant(key: str, value: Any) -> Invariant:
    """The invariant in a certificate's JSON; raises UserError, naming `key`."""
    try:
        given = json.loads(Path(str(value)).read_text())
    except (OSError, ValueError, RecursionError) as error:
        why = f"cannot be read ({error.strerror if isinstance(error, OSError) else 'no JSON'})"
        raise UserError(f"{key}={str(value)[:80]}: {why}; allowed: a file that ntm.certify wrote with json=") from None
    return invariants.from_json(key, value, given.get("invariant") if isinstance(given, dict) else None)


def tell(certificate: Certificate) -> list[str]:
    """The certificate for people."""
    where, supervision, sha256, found, wrong, cell = certificate
    lines = [f"machine       {where}, supervision {supervision}", f"weights       sha256 {sha256}", f"inputs        {SCOPE}"]
    if wrong is not None:
        product = wrong.a * wrong.b
        return [
            *lines,
            f"differs       {wrong.length} bits: {wrong.a} x {wrong.b} = {product}, and the machine says {wrong.said}",
            "verdict       DIFFERS from multiplication",
        ]
    if not isinstance(found, Proof):
        assert found is not None
        return [
            *lines,
            *(f"undecided     {reason}" for reason in found.reasons),
            "verdict       UNDECIDED: not proved right for all operands, and no wrong product was found",
        ]
    assert cell is not None
    return [
        *lines,
        *numbers(found),
        *digits(found.invariant),
        *read_back(found, cell),
        "verdict       CERTIFIED: for all n, a and b the bits that the network says are those of a * b",
        *(f"assumed       {one}" for one in ASSUMED),
        f"not proved    {', '.join(NOT_PROVED)}",
    ]


def numbers(proof: Proof) -> list[str]:
    """What the proof went through, and how far it is from float32's errors."""
    (_, invariant, checked, margins), reached = proof, counts(proof)
    carries = " ".join(str(carry) for carry in sorted(checked.leftovers))
    how = (
        "in lock-step with an ideal adder"
        if invariant.lockstep
        else "digits of " + ("one slot" if invariant.reach == 1 else f"{invariant.reach} slots")
    )
    return [
        f"reached       {reached['combinations']:,} combinations of inputs, register and slots seen, a fixed point; "
        f"{reached['contents']} contents of a slot, {reached['registers']} of the register",
        f"invariant     {reached['windows']:,} windows of {invariant.width} slots, {how}; carries {carries}",
        f"checked       by a checker of its own, every step and sum exactly: {checked.states:,} states",
        f"margins       {margins.smallest:.3g} logits from flipping at least; float32 is off by {margins.largest_error:.1g} at "
        f"most, and by {margins.worst:.1%} of a margin",
    ]


def counts(proof: Proof) -> dict[str, int]:
    """Sizes of a proof."""
    ticks = proof.checked.ticks
    return {
        "combinations": len({tick._replace(slot=0) for tick in ticks}),
        "contents": len({content for tick in ticks for content in (tick.left, tick.own, tick.right)}),
        "registers": len({tick.register for tick in ticks}),
        "windows": sum(map(len, proof.invariant.windows.values())),
        "states": proof.checked.states,
        "product_bits": len(proof.checked.products),
    }


def digits(invariant: Invariant) -> list[str]:
    """What slots stand for, as far as people read tables: a row for each window of letters, a column for each place."""
    rows: dict[str, dict[int, int]] = defaultdict(dict)
    for (place, window), digit in sorted(invariant.digits.items(), key=lambda item: item[0][::-1]):
        rows[", ".join(map(spoken, window))][place] = digit
    places = [*map(str, range(invariant.depth)), f"{invariant.depth}.."]
    scale = f"2^max(0, slot - {invariant.depth})"
    lines = [f"digits        at slots {' '.join(places)}, from where sweeps begin; the running sum is their sum, weighted {scale}"]
    for name, row in list(rows.items())[:MOST_ROWS]:
        shown = " ".join(f"{row.get(place, '-'):>{len(text)}}" for place, text in enumerate(places))
        lines.append(f"              {name} -> {shown}")
    left = len(rows) - MOST_ROWS
    return [*lines, *([f"              and {left} more: json=<file> writes all"] if left > 0 else [])]


def spoken(letter: invariants.Letter) -> str:
    """A letter in a row of the table of digits."""
    bit = "no bit of a" if letter.mark == NONE else f"a's bit {letter.mark}"
    return f"{bits_of(letter.content)} ({bit}{', sum 1' if letter.sum else ''})"


def read_back(proof: Proof, cell: Cell) -> list[str]:
    """Which adder a slot is, by its proved digits, and the formulas of a tick."""
    adds = adds_of(proof.invariant, proof.checked, cell.first == 1)
    sums = [f"{one.right}+{one.product}+{one.carry}={one.digit}+2*{one.onward}" for one in adds[:MOST_ROWS]]
    lines = [f"cell          {adder(proof.invariant, adds)}"]
    if sums:
        lines.append(
            "              digit to the right + bit of a times b's + carry = digit + 2 * next slot's carry, far from slot 0:"
        )
        lines += [f"              {'   '.join(sums[n : n + A_LINE])}" for n in range(0, len(sums), A_LINE)]
    rows = f"{len(cell.acts.known):,} combinations of them occur, {len(cell.says.known):,} with the slot two on at a product bit"
    kept = f"{len(cell.channels)} of a slot's {cell.width} bits count, and {len(cell.registers) or 'none'} of the register's"
    lines.append(f"formulas      {kept}; {rows}, and all else is free")
    return [*lines, *(f"              {name} = {formula}" for name, formula in cell.formulas.items())]


def export(folder: Path, proof: Proof, cell: Cell) -> str:
    """Write the cell: table.json, formulas.txt, Verilog; simulate it where iverilog is installed."""
    (folder / "table.json").write_text(json.dumps(plain(proof, cell)) + "\n")
    (folder / "formulas.txt").write_text("".join(f"{name} = {formula}\n" for name, formula in cell.formulas.items()))
    write_verilog(folder, cell)
    written = f"exported      {folder}: table.json, formulas.txt, multiplier.v, testbench.v"
    if simulator() is None:
        return f"{written}; the Verilog was not simulated: no iverilog here"
    draw = random.Random(0)
    tried = [(bits, draw.getrandbits(bits), draw.getrandbits(bits)) for bits in range(1, BITS + 1)]
    same = sum(said == a * b for said, (_, a, b) in zip(simulate(folder, tried), tried))
    return f"{written}; iverilog multiplies {same} of {len(tried)} random pairs of up to {BITS} bits as Python does"


def plain(proof: Proof, cell: Cell) -> dict[str, Any]:
    """What was read back, as plain values."""
    adds = adds_of(proof.invariant, proof.checked, cell.first == 1)
    sums = [{name: value if isinstance(value, int) else str(value) for name, value in one._asdict().items()} for one in adds]
    return {"adder": adder(proof.invariant, adds), "sums": sums, **cell_as_json(cell)}


def as_json(certificate: Certificate) -> dict[str, Any]:
    """The certificate for json=; `invariant=` reads it again."""
    found, wrong, cell = certificate.found, certificate.wrong, certificate.cell
    proof = found if isinstance(found, Proof) else None
    return {
        "run": certificate.where,
        "weights_sha256": certificate.sha256,
        "supervision": certificate.supervision,
        "verdict": certificate.verdict,
        "certified": certificate.verdict == "certified",
        "undecided_because": found.reasons if isinstance(found, Failed) and wrong is None else [],
        "inputs": SCOPE,
        "assumed": ASSUMED,
        "not_proved": NOT_PROVED,
        "wrong": None if wrong is None else wrong._asdict(),
        **({} if proof is None else counts(proof)),
        "margins": None if proof is None else proof.margins._asdict(),
        "carries": None if proof is None else [str(carry) for carry in sorted(proof.checked.leftovers)],
        "cell": None if proof is None or cell is None else plain(proof, cell),
        "invariant": None if proof is None else invariants.as_json(proof.invariant),
    }
