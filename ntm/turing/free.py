"""A machine run free, on what it wrote itself, beside the reference: the score of a learned table, and a trace to look at."""

from typing import NamedTuple

import numpy as np
import torch

from ntm.machine import Machine, Output
from ntm.turing.decisions import Decisions, NotDiscreteError
from ntm.turing.run import begin_dense, pad, run_discrete
from tasks import Batch, Score, Turing
from tasks.turing import Table, Word, begin, execute, random_word

MOST_STEPS = 10_000_000
"""Steps of the reference that a free run is compared with."""

MOST_TICKS = 200
"""Ticks of a recorded run."""


class Compared(NamedTuple):
    """A free run against the reference's."""

    cells: int  # that are not blank at the end of either
    wrong: int  # cells, and one more where the machine did not end as and when the reference did
    line: str  # for people


def compare(machine: Machine | Decisions, table: Table, word: Word) -> Compared:
    """Run a word with the machine and with the table, and compare every cell of every tape at the end."""
    steps, end = 0, begin(table, word)
    for _, after in execute(table, word, MOST_STEPS):
        steps, end = steps + 1, after
    tapes = [{cell: symbol for cell, symbol in tape.items() if symbol != table.blank} for tape in end.tapes]
    cells = max(1, sum(len(tape) for tape in tapes))
    shown = ",".join("".join(symbols) for symbols in word)
    decisions = machine if isinstance(machine, Decisions) else Decisions(machine, table)
    try:
        final = run_discrete(decisions, word, steps)
    except NotDiscreteError as error:
        return Compared(cells, cells, f"{shown} -> {error}: wrong")
    wrong = sum(a.get(cell) != b.get(cell) for a, b in zip(tapes, final.tapes) for cell in a.keys() | b.keys())
    wrong += final.steps != steps or final.state != end.state or final.heads != end.heads
    answer = ",".join("".join(tape[cell] for cell in sorted(tape)) for tape in final.tapes)
    return Compared(cells, wrong, f"{shown} -> {answer} in {final.steps:,} steps: {'wrong' if wrong else 'ok'}")


def score_free(machine: Machine, task: Turing, random: np.random.Generator, length: int, sequences: int) -> Score:
    """Wrong cells at the end of free runs on random words whose runs have `length` symbols."""
    pattern, decisions = task.pattern, Decisions(machine, task.table)
    results = [compare(decisions, task.table, random_word(random, pattern, length)) for _ in range(sequences)]
    return Score(torch.tensor([float(r.wrong) for r in results]), torch.tensor([float(r.cells) for r in results]))


def record(machine: Machine, task: Turing, word: Word) -> tuple[Batch, Output]:
    """The first ticks of a dense free run, recorded, and what the reference sees at each: whether it runs is the target."""
    inputs, targets, mask = (torch.from_numpy(part[:MOST_TICKS]).float().unsqueeze(0) for part in task.execution(word))
    ticks = inputs.shape[1]
    visited = [head for _, configuration in execute(task.table, word, ticks) for head in configuration.heads]
    left, right = -min(visited, default=0), max(visited, default=0)
    state = pad(begin_dense(machine, task.table, word), task.table, left + 2, right + 2).state
    with torch.no_grad():
        output = machine(inputs.new_zeros(1, ticks, 0), state, record=True)
    return Batch(inputs, targets[..., -1:], mask), output
