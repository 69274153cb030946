"""Tasks whose sequences are over after one tick, at which the answer is due; a batch has one length.

Letters: S seeds, B batch, T ticks, I inputs, O outputs.
"""

from abc import abstractmethod
from collections.abc import Sequence
from typing import ClassVar

import numpy as np
import torch

from tasks.base import Batch, Task, only_row


class OneTick(Task):
    """Base of such tasks: a subclass draws what all rows of a batch are about, in `drawn`, and makes them of it, in `posed`."""

    mixed: ClassVar[bool] = False

    @abstractmethod
    def drawn(self, random: np.random.Generator, length: int, count: int, split: str) -> np.ndarray:
        """What so many rows are about, [count ...]: the numbers, or the operands."""

    @abstractmethod
    def posed(self, drawn: np.ndarray) -> Batch:
        """These rows, each by itself: in any company, it is the same."""

    def ticks(self, length: int) -> int:
        return 1

    def room(self, length: int) -> int:
        return 1

    def sequence(self, random: np.random.Generator, length: int, split: str):
        return only_row(self.draw(random, [length], split))

    def draw(self, random: np.random.Generator, lengths: list[int], split: str) -> Batch:
        return self.posed(self.drawn(random, lengths[0], len(lengths), split))

    def batches(self, seeds: Sequence[int], split: str, index: int, size: int, lengths: tuple[int, int] | None = None) -> Batch:
        begun = (self.begun(seed, split, index, 1, lengths) for seed in seeds)
        parts = [self.drawn(random, int(length), size, split) for random, (length,) in begun]
        return Batch(*(part.unflatten(0, (len(seeds), size)) for part in self.posed(np.concatenate(parts))))


def one_tick(inputs: np.ndarray, targets: np.ndarray) -> Batch:
    """Sequences that are over after one tick, at which the answer is due, from inputs [B I] and targets [B O]."""
    columns = (torch.from_numpy(np.asarray(part, np.float32)).unsqueeze(1) for part in (inputs, targets))
    return Batch(*columns, torch.ones(len(inputs), 1), torch.ones(len(inputs), dtype=torch.int64))  # type: ignore[call-arg]
