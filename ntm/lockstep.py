"""Certificates of adders, copiers, repeaters and clocks: right for all inputs, or a wrong one; for people and as JSON."""

import time
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

from ntm.certificate import NOT_PROVED, ROUNDED, fingerprint
from ntm.models.base import Model
from ntm.models.machine.machine import Machine
from ntm.models.machine.tape_heads import TapeHeads
from ntm.models.recurrent import Recurrent
from ntm.proofs import addition, clocking, copying, counting, repeating
from ntm.proofs.lockstep import Proof
from ntm.proofs.ticks import Ticks, UnprovedError
from ntm.runs import Loaded
from tasks import BinaryAdd, Clock, Copy, RepeatCopy, Task

AT_ONCE, LONGEST = 256, 64
"""Sequences of one length that are tried for a wrong one, and the largest length."""

SECONDS = 5.0
"""Until no more of them are tried."""


class Kind(NamedTuple):
    """What is proved of machines that learned a task."""

    prove: Callable[[Model, Task], Proof]  # raises UnprovedError
    lacks: Callable[[Model, Task], str]  # why there can be no proof; empty: there may be one
    inputs: Callable[[Task], str]
    says: str
    assumed: str
    heads: int = 1  # each on a tape of its own


def too_small(model: Model, task: Task) -> str:
    """Why there can be no proof of an adder."""
    slots = model.room_for(0)
    assert slots is not None
    return addition.lacks(slots)


def too_wide(model: Model, task: Task) -> str:
    """Why there can be no proof of a copier."""
    assert isinstance(task, Copy)
    return copying.lacks(task.width)


def adds(model: Model, task: Task) -> Proof:
    """That it adds."""
    return addition.prove_addition(Ticks(model))


def copies(model: Model, task: Task) -> Proof:
    """That it copies."""
    assert isinstance(task, Copy)
    return copying.prove_copying(Ticks(model), task.width)


def heads_of(model: Model) -> TapeHeads:
    """The heads of a model of a kind that can be proved."""
    assert isinstance(model, Recurrent)
    assert isinstance(model.cell, Machine)
    assert isinstance(model.cell.access, TapeHeads)
    return model.cell.access


def repeater_lacks(model: Model, task: Task) -> str:
    """Why there can be no proof of a repeater."""
    assert isinstance(task, RepeatCopy)
    proof = repeating if task.protocol == "clocked" else counting
    return proof.lacks(heads_of(model), task.width)


def repeats(model: Model, task: Task) -> Proof:
    """That it repeats: as often as flags say, or as the count says that it is told once."""
    assert isinstance(task, RepeatCopy)
    if task.protocol == "clocked":
        return repeating.prove_repeating(Ticks(model), task.width)
    return counting.prove_counting(Ticks(model), task.width, task.counts())


def copies_of(task: Task) -> str:
    """What a repeater is proved for."""
    assert isinstance(task, RepeatCopy)
    low, high = task.repeats
    return f"{vectors(task)}, in {'any number of' if task.protocol == 'clocked' else f'{low} to {high}'} copies"


def moved_by_more(model: Model, task: Task) -> str:
    """Why there can be no proof of a clock."""
    return clocking.lacks(heads_of(model))


def clocks(model: Model, task: Task) -> Proof:
    """That it says what a multiplier's clock says."""
    return clocking.prove_clocking(Ticks(model))


def vectors(task: Task) -> str:
    """What a copier and a repeater are proved for."""
    assert isinstance(task, Copy | RepeatCopy)
    return f"all n and all vectors: n of them from 1 on, of {task.width} bits each"


KINDS: dict[type[Task], Kind] = {
    BinaryAdd: Kind(
        adds,
        too_small,
        lambda task: "all n, a and b: n any number of bits from 1 on, a and b any numbers of n bits",
        "for all n, a and b the bits that the network says are those of a + b",
        "a run starts with a register of zeros, every slot blank, and the head on slot 0, on a ring of 8 slots or more",
    ),
    Copy: Kind(
        copies,
        too_wide,
        vectors,
        "for all n and all vectors the network says them again, in their order",
        "a run starts with a register of zeros, every slot blank, and the head on slot 0 of 2 (n + 4) slots or more",
    ),
    RepeatCopy: Kind(
        repeats,
        repeater_lacks,
        copies_of,
        "for all of these the network says the vectors as often as it is asked to, and marks the end",
        "a run starts with a register of zeros, every slot blank, and the head on slot 0 of 2 (n + 2) slots or more",
    ),
    Clock: Kind(
        clocks,
        moved_by_more,
        lambda task: "all n, a and b: n any number of bits from 1 on, a and b any numbers of n bits, each given once",
        "for all n, a and b the network, fed with its own flags, says on every tick what a clocked multiplier is to be given",
        "a run starts with a register of zeros, every slot blank, as if the tick before had been one of loading, and head k on "
        "slot k of its own tape, of 2 (2n + 8) slots or more",
        heads=2,
    ),
}


