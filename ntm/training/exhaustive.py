"""The last question to a model that seems to be right: all the sequences that its task can name. What is wrong is practised."""

from itertools import cycle, islice

import torch

from ntm.models import Model
from tasks import Batch, Task

MOST = 32
"""Mistakes that are practised at a time."""


def mistakes(task: Task, model: Model) -> tuple[int, ...]:
    """Places in `Task.every` of sequences that the model is wrong on: of the first batch that has any, the first `MOST`."""
    judge = model.discrete() if model.rounded else model
    first = 0
    for length, batch in task.every():
        wrong = judge.judge(task, batch, length).errors.nonzero()[:MOST, 0]
        if len(wrong):
            return tuple((first + wrong).tolist())
        first += len(batch.ticks)
    return ()


def practice(task: Task, places: tuple[int, ...], seed: int, index: int, size: int) -> Batch | None:
    """Training batch `index`: mistakes in turn, and from row `MOST` on others as long; None where the task has no such place."""
    first = 0
    for length, batch in task.every():
        rows = [place - first for place in places if first <= place < first + len(batch.ticks)]
        if rows:
            again = Batch(*(part[list(islice(cycle(rows), min(size, MOST)))] for part in batch))
            others = task.batch(seed, "train", index, size, (length, length))
            return Batch(*(torch.cat([mine, other[len(mine) :]]) for mine, other in zip(again, others)))
        first += len(batch.ticks)
    return None
