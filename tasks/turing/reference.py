"""The reference: a table run one row at a time on tapes of dictionaries, slow and obvious. Networks are compared with it."""

from collections.abc import Iterator
from typing import NamedTuple

from tasks.turing.table import Row, Table
from tasks.turing.words import Word


class Step(NamedTuple):
    """A state, the symbols it read, and the row that was executed."""

    state: str
    seen: tuple[str, ...]
    row: Row


class Configuration(NamedTuple):
    """Where a run stands; blank cells may be left out of the tapes."""

    state: str
    tapes: tuple[dict[int, str], ...]
    heads: tuple[int, ...]


def begin(table: Table, word: Word) -> Configuration:
    """The configuration at the start: every head on cell 0 of its tape, the first symbol of its word."""
    return Configuration(table.start, tuple(dict(enumerate(symbols)) for symbols in word), (0,) * table.tapes)


def read_cells(table: Table, configuration: Configuration) -> tuple[str, ...]:
    """The symbols under the heads."""
    return tuple(tape.get(head, table.blank) for tape, head in zip(configuration.tapes, configuration.heads))


def execute(table: Table, word: Word, max_steps: int) -> Iterator[tuple[Step, Configuration]]:
    """Every step with the configuration after it; ends where the machine halts or after `max_steps` steps."""
    now = begin(table, word)
    for _ in range(max_steps):
        seen = read_cells(table, now)
        row = table.rows[now.state, seen]
        if row is None:
            return
        for tape, head, symbol in zip(now.tapes, now.heads, row.write):
            tape[head] = symbol
        step = Step(now.state, seen, row)
        now = Configuration(row.state, now.tapes, tuple(head + move for head, move in zip(now.heads, row.move)))
        yield step, now
