"""How training gets harder and calmer by success, not by the clock: stages, learning rate, noise, rounding. Pure functions.

A curriculum is a list of stages, numbers that the task understands (`Task.staged`): lengths, sweeps, repeats. Half of
the batches are of the present stage, the rest of the ones before. When the running bit error falls below `advance_below`
the next stage begins. A warm-up has stages of its own, which come first, and ends when heads look at one slot each. At the
last stage noise rises to its full value, and then rounding, while the error stays low.

The task is learned, and the learning rate begins to decay, when the bit error of a validation, at
longer lengths too, is at most `learned_below`: a rate that falls earlier freezes rules that hold at trained lengths only.

An attempt that reaches nothing new for `patience_updates` is given up: fresh weights, and all of it from the first stage.
"""

from typing import NamedTuple

import numpy as np

from ntm.recipe import CurriculumConfig, OptimizerConfig
from tasks.fields import Fraction, Natural, NotNegative


class Progress(NamedTuple):
    """How far a run is; saved in every checkpoint."""

    updates: Natural = 0  # made, skipped ones included
    stage: Natural = 0  # index of the present stage, the warm-up's counted
    batches: Natural = 0  # batches seen of it
    error: NotNegative = 0.5  # running mean of their bit error
    blur: NotNegative = 1.0  # running mean of how blurred heads are, where a penalty is on it
    learned_at: Natural | None = None  # update of the validation that showed the task learned
    noise: NotNegative = 0.0  # standard deviation of what `Model.forward` is given
    rounding: Fraction = 0.0  # how far values are on the way from `rounding_from` to bits
    cut: Natural = 0  # channels given up
    cut_at: Natural | None = None  # update at which one was cut that may still be missed
    trial: Natural = 0  # index of that channel
    missed: tuple[Natural, ...] = ()  # indices of those that were missed, and came back
    wrong: Natural = 0  # longer sequences that were wrong before
    pruned: bool = False  # whether no other channel will be given up
    unproved: bool = False  # whether all was right, and no proof was found
    given_up: tuple[Natural, ...] = ()  # updates at which attempts before this one were
    mistakes: tuple[Natural, ...] = ()  # places in `Task.every` of what the latest validation found wrong
    steps: Natural = 0  # most that this attempt has reached at once, see `steps`
    reached: Natural = 0  # update at which it began, or first had so many


def draw_stage(config: CurriculumConfig, seed: int, progress: Progress) -> int:
    """Index of the stage that the next batch comes from: the present one, or one before it, but none of a warm-up that is over."""
    random = np.random.default_rng([seed, progress.updates])
    first = 0 if config.warming(progress.stage) else config.warm_stages
    if progress.stage == first or random.random() < config.top_share:
        return progress.stage
    return int(random.integers(first, progress.stage))


def after_update(config: CurriculumConfig, progress: Progress, stage: int, error: float, blur: float | None = None) -> Progress:
    """Progress after an update on a batch of `stage` with this bit error, and so blurred heads where a penalty is on them."""
    p = moved_on(config, progress._replace(updates=progress.updates + 1), stage, error, blur)
    count = steps(config, p)
    return p._replace(steps=count, reached=p.updates) if count > p.steps else p


def steps(config: CurriculumConfig, progress: Progress) -> int:
    """How many steps of the way are behind: stages, quarters of noise and of rounding, channels that were tried."""
    tried = progress.cut + len(progress.missed) + progress.pruned
    quarters = int(4 * progress.noise / config.noise) if config.noise else 0
    return progress.stage + quarters + tried + int(4 * progress.rounding)


def moved_on(config: CurriculumConfig, progress: Progress, stage: int, error: float, blur: float | None) -> Progress:
    """Progress with what a batch of `stage` said."""
    if stage < progress.stage or not np.isfinite(error):
        return progress
    p = progress._replace(batches=progress.batches + 1, error=0.9 * progress.error + 0.1 * error)
    if blur is not None:
        p = p._replace(blur=0.9 * progress.blur + 0.1 * blur)
    if p.stage == config.all_stages - 1:
        return after_last(config, p)
    warmup = config.warming(p.stage)
    below = config.advance_below if warmup is None else warmup.advance_below
    if p.batches < config.least_batches or p.error >= below:
        return p
    if warmup is None or p.stage < config.warm_stages - 1:
        return p._replace(stage=p.stage + 1, batches=0, error=max(p.error, 2 * below))
    return p._replace(stage=p.stage + 1, batches=0, error=0.5) if p.blur < warmup.focused_below else p