class Certificate(NamedTuple):
    """What was found out about a machine."""

    loaded: Loaded
    proof: Proof | None
    reason: str | None  # why there is none
    wrong: str | None  # a sequence, as people read it

    @property
    def verdict(self) -> str:
        """`certified`: every answer is proved right; `differs`: a run shows one that is wrong; else `undecided`."""
        if self.wrong is not None:
            return "differs"
        return "certified" if self.proof is not None else "undecided"

    @property
    def kind(self) -> Kind:
        """What is proved of such machines."""
        return KINDS[type(self.loaded.config.task)]

    @property
    def assumed(self) -> list[str]:
        """What it rests on."""
        return ["a run is fed as its task says", self.kind.assumed, *ROUNDED]


def certificate_of(loaded: Loaded) -> Certificate:
    """What can be found out about a run of one of these tasks."""
    task = loaded.config.task
    wrong = wrong_of(loaded.model.discrete(), task)
    if wrong is not None:
        return Certificate(loaded, None, None, wrong)
    try:
        return Certificate(loaded, KINDS[type(task)].prove(loaded.model, task), None, None)
    except UnprovedError as error:
        return Certificate(loaded, None, str(error), None)


def wrong_of(discrete: Model, task: Task, lengths: Iterable[int] = range(1, LONGEST + 1)) -> str | None:
    """The shortest sequence that was drawn and is answered wrongly; the time may be up before all are tried."""
    end = time.monotonic() + SECONDS
    for length in lengths:
        batch = task.batch(0, "test", length, AT_ONCE, (length, length))
        logits = discrete.logits(batch, discrete.room_for(task.room(length)))
        wrong = task.score(logits, batch).errors.nonzero()
        if len(wrong):
            row, answers = int(wrong[0]), task.answer(logits)
            return task.show(batch.inputs[row], answers[row])
        if time.monotonic() > end:
            break
    return None


def tell(certificate: Certificate) -> list[str]:
    """The certificate for people."""
    loaded, proof, reason, wrong = certificate
    task, kind = loaded.config.task, certificate.kind
    lines = [
        f"machine       {loaded.where}, supervision {task.claim}",
        f"weights       sha256 {fingerprint(loaded.model)}",
        f"inputs        {kind.inputs(task)}",
    ]
    if wrong is not None:
        return [*lines, f"differs       {wrong}", "verdict       DIFFERS from the task"]
    if proof is None:
        return [
            *lines,
            f"undecided     {reason}",
            "verdict       UNDECIDED: not proved right for all inputs, and no wrong answer was found",
        ]
    margins = proof.margins
    return [
        *lines,
        f"gone through  {proof.ticks:,} combinations of inputs, register, slots seen, and how near home is, a fixed point; "
        f"{proof.contents:,} contents of a slot, {proof.registers:,} of the register",
        f"checked       what is said at {proof.answers:,} ends of a tick, in lock-step with the task",
        f"margins       {margins.smallest:.3g} logits from flipping at least; float32 is off by {margins.largest_error:.1g} at "
        f"most, and by {margins.worst:.1%} of a margin",
        f"verdict       CERTIFIED: {kind.says}",
        *(f"assumed       {one}" for one in certificate.assumed),
        f"not proved    {', '.join(NOT_PROVED)}",
    ]


def as_json(certificate: Certificate) -> dict[str, Any]:
    """The certificate for json=."""
    loaded, proof, reason, wrong = certificate
    task = loaded.config.task
    return {
        "run": loaded.where,
        "weights_sha256": fingerprint(loaded.model),
        "supervision": task.claim,
        "verdict": certificate.verdict,
        "certified": certificate.verdict == "certified",
        "undecided_because": [] if reason is None else [reason],
        "inputs": certificate.kind.inputs(task),
        "assumed": certificate.assumed,
        "not_proved": NOT_PROVED,
        "wrong": wrong,
        "combinations": None if proof is None else proof.ticks,
        "answers": None if proof is None else proof.answers,
        "contents": None if proof is None else proof.contents,
        "registers": None if proof is None else proof.registers,
        "margins": None if proof is None else proof.margins._asdict(),
    }
