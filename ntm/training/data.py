"""Batches for Lightning: a stateless stream. Batch i is a pure function of (seed, split, i), so nothing of it is saved."""

from collections.abc import Callable, Iterator
from typing import NamedTuple

import lightning as L

from ntm.config import Config
from ntm.training.curriculum import Progress, draw_stage
from ntm.training.exhaustive import practice
from tasks import Batch

ENDLESS = 10**12
"""Length that the stream claims: with a length, Lightning does not fetch ahead, so a batch sees the present stage."""


class Draw(NamedTuple):
    """A training batch and the index of the curriculum's stage it was drawn from."""

    batch: Batch
    stage: int


class Longer(NamedTuple):
    """A validation batch of one length."""

    batch: Batch
    length: int


class Stream:
    """Training batches from where `now()` says that the run is; starts anywhere, in the middle of a run too."""

    def __init__(self, config: Config, now: Callable[[], Progress]):
        self.config = config
        self.now = now

    def __len__(self) -> int:
        return ENDLESS

    def state_dict(self) -> dict:
        """Nothing: the run's progress is the position. That the method exists tells Lightning that resuming is safe."""
        return {}

    def load_state_dict(self, state: dict) -> None:
        """Nothing to take up."""

    def __iter__(self) -> Iterator[Draw]:
        while True:
            progress = self.now()
            yield self.draw(progress, draw_stage(self.config.curriculum, self.config.seed, progress))

    def draw(self, progress: Progress, stage: int) -> Draw:
        """The batch of an update; mistakes take the place of those from before the present stage."""
        seed, update, size = self.config.seed, progress.updates, self.config.trainer.batch_size
        if progress.mistakes and stage < progress.stage:
            batch = practice(self.config.task, progress.mistakes, seed, update, size)
            if batch is not None:
                return Draw(batch, stage)
        return Draw(self.config.lesson(stage).batch(seed, "train", update, size), stage)


class ValidationSet:
    """One batch for each validation length, the same at every validation."""

    def __init__(self, config: Config):
        task, trainer = config.task, config.trainer
        self.batches = [Longer(task.batch(config.seed, "val", n, trainer.val_sequences, (n, n)), n) for n in task.val_lengths]

    def __len__(self) -> int:
        return len(self.batches)

    def __iter__(self) -> Iterator[Longer]:
        return iter(self.batches)


class TaskData(L.LightningDataModule):
    """The task's training stream and one validation batch for each of its validation lengths."""

    def __init__(self, config: Config, now: Callable[[], Progress]):
        super().__init__()
        self.config = config
        self.now = now

    def train_dataloader(self) -> Stream:
        """The endless stream, from where the run is."""
        return Stream(self.config, self.now)

    def val_dataloader(self) -> ValidationSet:
        """The same sequences at every validation."""
        return ValidationSet(self.config)
