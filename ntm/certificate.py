"""What a certificate says: the verdict, what it rests on, and what it leaves open; for people and as JSON."""

import hashlib
from typing import Any, NamedTuple

from torch import nn

from ntm.errors import UserError
from ntm.models.turing.decisions import name_of
from ntm.named import Named
from ntm.proofs.extract import extract
from ntm.proofs.margins import Bounds
from ntm.proofs.product import Found
from ntm.proofs.ticks import TAPES, fits
from ntm.proofs.witness import Parting
from ntm.runs import Loaded
from tasks.turing import Table, letters

EXIT = {"certified": 0, "differs": 1, "undecided": 3}
"""Exit code of each verdict; 2 is a mistake on the command line."""

MOST_ROWS = 60
"""Rows of the table that are printed."""

ANY = "any content of the tapes"

FLOATS = (
    "every tick is one of Machine in float32, without noise: products and sums round to nearest, in any order (subnormal numbers "
    "kept or flushed to 0; no bfloat16 or TF32 inside); softmax is right to 1e-6 of its value, sigmoid, softplus and log to 1e-6 "
    "of 1 or of their value, and a sum over all slots to 1e-6 of its terms"
)

ROUNDED = [
    "all that the machine holds is rounded after every tick, as ntm.evaluate and ntm.multiply run it",
    "every tick is in float32: products and sums round to nearest, in any order (subnormal numbers kept or flushed to 0; no "
    "bfloat16 or TF32 inside); sigmoid and softmax are right to 1e-6",
]
"""What every certificate of a rounded machine assumes."""

NOT_PROVED = ["the dense run of the same weights", "other feeding", "other precisions", "faults of the hardware"]
"""What none of them is about."""


class Certificate(NamedTuple):
    """What was found out about a machine."""

    named: Named
    reference: Table
    scope: str  # of inputs, in words
    found: Found | None  # None where the search gave up
    proof: Bounds | None  # None where there are differences
    parting: Parting | None  # where machine and table were seen to part
    gave_up: str | None  # why a search ended early

    @property
    def verdict(self) -> str:
        """`certified`: equality is proved, at every tick for ever; `differs`: a run shows it; else `undecided`."""
        if self.parting is not None:
            return "differs"
        return "certified" if self.proof is not None and self.proof.forever else "undecided"

    @property
    def word(self) -> list[str] | None:
        """The shortest input found on which machine and table part, tape by tape; empty: the blank tape."""
        if self.parting is None:
            return None
        return ["".join(tape) for tape in self.parting.word] if any(self.parting.word) else []

    @property
    def complete(self) -> bool:
        """Whether every row that the machine can come to is known."""
        return self.found is not None and not self.found.differences

    @property
    def assumed(self) -> list[str]:
        """What the proof takes for granted, a sentence each."""
        table = self.named.task.table
        tapes = "symbols of any kind on the tapes, the heads on any cells"
        if self.scope != ANY:
            tapes = "a word on the tapes, blanks on all other cells, every head on the first symbol of its tape's word"
        return [
            f"a run starts with the register on {table.start} (bits exactly 0 and 1), {tapes}; a slot holds exactly one symbol of "
            "each tape, and all the weight of a head lies on one slot, its home",
            "the tape grows in time: a head that would leave it finds slots with exactly a blank and no weight; fewer than 2^40",
            FLOATS,
        ]


def fingerprint(machine: nn.Module) -> str:
    """sha256 of a machine's parameters: for each, in the order of their names, `name shape` and a line's end, then its bytes.

    The shape is numbers with commas between them; the bytes are float32, little-endian, the last index the fastest.
    """
    found = hashlib.sha256()
    for name, parameter in sorted(machine.named_parameters()):
        found.update(f"{name} {','.join(map(str, parameter.shape))}\n".encode())
        found.update(parameter.detach().cpu().contiguous().numpy().astype("<f4").tobytes())
    return found.hexdigest()


def check_kind(loaded: Loaded, key: str, heads: int = 1) -> None:
    """Raise UserError, naming the run, where no proof is about such a machine: one that must have learned to be a table."""
    if not loaded.model.rounded:
        allowed = "a run whose curriculum rounds (curriculum.rounding_updates), as by model=tape"
        raise UserError(f"run={key}: did not end rounded; allowed: {allowed}")
    if not fits(loaded.model, heads):
        what = f"a feed-forward controller with {TAPES[heads]}, moves by one slot, and no sight beyond"
        raise UserError(f"run={key}: a machine of another kind; allowed: {what}")


