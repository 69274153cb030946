"""How training gets harder and calmer by success, not by the clock: stages, learning rate, noise. Pure functions.

A curriculum is a list of stages, numbers that the task understands (`Task.staged`): longest lengths, or sweeps. Half of
the batches are of the present stage, the rest of the ones before. When the running bit error falls below `advance_below`
the next stage begins. The task is learned, and the learning rate begins to decay, when the bit error of a validation, at
longer lengths too, is at most `learned_below`: a rate that falls earlier freezes rules that hold at trained lengths only.
"""

from typing import NamedTuple

import numpy as np

from ntm.config import CurriculumConfig, OptimizerConfig
from tasks.fields import Natural, NotNegative


class Progress(NamedTuple):
    """How far a run is; saved in every checkpoint."""

    updates: Natural = 0  # made, skipped ones included
    stage: Natural = 0  # index of the present stage
    batches: Natural = 0  # batches seen of it
    error: NotNegative = 0.5  # running mean of their bit error
    learned_at: Natural | None = None  # update of the validation that showed the task learned
    noise: NotNegative = 0.0  # standard deviation of the noise on the gates' logits


def draw_stage(config: CurriculumConfig, seed: int, progress: Progress) -> int:
    """Index of the stage that the next batch comes from."""
    random = np.random.default_rng([seed, progress.updates])
    if progress.stage == 0 or random.random() < config.top_share:
        return progress.stage
    return int(random.integers(progress.stage))


def after_update(config: CurriculumConfig, progress: Progress, stage: int, error: float) -> Progress:
    """Progress after an update on a batch of `stage` with this bit error."""
    progress = progress._replace(updates=progress.updates + 1)
    if stage < progress.stage or not np.isfinite(error):
        return progress
    p = progress._replace(batches=progress.batches + 1, error=0.9 * progress.error + 0.1 * error)
    if p.stage < len(config.stages) - 1:
        if p.batches >= config.least_batches and p.error < config.advance_below:
            return p._replace(stage=p.stage + 1, batches=0, error=max(p.error, 2 * config.advance_below))
        return p
    return p._replace(noise=next_noise(config, p))


def next_noise(config: CurriculumConfig, progress: Progress) -> float:
    """Noise rises to its full value over `noise_updates` while the error stays low, and falls four times as fast when not."""
    rise = config.noise / config.noise_updates
    if progress.error < config.noise_below:
        return min(config.noise, progress.noise + rise)
    if progress.error > config.noise_above:
        return max(0.0, progress.noise - 4 * rise)
    return progress.noise


def focus(config: CurriculumConfig, progress: Progress) -> float:
    """Weight of the penalty on blurred heads: it grows with the noise, by success; before, it would freeze a wrong policy."""
    return config.focus * progress.noise / config.noise if config.noise else 0.0


def learning_rate(config: OptimizerConfig, progress: Progress) -> float:
    """Of the next update: `lr` until the task is learned, then halved every `half_life` updates down to `lr_floor`."""
    if progress.learned_at is None:
        return config.lr
    return max(min(config.lr, config.lr_floor), config.lr * 0.5 ** ((progress.updates - progress.learned_at) / config.half_life))
