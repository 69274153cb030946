"""The shortest word on which a network and a table part: searched by decisions, believed only when a dense run shows it."""

from itertools import islice
from typing import NamedTuple

from ntm.models.turing.decisions import Decisions, NotDiscreteError, code_of
from ntm.models.turing.free import reference
from ntm.models.turing.run import run_dense
from ntm.proofs.product import Difference, compare
from tasks.turing import Table, Word, begin, every_word, execute, read_cells
from tasks.turing.words import Part

LONGEST, MOST_WORDS, MOST_STEPS = 8, 20_000, 2_000
"""Symbols of a run, words, and steps on each that are tried."""

MOST_WORK, DENSE = 200_000, 100
"""Steps after which the search is given up, a second; so many of them is what a tick of a dense run counts for."""


class Parting(NamedTuple):
    """Where a network was seen to part from a table."""

    word: Word
    steps: int  # both did the same for so many
    difference: Difference


def shortest_word(decisions: Decisions, table: Table, pattern: list[list[Part]]) -> Parting | None:
    """The first word of a pattern, the shortest first, on which machine and table part; None within the bounds above."""
    work = 0
    for word in islice(every_word(pattern, LONGEST), MOST_WORDS):
        steps, difference = side_by_side(decisions, table, word)
        work += steps + 1
        if difference is not None:
            if parts_densely(decisions, table, word, steps):
                return Parting(word, steps, difference)
            work += DENSE * (steps + 1)
        if work > MOST_WORK:
            break
    return None


def side_by_side(decisions: Decisions, table: Table, word: Word) -> tuple[int, Difference | None]:
    """For how many steps both do the same on a word, and what differs then, if anything does within MOST_STEPS."""
    code, steps, now = code_of(decisions.table, decisions.table.start), 0, begin(table, word)
    for step, after in execute(table, word, MOST_STEPS):
        result = compare(decisions, table, code, step.state, step.seen)
        if isinstance(result, Difference):
            return steps, result
        code, steps, now = result.code, steps + 1, after
    result = compare(decisions, table, code, now.state, read_cells(table, now))
    return steps, result if isinstance(result, Difference) else None


def parts_densely(decisions: Decisions, table: Table, word: Word, steps: int) -> bool:
    """Whether a dense run ends otherwise than the table after one step more, or on values that are no symbols."""
    try:
        final = run_dense(decisions.machine, decisions.table, word, steps + 1)
    except NotDiscreteError:
        return True
    expected = reference(table, word, steps + 1)
    return final._replace(state="") != expected._replace(state="")  # what a network calls its states is its own affair