def after_last(config: CurriculumConfig, progress: Progress) -> Progress:
    """Noise, and after it and all pruning rounding, rise while the error stays low.

    They fall, the latter first, four times as fast when it does not. While a channel is on trial, noise stays in full.
    """
    if progress.cut_at is not None:
        return progress
    sign = 1 if progress.error < config.noise_below else -4 if progress.error > config.noise_above else 0
    noise, rounding = progress.noise, progress.rounding
    pruned = progress.pruned or not config.pruning_updates
    if pruned and config.rounding_updates and noise >= config.noise and (sign > 0 or rounding > 0):
        return progress._replace(rounding=min(1.0, max(0.0, rounding + sign / config.rounding_updates)))
    rise = config.noise / config.noise_updates
    return progress._replace(noise=min(config.noise, max(0.0, noise + sign * rise)))


def focus(config: CurriculumConfig, progress: Progress) -> float:
    """Weight of the penalty on blurred heads: it grows with the noise, by success; before, it would freeze a wrong policy.

    Where a warm-up has taught how heads move, it is there from then on. `focus_updates` lets it grow by the clock, as the
    penalty on weights that are neither 0 nor 1 of Madsen & Johansen 2020 (arXiv 2001.05016).
    """
    if config.focus_updates is not None:
        first, last = config.focus_updates
        return config.focus * min(1.0, max(0.0, (progress.updates - first) / (last - first)))
    warmup = config.warming(progress.stage)
    if warmup is not None:
        return warmup.focus if progress.stage == config.warm_stages - 1 else 0.0
    if config.warmup is not None:
        return config.focus  # what the warm-up has taught is kept
    return config.focus * progress.noise / config.noise if config.noise else 0.0


def learning_rate(config: OptimizerConfig, curriculum: CurriculumConfig, progress: Progress) -> float:
    """Of the next update: `lr` until the task is learned, then halved every `half_life` updates down to `lr_floor`.

    At the last stage it is no more than in proportion to the running error, where that is below `error_rate`.
    """
    rate = config.lr
    if config.error_rate and progress.stage == curriculum.all_stages - 1:
        rate *= min(1.0, progress.error / config.error_rate)
    if progress.learned_at is not None:
        rate = min(rate, config.lr * 0.5 ** ((progress.updates - progress.learned_at) / config.half_life))
    return max(rate, min(config.lr, config.lr_floor))


def rates(config: OptimizerConfig, curriculum: CurriculumConfig, progress: Progress) -> dict[str, float]:
    """Multiples of the learning rate by the names of `Model.groups`."""
    warmup = curriculum.warming(progress.stage)
    return config.rates if warmup is None else {**config.rates, "addressing": warmup.addressing_rate}


def rounding(config: CurriculumConfig, progress: Progress) -> float:
    """How far values are drawn to bits in training."""
    from_the_start = 0.0 if config.warming(progress.stage) else config.rounding_from
    return from_the_start + (1 - from_the_start) * progress.rounding


def in_use(config: CurriculumConfig, progress: Progress) -> float:
    """How far values are drawn to bits in validations: in full once that has begun."""
    return 1.0 if progress.rounding else rounding(config, progress)


def rounded_in_full(config: CurriculumConfig, progress: Progress) -> bool:
    """Whether nothing of rounding is left to come."""
    return progress.rounding == 1 or not (config.rounding_updates or config.hardening)


def to_harden(config: CurriculumConfig, progress: Progress) -> bool:
    """Whether nothing is left to come but hardening."""
    return config.hardening and progress.noise >= config.noise and progress.stage == config.all_stages - 1 and progress.rounding < 1


def finished(config: CurriculumConfig, progress: Progress) -> bool:
    """Whether noise and rounding are in full."""
    return progress.noise >= config.noise and rounded_in_full(config, progress)
