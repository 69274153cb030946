"""Tasks whose answers are real numbers, one a sequence: right within a tolerance.

Letters: B batch, T ticks, I inputs, O outputs.
"""

from typing import ClassVar

import torch
from pydantic.dataclasses import dataclass
from torch import Tensor

from tasks.base import Batch, Score, Task
from tasks.fields import STRICT, Positive


@dataclass(frozen=True, config=STRICT)
class Numbers(Task):
    """Base of tasks with one number due in every sequence, so that a mean over answers is one over sequences, too."""

    tolerance: Positive = 0.1

    outputs = 1
    softly: ClassVar[str] = "number"

    def penalty(self, errors: Tensor) -> Tensor:
        """What each error adds to the loss: here its square."""
        return errors.square()

    def bounds(self, targets: Tensor) -> Tensor:
        """How far from each target an answer is still right: here `tolerance` from all."""
        return torch.full_like(targets, self.tolerance)

    def loss(self, logits: Tensor, batch: Batch, mean_over: str) -> Tensor:
        """The mean penalty of the answers that are due, whatever it is to be a mean over."""
        return (self.penalty(logits - batch.targets) * batch.mask.unsqueeze(-1)).sum() / batch.mask.sum()

    def answer(self, logits: Tensor) -> Tensor:
        return logits

    def soft(self, logits: Tensor) -> Tensor:
        return logits

    def right(self, answers: Tensor, targets: Tensor) -> Tensor:
        """Where answers are near enough; what is not a number is not."""
        return (answers - targets).abs() <= self.bounds(targets)

    def score(self, logits: Tensor, batch: Batch) -> Score:
        wrong = ~self.right(logits, batch.targets) & (batch.mask > 0).unsqueeze(-1)
        return Score(wrong.sum((1, 2)), batch.mask.sum(1))

    def verdict(self, answer: float, target: float) -> str:
        """One answer and whether it is right, for people."""
        right = bool(self.right(torch.tensor(answer), torch.tensor(target)))
        return f"{answer:.6g}, due {target:.6g} {'ok' if right else 'wrong'}"
