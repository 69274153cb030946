"""One training step of this project's: forth, back, and the optimiser's.

Letters: B batch, T ticks.
"""

from collections.abc import Callable
from typing import NamedTuple

import torch

from ntm.benches import floor
from ntm.command import defaults
from ntm.config import Config, build, parse
from ntm.models.recurrent import Recurrent
from ntm.runs import RUN_KEYS
from ntm.training.optimizers import OPTIMIZERS
from tasks import Batch


class Step(NamedTuple):
    """What can be measured."""

    multiply_adds: int  # of all ticks and sequences, forth
    take: Callable[[], None]


def config_of(*words: str) -> Config:
    """The configuration that `python -m ntm.train` makes of such words."""
    return parse({key: value for key, value in defaults("train", list(words)).items() if key not in RUN_KEYS})


def step_of(config: Config, batch: Batch) -> Step:
    """The step that trains the configured machine on one batch; raises UserError where its backend cannot be had."""
    torch.manual_seed(config.seed)
    model = build(config)
    model.prepare(len(batch.inputs))
    optimizer = OPTIMIZERS[config.optimizer.name](model.parameters(), lr=config.optimizer.lr)

    def take() -> None:
        optimizer.zero_grad()
        logits = model(batch.inputs, batch.ticks).logits
        config.task.loss(logits, batch, config.trainer.mean_over).backward()
        optimizer.step()

    assert isinstance(model, Recurrent)
    return Step(floor.multiply_adds(model) * batch.mask.numel(), take)


def longest(config: Config, rows: int) -> Batch:
    """A training batch of the task's longest sequences."""
    length = config.task.lengths[1]
    return config.task.batch(config.seed, "train", 0, rows, (length, length))


def noise(config: Config, rows: int, ticks: int) -> Batch:
    """Random bits in the shape of the task's, [B T ...], each one scored."""
    generator = torch.Generator().manual_seed(config.seed)
    sizes = (config.task.inputs, config.task.outputs)
    inputs, targets = (torch.randint(0, 2, (rows, ticks, size), generator=generator).float() for size in sizes)
    return Batch(inputs, targets, torch.ones(rows, ticks), torch.full((rows,), ticks))
