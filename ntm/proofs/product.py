"""Is a machine the same as a table? What one tick of both does, and a search through all that they can do on any tape.

A pair is the machine's register beside the state of the table; a difference is a pair and symbols on which one tick writes,
moves or halts otherwise. `search_any` begins with the start pair and puts every symbol under every head, to a fixed point:
complete for every tape that there is, and a proof where it finds no difference. words.py is about the words of a pattern.
"""

import itertools
from typing import NamedTuple

from ntm.models.turing.decisions import Code, Decision, Decisions, NotDiscreteError, code_of
from tasks.turing import Row, Table, letters

Symbols = tuple[str, ...]


class TooManyError(RuntimeError):
    """A search that would not end in time: nothing is decided by it."""


class Difference(NamedTuple):
    """Where machine and table would part, if they came there: a search may come to more than really happens."""

    state: str  # of the table
    seen: Symbols
    machine: str  # what the machine does
    table: str  # what the table says


class Found(NamedTuple):
    """The end of a search."""

    reached: dict[tuple[Code, Symbols], Decision]  # every combination of register and symbols that can occur and does not differ
    pairs: set[tuple[Code, str]]
    differences: list[Difference]


def compare(decisions: Decisions, table: Table, code: Code, state: str, seen: Symbols) -> Decision | Difference:
    """One tick of both. A machine that has halted must leave everything as it is."""
    row = table.rows[state, seen]
    try:
        decision = decisions[code, seen]
    except NotDiscreteError as error:
        return Difference(state, seen, str(error), tell(row))
    if not decision.running:
        still = (decision.write, any(decision.move), decision.code) == (seen, False, code)
        if row is None and still:
            return decision
        return Difference(state, seen, "halts" if still else "halts, but changes something", tell(row))
    if row is None or (decision.write, decision.move) != (row.write, row.move):
        return Difference(state, seen, does(decision.write, decision.move), tell(row))
    return decision


def tell(row: Row | None) -> str:
    """A row for people."""
    return "halts" if row is None else f"{does(row.write, row.move)}, goes to {row.state}"


def does(write: Symbols, move: tuple[int, ...]) -> str:
    """What is written and moved, for people; the register of a machine is its own affair."""
    return f"writes {' '.join(write)}, moves {letters(move)}"


def search_any(decisions: Decisions, table: Table) -> Found:
    """All pairs and symbols that any tape could show."""
    found = Found({}, {(code_of(decisions.table, decisions.table.start), table.start)}, [])
    frontier = list(found.pairs)
    every = list(itertools.product(table.symbols, repeat=table.tapes))
    while frontier:
        code, state = frontier.pop()
        for seen in every:
            result = compare(decisions, table, code, state, seen)
            if isinstance(result, Difference):
                found.differences.append(result)
                continue
            found.reached[code, seen] = result
            row = table.rows[state, seen]
            if row is not None and (result.code, row.state) not in found.pairs:
                found.pairs.add((result.code, row.state))
                frontier.append((result.code, row.state))
    return found