def tell(certificate: Certificate) -> list[str]:
    """The certificate for people."""
    named, reference, scope, found, proof, parting, _ = certificate
    lines = [f"machine       {named.where}, supervision {named.task.supervision}"]
    lines += [f"weights       sha256 {fingerprint(named.machine)}", f"inputs        {scope}"]
    if found is not None:
        fixed = "a fixed point" if certificate.complete else "but for those that differ and what follows them"
        lines.append(f"reached       {len(found.reached)} combinations of register and symbols, {fixed}")
    if proof is not None and not proof.overflows:
        lines += numbers(proof)
    if parting is not None:
        at, shown = parting.difference, ",".join(certificate.word or []) or "(blank tape)"
        lines += [f"differs       after {parting.steps:,} steps, in state {at.state} on symbols {' '.join(at.seen)}:"]
        lines += [
            f"              the network: {at.machine}",
            f"              the table:   {at.table}",
            f"shortest      input={shown}",
        ]
        return [*lines, f"verdict       DIFFERS from the table {reference.name}"]
    if certificate.verdict == "undecided":
        return [
            *lines,
            *(f"undecided     {why}" for why in reasons(certificate)),
            f"verdict       UNDECIDED: not proved to be the table {reference.name}, nor shown to differ",
        ]
    assert found is not None
    lines += rows_of(named.task.table, found)
    lines += [
        f"verdict       CERTIFIED: on {scope}, at every tick for ever, the network's state, symbols written and moves are those",
        f"              of the table {reference.name} ({len(found.pairs)} pairs of states), and it halts when the table does",
    ]
    return [*lines, *(f"assumed       {one}" for one in certificate.assumed), f"not proved    {', '.join(left_out(scope))}"]


def numbers(proof: Bounds) -> list[str]:
    """Margins and errors, as far as there are any."""
    m, e = proof.margins, proof.errors
    lines = [
        f"margins       (logits from flipping) register {m.register:.1f}, written {m.written:.1f}, erase {m.erase:.1f}, "
        f"stay {m.stay:.1f}, move {m.move:.1f}, running {m.running:.1f}; sharpening at least {m.sharpening:.1f}"
    ]
    if proof.settled:
        within = f"register {e.register:.0e}, slot {e.slot:.0e}, weight off the head {e.off_head:.0e}"
        lines.append(f"errors        a tick that begins within these ends within them: {within}")
        alone = f"{proof.ticks:.0e} ticks in real arithmetic{', for ever in float32' if proof.forever else ''}"
        lines.append(
            f"contraction   a slot under a head keeps {proof.kept:.0e} of its old error, a register and a head none of it;"
        )
        lines.append(f"              a slot may be left alone for {alone}")
    return lines


def reasons(certificate: Certificate) -> list[str]:
    """Why nothing was decided."""
    found, proof = certificate.found, certificate.proof
    why = []
    if certificate.gave_up is not None:
        why.append(f"the search was given up: {certificate.gave_up}")
    if found is not None and found.differences:
        first = found.differences[0]
        why.append(
            f"{len(found.differences)} combinations would differ, the first in state {first.state} on {' '.join(first.seen)} (the "
            f"network: {first.machine}; the table: {first.table}), but no short word was found on which a run shows a difference"
        )
    if proof is not None and proof.overflows:
        why.append("a sum may leave float32's range, or a weight is no number")
    elif proof is not None and not proof.settled:
        why.append("the errors of one tick grow in the next, a gate may flip, or a value is too far from 0 and 1 to count as a bit")
    elif proof is not None:
        why.append(f"stray weight adds up: proved for {proof.ticks:.0e} ticks only")
    return why


def left_out(scope: str) -> list[str]:
    """What a proof of this scope does not say."""
    tapes = [] if scope == ANY else ["tapes that are no such word"]
    return ["that the machine halts", "what the table computes", *tapes, "other precisions", "faults of the hardware"]


def rows_of(table: Table, found: Found) -> list[str]:
    """The extracted table, as far as people read tables."""
    lines = []
    for (code, seen), d in list(found.reached.items())[:MOST_ROWS]:
        does = f"{' '.join(d.write)}, {letters(d.move)}, {name_of(table, d.code)}" if d.running else "halts"
        lines.append(f"              {name_of(table, code)}, {' '.join(seen)} -> {does}")
    left = len(found.reached) - MOST_ROWS
    return ["table", *lines, *([f"              and {left} more: export=<folder> writes all"] if left > 0 else [])]


def as_json(certificate: Certificate) -> dict[str, Any]:
    """The certificate for json=."""
    named, reference, scope, found, proof, parting, _ = certificate
    known = None if proof is None or proof.overflows else proof
    return {
        "run": named.where,
        "weights_sha256": fingerprint(named.machine),
        "supervision": named.task.supervision,
        "reference": reference.name,
        "verdict": certificate.verdict,
        "certified": certificate.verdict == "certified",
        "undecided_because": reasons(certificate) if certificate.verdict == "undecided" else [],
        "inputs": scope,
        "assumed": certificate.assumed,
        "not_proved": left_out(scope),
        "combinations": None if found is None else len(found.reached),
        "pairs": None if found is None else len(found.pairs),
        "margins": None if known is None else known.margins._asdict(),
        "errors": None if known is None else known.errors._asdict(),
        "differences": [] if found is None else [difference._asdict() for difference in found.differences],
        "shortest_input": certificate.word,
        "steps_alike": None if parting is None else parting.steps,
        "table": extract(named.task.table, found.reached) if found is not None and certificate.complete else None,
    }
