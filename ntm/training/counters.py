"""Where a run stands: all that a checkpoint holds of it beside its configuration, weights and moments. Plain numbers."""

from typing import NamedTuple

from ntm.errors import UserError
from ntm.recipe import CurriculumConfig
from ntm.training.curriculum import Progress
from tasks import Score
from tasks.fields import Finite, Natural


class Skips(NamedTuple):
    """Updates that were not taken because something in them was not finite."""

    total: Natural = 0
    in_a_row: Natural = 0
    offender: str = ""  # the first thing that was not finite, at the latest skip


class Tally(NamedTuple):
    """One validation length's result."""

    length: int
    loss: float
    score: Score


class Counters(NamedTuple):
    """A run's numbers."""

    updates: Natural
    progress: Progress
    skips: Skips
    solved: tuple[Natural, Natural]  # longest validation length without an error; validations in a row without one
    validated: Natural  # update of the latest validation
    best: Finite | None  # selection score of best.ckpt; None before there is one


def as_plain(counters: Counters) -> dict:
    """The numbers as dicts and lists, as checkpoints hold them."""
    nested = {"progress": counters.progress._asdict(), "skips": counters.skips._asdict(), "solved": list(counters.solved)}
    return {**counters._asdict(), **nested}


def check_counters(counters: Counters, curriculum: CurriculumConfig) -> None:
    """Raise UserError where a run cannot stand so, by itself or in this curriculum."""
    progress = counters.progress
    if counters.updates != progress.updates:
        raise UserError(f"ntm.updates={counters.updates}: must be ntm.progress.updates, {progress.updates}")
    if max(progress.learned_at or 0, counters.validated) > progress.updates:
        raise UserError(f"ntm.progress.updates={progress.updates}: is before its own latest validation")
    if progress.stage >= curriculum.all_stages:
        at = f"this run is at stage {progress.stage + 1} already"
        raise UserError(f"curriculum.stages={list(curriculum.stages)}: {at}; allowed: at least as many")
    if progress.rounding and not (curriculum.rounding_updates or curriculum.hardening):
        raise UserError("curriculum.rounding_updates=0: this run has begun to draw values to bits; allowed: more")
