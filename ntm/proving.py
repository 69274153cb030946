"""A run that is over only when its machine is proved right for all lengths (`curriculum.proof`)."""

from collections.abc import Callable
from typing import NamedTuple

import torch

from ntm.config import Config, build
from ntm.errors import UserError
from ntm.lockstep import KINDS
from ntm.models import Model
from ntm.models.recurrent import Recurrent
from ntm.multiplier import lacks
from ntm.proofs import counting
from ntm.proofs.hardening import harden
from ntm.proofs.multiplier.attempts import ATTEMPTS, Proof, prove
from ntm.proofs.multiplier.ticks import Ticks as MultiplierTicks
from ntm.proofs.ticks import TAPES, Ticks, UnprovedError, fits
from tasks import BinaryMul, RepeatCopy, Task

WIDEST = 4
"""Letters of the windows that are tried while a run waits; what only wider ones prove takes minutes."""


PRACTICES = 4
"""Times that ends are practised which a proof names, at most."""

Tell = Callable[[str], None]


def multiplies(model: Model, task: Task, tell: Tell) -> bool:
    """Whether a proof is found that it is right for all operands."""
    attempts = [attempt for attempt in ATTEMPTS if attempt.width <= WIDEST]
    return isinstance(prove(MultiplierTicks(model), lambda told: None, attempts), Proof)


def in_lockstep(model: Model, task: Task, tell: Tell) -> bool:
    """Whether a proof is found that it is right on all inputs; UnprovedError says that there is none."""
    KINDS[type(task)].prove(model, task)
    return True


def repeats(model: Model, task: Task, tell: Tell) -> bool:
    """As `in_lockstep`; of one that counts by itself, whether one is found once its last doubtful ends were practised."""
    assert isinstance(task, RepeatCopy)
    assert isinstance(model, Recurrent)
    if task.protocol == "clocked":
        return in_lockstep(model, task, tell)
    for practised in range(PRACTICES + 1):
        tell("proof: going through all that may come, which may take minutes")
        steps = counting.search(Ticks(model), task.width, task.counts())
        tell(f"proof: {len(steps.made):,} ticks may come, and {len(steps.ended):,} answers")
        try:
            steps.proof()
            return True
        except UnprovedError as error:
            tell(f"proof: {error}")
            if steps.torn or practised == PRACTICES or not harden(model, steps, tell):
                return False
    return False


class Asked(NamedTuple):
    """What is asked of a machine that learned a task."""

    proved: Callable[[Model, Task, Tell], bool]  # may train the model's last doubtful bits
    lacks: Callable[[Model, Task], str]  # why there can be no proof; empty: there may be one
    heads: int = 1  # of the tape, each on its own


PROOFS: dict[type[Task], Asked] = {
    BinaryMul: Asked(multiplies, lacks),
    **{task: Asked(in_lockstep, kind.lacks, kind.heads) for task, kind in KINDS.items()},
    RepeatCopy: Asked(repeats, KINDS[RepeatCopy].lacks),
}
"""Of each task that there are proofs about."""


def check(config: Config) -> None:
    """Raise UserError where a proof is asked for of what no proof is about."""
    if not config.curriculum.proof:
        return
    key = "curriculum.proof=true"
    if type(config.task) not in PROOFS:
        raise UserError(f"{key}: only task=binary_mul, binary_add, clock, copy and repeat_copy have a proof; allowed: false")
    asked = PROOFS[type(config.task)]
    if not config.curriculum.rounding_updates:
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


def of(task: Task, tell: Tell) -> Callable[[Model], bool]:
    """Whether a proof is found that a rounded machine is right on this task, for all lengths; `tell` hears what takes long."""

    def proved(model: Model) -> bool:
        try:
            return PROOFS[type(task)].proved(model, task, tell)
        except UnprovedError:
            return False

    return proved
