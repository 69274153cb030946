"""A run that is over only when its machine is proved right for all lengths (`curriculum.proof`), or is practised until it is
(`curriculum.hardening`).
"""

from collections.abc import Callable
from contextlib import nullcontext
from typing import NamedTuple

import torch

from ntm.config import Config, build
from ntm.ends import watch
from ntm.errors import UserError
from ntm.lockstep import KINDS
from ntm.models import Model
from ntm.models.recurrent import Recurrent
from ntm.multiplier import lacks
from ntm.proofs.hardening import harden
from ntm.proofs.merging import chosen, merged
from ntm.proofs.multiplier.attempts import ATTEMPTS, Proof, prove
from ntm.proofs.multiplier.ticks import Ticks as MultiplierTicks
from ntm.proofs.ticks import TAPES, Ticks, UnprovedError, fits
from ntm.training import processes
from tasks import BinaryMul, RepeatCopy, Task

WIDEST = 4
"""Letters of the windows that are tried while a run waits; what only wider ones prove takes minutes."""

RATES = 1e-3, 2e-4, 2e-4, 2e-4
"""Of each time that ticks are practised. At the first one again, what is all but done would be undone."""

Tell = Callable[[str], None]


def multiplies(model: Model, task: Task) -> bool:
    """Whether a proof is found that it is right for all operands."""
    attempts = [attempt for attempt in ATTEMPTS if attempt.width <= WIDEST]
    return isinstance(prove(MultiplierTicks(model), lambda told: None, attempts), Proof)


def in_lockstep(model: Model, task: Task) -> bool:
    """Whether a proof is found that it is right on all inputs; UnprovedError says that there is none."""
    KINDS[type(task)].prove(model, task)
    return True


def hardened(model: Model, task: Task, tell: Tell) -> bool:
    """Practise the ticks of a rounded repeater that counts by itself until it is proved; False: it was not."""
    assert isinstance(task, RepeatCopy)
    assert isinstance(model, Recurrent)
    asked = task.width, task.counts()
    wanted = chosen(Ticks(model), *asked)
    for rate in RATES:
        steps, otherwise = merged(Ticks(model), *asked, wanted)
        tell(f"hardening: of {len(steps.made):,} ticks that may come {otherwise:,} are done otherwise than most")
        if steps.torn:
            tell("hardening: two vectors, or numbers of copies, are not told apart by what most ticks leave")
            return False
        if not otherwise:
            try:
                return in_lockstep(model, task)
            except UnprovedError as error:  # float32 leaves open what is too near to flipping
                tell(f"hardening: not proved yet: {error}")
        if not harden(model, steps, rate, tell):
            return False
    return in_lockstep(model, task)


class Asked(NamedTuple):
    """What is asked of a machine that learned a task."""

    proved: Callable[[Model, Task], bool]
    lacks: Callable[[Model, Task], str]  # why there can be no proof; empty: there may be one
    heads: int = 1  # of the tape, each on its own


PROOFS: dict[type[Task], Asked] = {
    BinaryMul: Asked(multiplies, lacks),
    **{task: Asked(in_lockstep, kind.lacks, kind.heads) for task, kind in KINDS.items()},
}
"""Of each task that there are proofs about."""


def check(config: Config) -> None:
    """Raise UserError where a proof is asked for of what no proof is about."""
    if config.curriculum.hardening and not (isinstance(config.task, RepeatCopy) and config.task.protocol == "counted"):
        raise UserError("curriculum.hardening=true: only task=repeat_copy task.protocol=counted has that; allowed: false")
    for key in ("hardening", "proof"):
        if getattr(config.curriculum, key):
            check_machine(config, f"curriculum.{key}=true")


def check_machine(config: Config, key: str) -> None:
    """Raise UserError where there can be no proof about a machine."""
    if type(config.task) not in PROOFS:
        raise UserError(f"{key}: only task=binary_mul, binary_add, clock, copy and repeat_copy have a proof; allowed: false")
    asked = PROOFS[type(config.task)]
    if not config.curriculum.rounding_updates and not config.curriculum.hardening:
        raise UserError(f"{key}: only rounded machines can be proved; allowed: false, or curriculum.rounding_updates above 0")
    with torch.device("meta"):
        model = build(config)
    model.round(1.0)
    if not fits(model, asked.heads):
        what = f"{TAPES[asked.heads]} that see no further than they move, on slots that begin as bits (model.memory_value)"
        raise UserError(f"{key}: a model of another kind; allowed: false, or {what}")
    lacking = asked.lacks(model, config.task)
    if lacking:
        raise UserError(f"{key}: there can be none with {lacking}; allowed: false")


def of(task: Task) -> Callable[[Model], bool]:
    """Whether a proof is found that a rounded machine is right on this task, for all lengths."""

    def proved(model: Model) -> bool:
        try:
            return PROOFS[type(task)].proved(model, task)
        except UnprovedError:
            return False

    return proved


def hardening(task: Task, tell: Tell) -> Callable[[Model], bool]:
    """As `hardened`, on this task; `tell` hears how it goes, for it takes minutes."""

    def done(model: Model) -> bool:
        model.round(1.0)
        try:
            with nullcontext() if processes.several() else watch.free():
                return hardened(model, task, tell)
        except UnprovedError as error:
            tell(f"hardening: {error}")
            return False

    return done
