"""Tasks whose sequences are over after one tick, at which the answer is due; a batch has one length.

Letters: B batch, T ticks, I inputs, O outputs.
"""

from typing import ClassVar

import numpy as np
import torch

from tasks.base import Batch, Task, only_row


class OneTick(Task):
    """Base of such tasks: a subclass draws all rows of a batch at once, in `draw`."""

    mixed: ClassVar[bool] = False

    def ticks(self, length: int) -> int:
        return 1

    def room(self, length: int) -> int:
        return 1

    def sequence(self, random: np.random.Generator, length: int, split: str):
        return only_row(self.draw(random, [length], split))


def one_tick(inputs: np.ndarray, targets: np.ndarray) -> Batch:
    """Sequences that are over after one tick, at which the answer is due, from inputs [B I] and targets [B O]."""
    columns = (torch.from_numpy(np.asarray(part, np.float32)).unsqueeze(1) for part in (inputs, targets))
    return Batch(*columns, torch.ones(len(inputs), 1), torch.ones(len(inputs), dtype=torch.int64))  # type: ignore[call-arg]
