"""Which channels a machine can do without: they are given up one after the other; what is left is easier to read and to prove.

Once noise is in full, the channel that is missed least is cut: it is 0 from then on. Where the error is low again within
`curriculum.pruning_updates`, and longer sequences are right as before, it stays cut and the next one follows. One that is
missed for longer comes back, with weights and moments as they were before, and the next one follows, until each was tried.
Cutting what is missed least and training on is Optimal Brain Damage (LeCun, Denker & Solla 1990), of weights; here of channels,
by trial.
"""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.optim import Optimizer

from ntm.config import Config
from ntm.models import Channel, Model
from ntm.models.base import device_of
from ntm.recipe import CurriculumConfig
from ntm.training.curriculum import Progress
from ntm.training.snapshot import Snapshot

EVERY = 20
"""Updates between two looks at whether a channel is still missed."""

SEQUENCES, SLACK = 32, 3
"""Sequences of each validation length that are looked at; so many more than before may be wrong, by chance."""

NEVER = -100.0
"""A logit whose sigmoid is 0."""


def due(config: CurriculumConfig, progress: Progress) -> bool:
    """Whether there is something to do after this update: to cut, or to look at how a channel is missed."""
    if not config.pruning_updates or progress.pruned or progress.stage < config.all_stages - 1:
        return False
    if progress.cut_at is not None:
        since = progress.updates - progress.cut_at
        return since % EVERY == 0 or since >= config.pruning_updates
    return progress.noise >= config.noise


@torch.no_grad()
def prune(config: Config, model: Model, before: Snapshot, progress: Progress, noise: Callable[[Tensor], Tensor | None]) -> Progress:
    """One step of it; `before`, all that there was before the latest cut, is renewed at a cut or gone back to.

    `noise` [B T K] is that of training, for inputs [B T I].
    """
    if progress.cut_at is not None and progress.error >= config.curriculum.noise_below:
        return still_missed(config.curriculum, before, progress, progress.cut_at)
    now_wrong = wrong(config, model)
    if progress.cut_at is not None:
        if now_wrong > progress.wrong + SLACK:
            return still_missed(config.curriculum, before, progress, progress.cut_at)
        progress = progress._replace(cut=progress.cut + 1, cut_at=None)
    channels = model.channels()
    left = [i for i, channel in enumerate(channels) if channel.left and i not in progress.missed]
    if not left:
        return progress._replace(pruned=True)
    before.keep(before.copy(), progress)
    batch = config.lesson(progress.stage).batch(config.seed, "train", progress.updates, config.trainer.batch_size)
    batch = batch.to(device_of(model))
    drawn = noise(batch.inputs)

    def loss_without(index: int) -> float:
        cut(channels[index], before.optimizer)
        loss = model.learn(config.task, batch, config.trainer.mean_over, drawn).loss.item()
        before.restore()
        return loss

    least = min(left, key=loss_without)
    cut(channels[least], before.optimizer)
    return progress._replace(cut_at=progress.updates, trial=least, wrong=now_wrong)


def still_missed(config: CurriculumConfig, before: Snapshot, progress: Progress, cut_at: int) -> Progress:
    """Wait on, or, where the time is up, go back to what there was before the cut, and try that channel no more."""
    if progress.updates - cut_at < config.pruning_updates:
        return progress
    before.restore()
    return progress._replace(missed=(*progress.missed, progress.trial), cut_at=None, error=before.progress.error)


def wrong(config: Config, model: Model) -> int:
    """How many of the same validation sequences are wrong."""
    found = 0
    for length in config.task.val_lengths:
        batch = config.task.batch(config.seed, "val", 0, SEQUENCES, (length, length))
        found += model.judge(config.task, batch, length).wrong_sequences
    return found


def cut(channel: Channel, optimizer: Optimizer) -> None:
    """Make a channel 0 for ever: no input counts any more, and no moment moves it."""
    rows = list(channel.rows)
    for p, value in ((channel.layer.weight, 0.0), (channel.layer.bias, NEVER)):
        p[rows] = value
        for moment in optimizer.state.get(p, {}).values():
            if moment.shape == p.shape:
                moment[rows] = 0.0
