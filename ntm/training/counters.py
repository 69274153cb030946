"""Where a run stands: all that a checkpoint holds of it beside its configuration, weights and moments. Plain numbers."""

from typing import NamedTuple

from ntm.training.curriculum import Progress


class Skips(NamedTuple):
    """Updates that were not taken because something in them was not finite."""

    total: int = 0
    in_a_row: int = 0
    offender: str = ""  # the first thing that was not finite, at the latest skip


class Counters(NamedTuple):
    """A run's numbers."""

    updates: int
    progress: Progress
    skips: Skips
    solved: tuple[int, int]  # longest validation length without an error; validations in a row without one
    validated: int  # update of the latest validation
    best: float | None  # selection score of best.ckpt; None before there is one


def as_plain(counters: Counters) -> dict:
    """The numbers as dicts and lists, as checkpoints hold them."""
    nested = {"progress": counters.progress._asdict(), "skips": counters.skips._asdict(), "solved": list(counters.solved)}
    return {**counters._asdict(), **nested}
