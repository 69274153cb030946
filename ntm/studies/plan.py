"""What a study is: parts, each a task with rows of models, trained alike and judged alike. Checked frozen dataclasses.

A study is one file of `configs/study`. Its plan is a list of jobs, a pure function of that file and of the budget.
"""

import re
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Literal, NamedTuple

from pydantic import Field
from pydantic.dataclasses import dataclass

from ntm.errors import UserError
from tasks.fields import STRICT, Count, Counts, Many, Positive

Words = tuple[str, ...]
"""Words of `python -m ntm.train`."""


@dataclass(frozen=True, config=STRICT)
class Row:
    """A model among others."""

    words: Words = ()
    ms: Positive | None = None  # milliseconds of an update on one core, where the budget is one of seconds


@dataclass(frozen=True, config=STRICT)
class Budget:
    """How much of a part is run."""

    seeds: Many
    words: Words = ()
    seconds: Positive | None = None  # of one core for each run: the updates follow from a row's `ms`, so that results do not


@dataclass(frozen=True, config=STRICT)
class Part:
    """One question: a task, and the models that it is asked of."""

    title: str
    asks: str  # in one or two sentences
    words: Words
    budgets: dict[str, Budget]
    rows: Annotated[dict[str, Row], Field(min_length=1)]
    lengths: Counts  # judged at, the trained ones first
    inside: Count = 1  # how many of these are of the trained range
    shows: Literal["loss", "curve", "wrong"] = "wrong"  # what its figure and its table tell: the loss, or wrong sequences
    unit: str = "wrong"  # of that, for people
    sequences: Count = 256  # judged for each length
    together: bool = False  # all seeds of a row as one batch: for small models


@dataclass(frozen=True, config=STRICT)
class Study:
    """A page."""

    title: str
    about: str
    parts: Annotated[dict[str, Part], Field(min_length=1)]


class Job(NamedTuple):
    """One command line of training, for one seed, or for several that are trained together."""

    part: str
    row: str
    words: Words
    seeds: tuple[int, ...]
    together: bool
    lengths: tuple[int, ...]
    sequences: int
    until_none: bool = False  # lengths after one where none was right count as wrong, unjudged

    @property
    def name(self) -> str:
        """For people."""
        seeds = f"seed {self.seeds[0]}" if len(self.seeds) == 1 else f"seeds {self.seeds[0]} to {self.seeds[-1]}"
        return f"{self.part}, {self.row}, {seeds}"

    def folder(self, root: Path) -> Path:
        """Where its runs and results are."""
        return root / slug(self.part) / slug(self.row)


def slug(name: str) -> str:
    """A name as one of a folder."""
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")


def within(study: Study, budget: str) -> Study:
    """The parts of a study that have a budget of this name; raises UserError where there is none."""
    parts = {name: part for name, part in study.parts.items() if budget in part.budgets}
    if not parts:
        known = dict.fromkeys(name for part in study.parts.values() for name in part.budgets)
        raise UserError(f"budget={budget}: no part has such a budget; allowed: {', '.join(known)}")
    return replace(study, parts=parts)


def jobs(study: Study, budget: str) -> list[Job]:
    """All jobs of a study whose parts have this budget; raises UserError where a part or a row does not fit together."""
    found = []
    for name, part in study.parts.items():
        asked = part.budgets[budget]
        if part.inside > len(part.lengths):
            raise UserError(f"study.parts.{name}.inside={part.inside}: of {len(part.lengths)} lengths; allowed: at most as many")
        if len({slug(row) for row in part.rows}) < len(part.rows):
            raise UserError(f"study.parts.{name}.rows: two have one folder; allowed: names that differ in letters or digits")
        for row_name, row in part.rows.items():
            words = (*part.words, *row.words, "trainer.threads=1", *asked.words)
            if asked.seconds is not None:
                if row.ms is None:
                    raise UserError(f"study.parts.{name}.rows.{row_name}.ms: must be given; allowed: milliseconds of an update")
                words = (*words, f"trainer.max_steps={max(1, round(1000 * asked.seconds / row.ms))}")
            seeds = range(asked.seeds)
            groups = [tuple(seeds)] if part.together else [(seed,) for seed in seeds]
            found += [
                Job(name, row_name, words, each, part.together, part.lengths, part.sequences, part.shows == "wrong")
                for each in groups
            ]
    return found
