"""A Turing machine's state table: read from text or YAML, checked, and run slowly as the reference for networks.

Two notations. The standard text of busy-beaver research, `1RB1LB_1LA1RZ`: one group a state (A, B, ...), in it one triple
<write><L|R><next> for each symbol read (0, 1, ...), Z or H halts, `---` is no rule; blank 0, start A. And YAML, for any
number of symbols and tapes (docs/turing_machines.md has more):

    blank: _
    start: right
    halt: [done]
    table:
      right: {0: [0, R, right], 1: [1, R, right], _: [_, L, carry]}
      carry: {0: [1, S, done], 1: [0, L, carry], _: [1, S, done]}

With several tapes, symbols and moves stand side by side: `0 1 _: [0 1 1, R S L, add]`. In a row `.` matches any symbol,
written it keeps the symbol; the first row that matches counts. `null` instead of a row: the machine halts on the spot.
A step is a row that was executed, the one into a halting state included.
"""

import itertools
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple

from tasks.turing.text_yaml import mapping
from tasks.turing.words import parts

TABLES = Path(__file__).parent / "tables"
MOVES = {"L": -1, "S": 0, "N": 0, "R": 1}
KEYS = ("name", "about", "tapes", "states", "symbols", "blank", "start", "halt", "input", "table")
MOST_ROWS = 200_000
"""Rows of a table with every combination of symbols written out."""


class NoTableError(ValueError):
    """Nothing was named, or what is no table's name, text or file."""


class Row(NamedTuple):
    """What a state does on the symbols it reads."""

    write: tuple[str, ...]  # one symbol for each tape
    move: tuple[int, ...]  # -1, 0 or +1 for each tape
    state: str


def letters(moves: Iterable[int]) -> str:
    """Moves as they are written in a table."""
    return " ".join("LSR"[1 + move] for move in moves)


@dataclass(frozen=True)
class Table:
    """A checked table: every state has an entry for every combination of symbols, one symbol for each tape."""

    name: str
    symbols: tuple[str, ...]  # the blank is one of them
    blank: str
    states: tuple[str, ...]  # those of the table first, then those that halt
    start: str
    halt: tuple[str, ...]
    tapes: int
    rows: Mapping[tuple[str, tuple[str, ...]], Row | None] = field(repr=False, hash=False)  # None: no rule, it halts
    input: str | None  # what words the machine is made for; see words.py
    about: str
    source: str | Mapping[str, Any] = field(repr=False, hash=False)  # what it was read from

    @property
    def reachable(self) -> set[str]:
        """The states that some row after another leads to from the start, whatever is read."""
        reached, frontier = {self.start}, [self.start]
        following: dict[str, set[str]] = {}
        for (state, _), row in self.rows.items():
            following.setdefault(state, set()).update([] if row is None else [row.state])
        while frontier:
            new = following[frontier.pop()] - reached
            reached |= new
            frontier += new
        return reached

    @property
    def may_halt(self) -> bool:
        """Whether a state that can be reached has no rule for some symbols."""
        reached = self.reachable
        return any(row is None and state in reached for (state, _), row in self.rows.items())

    @property
    def notes(self) -> list[str]:
        """What is odd about a table that may run all the same, in one line each."""
        reached = self.reachable
        lost = [name for name in self.states if name not in reached and name not in self.halt]
        never = [] if self.may_halt else ["no halting state can be reached: this machine never halts"]
        return never + ([f"states that cannot be reached: {', '.join(lost)}"] if lost else [])


def read_table(source: str | Mapping[str, Any], name: str | None = None) -> Table:
    """The table that a shipped name, a YAML file's path, a text in the standard notation or a YAML mapping means.

    Raises ValueError, in one line, for anything else.
    """
    if not source:
        raise NoTableError(f"must be given; allowed: {', '.join(shipped())}, a text as 1RB1LB_1LA1RZ, or a YAML file")
    if not isinstance(source, str):
        return from_mapping(name or "table", source)
    if source in shipped():
        return from_mapping(source, mapping(TABLES / f"{source}.yaml", KEYS))
    if source.endswith((".yaml", ".yml")):
        return from_mapping(Path(source).stem, mapping(Path(source), KEYS))
    if re.fullmatch(r"[0-9A-Za-z_-]*[0-9-][A-Z-][0-9A-Za-z_-]*", source):
        return from_text(source)
    raise NoTableError(f"no such table; allowed: {', '.join(shipped())}, a text as 1RB1LB_1LA1RZ, or a YAML file")


