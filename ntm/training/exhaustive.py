"""The last question to a model that seems to be right: all the sequences that its task can name. What is wrong is practised."""

from functools import lru_cache
from itertools import cycle, islice

import torch

from ntm.models.base import Model, looked_up
from tasks import Batch, Task

MOST = 32
"""Mistakes that are practised at a time."""


def mistakes(task: Task, model: Model) -> tuple[int, ...]:
    """Places in `Task.every` of sequences that the model is wrong on: of the first batch that has any, the first `MOST`."""
    judge = looked_up(model)
    first = 0
    for length, batch in task.every():
        wrong = judge.judge(task, batch, length).errors.nonzero()[:MOST, 0]
        if len(wrong):
            return tuple((first + wrong).tolist())
        first += len(batch.ticks)
    return ()


def practice(task: Task, places: tuple[int, ...], seed: int, index: int, size: int) -> Batch | None:
    """Training batch `index`: mistakes in turn, and from row `MOST` on others as long; None where the task has no such place."""
    found = named(task, places)
    if found is None:
        return None
    length, wrong = found
    turns = list(islice(cycle(range(len(wrong.ticks))), min(size, MOST)))
    others = task.batch(seed, "train", index, size, (length, length))
    return Batch(*(torch.cat([mine[turns], other[len(turns) :]]) for mine, other in zip(wrong, others)))


@lru_cache(maxsize=1)
def named(task: Task, places: tuple[int, ...]) -> tuple[int, Batch] | None:
    """The sequences at these places of the first batch of `Task.every` that has any, and its length.

    Kept from update to update: to find the longest ones, all that come before are drawn.
    """
    first = 0
    for length, batch in task.every():
        rows = [place - first for place in places if first <= place < first + len(batch.ticks)]
        if rows:
            return length, Batch(*(part[rows] for part in batch))
        first += len(batch.ticks)
    return None
