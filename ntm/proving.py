"""A run that is over only when its machine is proved right for all lengths (`curriculum.proof`)."""

import torch

from ntm.config import Config, build
from ntm.errors import UserError
from ntm.models import Model
from ntm.proofs.multiplier.attempts import ATTEMPTS, Proof, prove
from ntm.proofs.multiplier.ticks import Ticks, UnprovedError, fits
from tasks import BinaryMul

WIDEST = 4
"""Letters of the windows that are tried while a run waits; what only wider ones prove takes minutes."""


def check(config: Config) -> None:
    """Raise UserError where a proof is asked for of what no proof is about."""
    if not config.curriculum.proof:
        return
    key = "curriculum.proof=true"
    if not isinstance(config.task, BinaryMul):
        raise UserError(f"{key}: only task=binary_mul has a proof; allowed: false")
    if not config.curriculum.rounding_updates:
        raise UserError(f"{key}: only rounded machines can be proved; allowed: false, or curriculum.rounding_updates above 0")
    with torch.device("meta"):
        model = build(config)
    model.round(1.0)
    if not fits(model):
        raise UserError(f"{key}: a model of another kind; allowed: false, or one tape head that sees no further than it moves")


def proved(model: Model) -> bool:
    """Whether a proof is found that a rounded multiplier is right for all operands."""
    try:
        attempts = [attempt for attempt in ATTEMPTS if attempt.width <= WIDEST]
        return isinstance(prove(Ticks(model), lambda told: None, attempts), Proof)
    except UnprovedError:
        return False