def shipped() -> list[str]:
    """Names of the tables that come with the package."""
    return sorted(path.stem for path in TABLES.glob("*.yaml"))


def from_text(text: str) -> Table:
    """The table in the standard notation of busy-beaver research; raises ValueError."""
    groups = text.split("_")
    states = [chr(ord("A") + n) for n in range(len(groups))]
    if len(groups) > 25:
        raise ValueError(f"{len(groups)} states; allowed: at most 25 in this notation, or a YAML file")
    width = len(groups[0])
    for state, group in zip(states, groups):
        if len(group) != width or width % 3 or not group:
            lengths = "a multiple of 3 and as long as the first"
            raise ValueError(f"state {state}: group {group!r} has {len(group)} characters; allowed: {lengths} ({width})")
    symbols = [str(n) for n in range(width // 3)]
    halts = [letter for letter in "ZH" if letter not in states]
    table: dict[str, dict[str, Any]] = {}
    for state, group in zip(states, groups):
        table[state] = {}
        for symbol in symbols:
            triple = group[3 * int(symbol) : 3 * int(symbol) + 3]
            table[state][symbol] = None if triple == "---" else list(triple)
    used = [letter for letter in halts if any(row and row[2] == letter for rows in table.values() for row in rows.values())]
    built = from_mapping(text, {"blank": "0", "symbols": symbols, "start": "A", "halt": used or ["Z"], "table": table})
    return replace(built, source=text)


def from_mapping(name: str, source: Mapping[str, Any]) -> Table:
    """The table that a YAML mapping describes, every entry checked; raises ValueError."""
    unknown = [key for key in source if key not in KEYS]
    if unknown:
        raise ValueError(f"{unknown[0]}: no such key of a table; allowed: {', '.join(KEYS)}")
    table = source.get("table")
    if not isinstance(table, Mapping) or not table or not all(isinstance(rows, Mapping) and rows for rows in table.values()):
        raise ValueError("table: must be given, as {state: {symbols read: [symbols written, moves, next state]}}")
    halt = texts(source.get("halt", "halt"))
    states = [str(state) for state in table]
    declared = texts(source.get("states", [*states, *halt]))
    start = str(source.get("start", states[0]))
    blank = str(source.get("blank", "_"))
    missing = [state for state in declared if state not in states and state not in halt]
    if missing:
        raise ValueError(f"states: {missing[0]} has no rows; allowed: rows for it in table, or its name in halt")
    undeclared = [state for state in states if state not in declared]
    if undeclared:
        raise ValueError(f"table.{undeclared[0]}: not among states; allowed: {', '.join(declared)}")
    both = [state for state in halt if state in states]
    if both:
        raise ValueError(f"halt: {both[0]} has rows; allowed: states without rows")
    if start not in states and start not in halt:
        raise ValueError(f"start: {start} is an unknown state; allowed: {', '.join(states)}")
    tapes = tape_count(source.get("tapes"), table)
    symbols = alphabet(source.get("symbols"), blank, table)
    if len(states) * len(symbols) ** tapes > MOST_ROWS:
        raise ValueError(f"{len(states)} states x {len(symbols)} symbols on {tapes} tapes: more than {MOST_ROWS:,} rows")
    rows: dict[tuple[str, tuple[str, ...]], Row | None] = {}
    for state, given in table.items():
        rows |= state_rows(str(state), given, symbols, tapes, [*states, *halt])
    rows |= dict.fromkeys(itertools.product(halt, itertools.product(symbols, repeat=tapes)))
    words = None if source.get("input") is None else str(source["input"])
    if words is not None:
        for part in itertools.chain(*parts(words, tapes)):
            check_symbols(f"input: {words}", part.symbols, symbols)
    return Table(
        name=str(source.get("name", name)),
        symbols=tuple(symbols),
        blank=blank,
        states=(*states, *halt),
        start=start,
        halt=tuple(halt),
        tapes=tapes,
        rows=rows,
        input=words,
        about=str(source.get("about", "")),
        source=source,
    )


def texts(given: Any) -> list[str]:
    """One text or a list of them, as a list."""
    return [str(text) for text in given] if isinstance(given, list | tuple) else [str(given)]


def tape_count(given: Any, table: Mapping[str, Any]) -> int:
    """How many tapes there are: as declared, or as the first row shows; raises ValueError."""
    if given is None:
        return len(str(next(iter(next(iter(table.values()))))).split())
    if not str(given).isdigit() or int(str(given)) < 1:
        raise ValueError(f"tapes: {given} is not a number of tapes; allowed: 1, 2, 3, ...")
    return int(str(given))


def alphabet(given: Any, blank: str, table: Mapping[str, Any]) -> list[str]:
    """All symbols, the blank first; without a declaration those that are read or written. Raises ValueError."""
    if given is not None:
        declared = texts(given)
        wrong = [symbol for symbol in declared if symbol == "." or not symbol or re.search(r"\s", symbol)]
        if wrong:
            raise ValueError(f"symbols: {wrong[0]!r} cannot be a symbol; allowed: any text without spaces but '.'")
        if blank not in declared:
            raise ValueError(f"blank: {blank} is not among the symbols; allowed: {', '.join(declared)}")
        return list(dict.fromkeys(declared))
    found = {blank: None}
    for rows in table.values():
        for seen, row in rows.items():
            written = [] if is_null(row) or not isinstance(row, list | tuple) or not row else str(row[0]).split()
            found |= dict.fromkeys(symbol for symbol in [*str(seen).split(), *written] if symbol != ".")
    return list(found)


def is_null(row: Any) -> bool:
    """Whether a row says that there is no rule; YAML texts have `null` as a word."""
    return row is None or row in ("null", "~", "")


def state_rows(
    state: str, given: Mapping[Any, Any], symbols: list[str], tapes: int, states: list[str]
) -> dict[tuple[str, tuple[str, ...]], Row | None]:
    """One entry for every combination of symbols, the first row that matches; raises ValueError for a wrong or missing row."""
    patterns: list[tuple[list[str], tuple[list[str], tuple[int, ...], str] | None]] = []
    for seen, row in given.items():
        where, read = f"table.{state}.{seen}", str(seen).split()
        if len(read) != tapes:
            raise ValueError(f"{where}: reads {len(read)} symbols; allowed: one for each tape ({tapes})")
        check_symbols(where, read, symbols)
        patterns.append((read, None if is_null(row) else action(where, row, symbols, tapes, states)))
    rows: dict[tuple[str, tuple[str, ...]], Row | None] = {}
    for seen in itertools.product(symbols, repeat=tapes):
        match = next((p for p in patterns if all(a in (".", b) for a, b in zip(p[0], seen))), None)
        if match is None:
            raise ValueError(f"table.{state}: no row for {' '.join(seen)}; allowed: a row for every symbol, null for none")
        if match[1] is None:
            rows[state, seen] = None
        else:
            written = tuple(old if new == "." else new for new, old in zip(match[1][0], seen))
            rows[state, seen] = Row(written, match[1][1], match[1][2])
    return rows


def action(where: str, row: Any, symbols: list[str], tapes: int, states: list[str]) -> tuple[list[str], tuple[int, ...], str]:
    """What a row writes, how it moves and where it goes; raises ValueError."""
    if not isinstance(row, list | tuple) or len(row) != 3:
        raise ValueError(f"{where}: {row!r} is not a row; allowed: [symbols written, moves, next state] or null")
    write, move, state = str(row[0]).split(), str(row[1]).split(), str(row[2])
    if len(write) != tapes or len(move) != tapes:
        raise ValueError(f"{where}: writes {len(write)} symbols and moves {len(move)} heads; allowed: {tapes} of each")
    check_symbols(where, write, symbols)
    wrong = [word for word in move if word not in MOVES]
    if wrong:
        raise ValueError(f"{where}: {wrong[0]} is not a move; allowed: L, R, S (or N)")
    if state not in states:
        raise ValueError(f"{where}: {state} is an unknown state; allowed: {', '.join(states)}")
    return write, tuple(MOVES[word] for word in move), state


def check_symbols(where: str, given: Iterable[str], symbols: list[str]) -> None:
    """Raise ValueError for a symbol that the table does not have."""
    wrong = [symbol for symbol in given if symbol not in symbols and symbol != "."]
    if wrong:
        raise ValueError(f"{where}: {wrong[0]} is an unknown symbol; allowed: {', '.join(symbols)}")
