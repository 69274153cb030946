"""A machine run free, on what it wrote itself, beside the reference: the score of a learned table, and a trace to look at."""

from typing import NamedTuple

import numpy as np
import torch

from ntm.models.base import Output
from ntm.models.recurrent import Recurrent
from ntm.models.turing.decisions import Decisions, NotDiscreteError
from ntm.models.turing.run import Final, begin_dense, pad, run_discrete, written
from tasks import Batch, Score, Turing
from tasks.turing import Table, Word, begin, execute, random_word, read_cells

MOST_STEPS = 5_000_000
"""Steps of a reference that may halt; of one that never does `most_ticks` are enough."""

MOST_TICKS = 200
"""Ticks of a recorded run."""


class Compared(NamedTuple):
    """A free run against the reference's."""

    cells: int  # that are not blank at the end of either
    wrong: int  # cells, and one more where the machine did not end as and when the reference did
    line: str  # for people


def reference(table: Table, word: Word, max_steps: int) -> Final:
    """Where the table itself stands after at most `max_steps` steps on a word."""
    steps, end = 0, begin(table, word)
    for _, after in execute(table, word, max_steps):
        steps, end = steps + 1, after
    halted = table.rows[end.state, read_cells(table, end)] is None
    return Final(halted, steps, end.state, end.heads, written(end.tapes, table.blank))


def compare(decisions: Decisions, word: Word, max_steps: int) -> Compared:
    """Run a word by the machine's decisions and by its table, and compare every cell of every tape at the end."""
    end = reference(decisions.table, word, max_steps)
    cells = max(1, sum(len(tape) for tape in end.tapes))
    shown = ",".join("".join(symbols) for symbols in word)
    try:
        final = run_discrete(decisions, word, end.steps)
    except NotDiscreteError as error:
        return Compared(cells, cells, f"{shown} -> {error}: wrong")
    wrong = sum(a.get(cell) != b.get(cell) for a, b in zip(end.tapes, final.tapes) for cell in a.keys() | b.keys())
    wrong += final._replace(tapes=end.tapes) != end
    answer = ",".join("".join(tape[cell] for cell in sorted(tape)) for tape in final.tapes)
    return Compared(cells, wrong, f"{shown} -> {answer} in {final.steps:,} steps: {'wrong' if wrong else 'ok'}")


def score_free(machine: Recurrent, task: Turing, random: np.random.Generator, length: int, sequences: int) -> Score:
    """Wrong cells at the end of free runs on random words whose runs have `length` symbols."""
    pattern, decisions = task.pattern, Decisions(machine, task.table)
    limit = MOST_STEPS if task.table.may_halt else task.most_ticks
    results = [compare(decisions, random_word(random, pattern, length), limit) for _ in range(sequences)]
    return Score(torch.tensor([float(r.wrong) for r in results]), torch.tensor([float(r.cells) for r in results]))


def record(machine: Recurrent, task: Turing, word: Word) -> tuple[Batch, Output]:
    """The first ticks of a dense free run, recorded, and what the reference sees at each: whether it runs is the target."""
    inputs, targets, mask = (torch.from_numpy(part[:MOST_TICKS]).float().unsqueeze(0) for part in task.execution(word))
    ticks = inputs.shape[1]
    visited = [head for _, configuration in execute(task.table, word, ticks) for head in configuration.heads]
    left, right = -min(visited, default=0), max(visited, default=0)
    state = pad(begin_dense(machine, task.table, word), task.table, left + 2, right + 2).state
    with torch.no_grad():
        output = machine(inputs.new_zeros(1, ticks, 0), state=state, record=True)
    return Batch(inputs, targets[..., -1:], mask, torch.tensor([ticks])), output
