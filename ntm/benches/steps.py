"""Training steps as they are shipped, by every side that has such a machine."""

from typing import NamedTuple

from ntm.benches import ours, rivals
from ntm.benches.rivals import Sizes
from ntm.benches.timing import Asked, Case, Measured, in_turns
from ntm.errors import UserError

LSTM = ["task=copy", "model=ntm_lstm", "model.controller.width=100", "model.slots=128", "recipe=neutral"]


class Row(NamedTuple):
    """A machine and its batch."""

    name: str
    words: list[str]  # of python -m ntm.train
    rows: int  # sequences, all of the longest training length
    rivals: Sizes | None = None  # where others have such a machine


ROWS = [
    Row("LSTM", LSTM, 32, Sizes(100, 128, 20, 20, 32)),
    Row("LSTM", LSTM, 1, Sizes(100, 128, 20, 20, 1)),
    Row("copy", ["task=copy"], 64),
    Row("binary_mul", ["task=binary_mul", "model=tape"], 64),
]
"""What is measured: Graves' machine with an LSTM of 100 on 128 slots x 20, and two that are shipped."""


def measure(asked: Asked) -> Measured:
    """Milliseconds of a step of every row (batch x ticks) by every side, in turns; the floor is this project's machine's."""
    cases: list[Case] = []
    notes: list[str] = []
    for row in ROWS:
        own, theirs = cases_of(row, notes), rivals_of(row, asked, notes)
        about = own[0].about
        cases += own
        cases += [Case({**about, "side": side}, own[0].multiply_adds, step) for side, step in theirs.items()]
    flops, lines = in_turns(cases, asked.repeats)
    own_ms = {line["step_of"]: line["ms"] for line in reversed(lines)}  # of a row's first side
    lines = [{**line, "times_ours": line["ms"] / own_ms[line["step_of"]]} for line in lines]
    return Measured(flops, {"steps": lines}, tuple(dict.fromkeys(notes)))


def cases_of(row: Row, notes: list[str]) -> list[Case]:
    """This project's sides; what cannot be had is noted."""
    cases = []
    for backend in ("fused", "eager"):
        config = ours.config_of(*row.words, f"trainer.backend={backend}")
        batch = ours.longest(config, row.rows)
        about = {"step_of": f"{row.name}, {row.rows} x {batch.inputs.shape[1]}", "side": backend}
        try:
            step = ours.step_of(config, batch)
        except UserError as error:
            notes.append(str(error))
            continue
        cases.append(Case(about, step.multiply_adds, step.take))
    return cases


def rivals_of(row: Row, asked: Asked, notes: list[str]) -> dict:
    """Other sides' steps by their names; what cannot be had is noted."""
    steps = {}
    if row.rivals is not None and asked.pytorch_ntm is not None:
        steps["pytorch-ntm"] = asked.pytorch_ntm.step(row.rivals)
    if row.rivals is not None and asked.dnc:
        steps["dnc"] = rivals.dnc_step(row.rivals)
        if steps["dnc"] is None:
            del steps["dnc"]
            notes.append("dnc: the package is not installed")
    return steps
