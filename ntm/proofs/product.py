"""Is a machine the same as a table? A search through all that both can do at once, to a fixed point.

A pair is the machine's register beside the state of the table; a difference is a pair and symbols on which one tick writes,
moves or halts otherwise. Two searches, both proofs where they find none:

* any tape: from the start pair, every symbol under every head. Complete for every tape that there is.
* declared words: the tapes that a pattern describes. The n cells next to a head are kept on either side, and of the rest of
  the tape only which windows of n cells occur anywhere on that side: more than can really happen, never less. (The closed
  position sets of busy-beaver research.) So that `0` before a star is not taken for `0` behind it, each cell on a side bears
  the landmarks beyond it, in order: symbols that seem never to be twice on a tape. Any choice of n and landmarks is sound.
"""

import itertools
from collections import Counter
from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

from ntm.models.turing.decisions import Code, Decision, Decisions, NotDiscreteError, code_of
from tasks.turing import Row, Table, Word, begin, every_word, execute, letters, random_word, read_cells
from tasks.turing.words import Part

Symbols = tuple[str, ...]


class TooManyError(RuntimeError):
    """A search that would not end in time."""


class Difference(NamedTuple):
    """Where machine and table part."""

    state: str  # of the table
    seen: Symbols
    machine: str  # what the machine does
    table: str  # what the table says


class Found(NamedTuple):
    """The end of a search."""

    reached: dict[tuple[Code, Symbols], Decision]  # every combination of register and symbols that can occur
    pairs: set[tuple[Code, str]]
    differences: list[Difference]


Cell = tuple[str, Symbols]
"""A symbol, and the landmarks further out on its side of the head, the nearest first."""

Window = tuple[Cell, ...]


class View(NamedTuple):
    """What is known of a tape: `left` and `right` are the cells next to the head, the nearest first."""

    left: Window
    under: str
    right: Window


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


def search_words(decisions: Decisions, table: Table, pattern: list[list[Part]], n: int) -> Found:
    """All pairs and symbols that a word of the pattern, of any length, could lead to, as seen through windows of n cells.

    Raises TooManyError.
    """
    marks = landmarks(table, pattern)
    # Windows of a longer run occur in one of n + 1 symbols, too.
    words = list(itertools.islice(every_word(pattern, n + 1), MOST_WORDS + 1))
    if len(words) > MOST_WORDS:
        raise TooManyError(f"more than {MOST_WORDS:,} words of runs of {n + 1} symbols")
    starts, windows = beginnings(words, table, marks, n)
    first = code_of(decisions.table, decisions.table.start)
    contexts: dict[tuple[Code, str, tuple[View, ...]], None] = {(first, table.start, views): None for views in starts}
    found = Found({}, {(first, table.start)}, [])
    size = -1
    while size != (size := len(contexts) + sum(len(side) for sides in windows for side in sides)):
        if size > MOST_CONTEXTS:
            raise TooManyError(f"more than {MOST_CONTEXTS:,} contexts at windows of {n}")
        for code, state, views in list(contexts):
            seen = tuple(view.under for view in views)
            result = compare(decisions, table, code, state, seen)
            if isinstance(result, Difference):
                if result not in found.differences:
                    found.differences.append(result)
                continue
            found.reached[code, seen] = result
            row = table.rows[state, seen]
            if row is None:
                continue
            found.pairs.add((result.code, row.state))
            after = [moved(*of_tape, marks) for of_tape in zip(views, row.write, row.move, windows)]
            contexts |= {(result.code, row.state, next_views): None for next_views in itertools.product(*after)}
    return found


def landmarks(table: Table, pattern: list[list[Part]]) -> Symbols:
    """Symbols that were never twice on a tape in runs on some words: a guess, which costs sharpness where it is wrong."""
    twice, random = {table.blank}, np.random.default_rng(0)
    for n in range(60):
        word = random_word(random, pattern, 1 + n % 12)
        tapes = [begin(table, word).tapes, *(after.tapes for _, after in execute(table, word, 500))]
        counts = (Counter(tape.values()) for moment in tapes for tape in moment)
        twice |= {symbol for count in counts for symbol, times in count.items() if times > 1}
    return tuple(symbol for symbol in table.symbols if symbol not in twice)


def beginnings(
    words: Iterable[Word], table: Table, marks: Symbols, n: int
) -> tuple[set[tuple[View, ...]], list[tuple[set[Window], set[Window]]]]:
    """The views at the start of each word, and for each tape the windows that lie further out, left and right."""
    blanks: Window = ((table.blank, ()),) * n
    starts: set[tuple[View, ...]] = set()
    windows: list[tuple[set[Window], set[Window]]] = [({blanks}, {blanks}) for _ in range(table.tapes)]
    for word in words:
        views = []
        for symbols, (_, right) in zip(word, windows):
            side = blanks
            cells = list(symbols or (table.blank,))
            for at, symbol in reversed(list(enumerate(cells[1:], start=1))):
                if at < len(cells) - 1:
                    right.add(side)
                side = pushed(side, symbol, marks)
            views.append(View(blanks, cells[0], side))
        starts.add(tuple(views))
    return starts, windows


def pushed(side: Window, symbol: str, marks: Symbols) -> Window:
    """The window next to the head after the head has left `symbol` on that side."""
    return ((symbol, seen_from(side[0], marks)), *side[:-1])


def seen_from(cell: Cell, marks: Symbols) -> Symbols:
    """The landmarks that the cell before this one has beyond it."""
    symbol, beyond = cell
    return (symbol, *beyond)[:MOST_MARKS] if symbol in marks else beyond


def moved(view: View, write: str, move: int, windows: tuple[set[Window], set[Window]], marks: Symbols) -> list[View]:
    """The views that a tape may show after a tick, one for each cell that may come into sight; `windows` takes up what leaves."""
    left, right = windows
    if move == 0:
        return [view._replace(under=write)]
    if move > 0:
        left.add(view.left)
        return [View(pushed(view.left, write, marks), view.right[0][0], side) for side in entering(view.right, right, marks)]
    right.add(view.right)
    return [View(side, view.left[0][0], pushed(view.right, write, marks)) for side in entering(view.left, left, marks)]


def entering(side: Window, windows: set[Window], marks: Symbols) -> list[Window]:
    """What may be next to the head after it has taken the nearest cell of a side: windows that fit the others, marks too."""
    return [new for new in windows if new[:-1] == side[1:] and seen_from(new[-1], marks) == side[-1][1]]


MOST_MARKS = 4
"""Landmarks that a cell bears."""

MOST_CONTEXTS = 60_000
"""After which a search is given up."""

LONGEST, MOST_WORDS, MOST_STEPS = 8, 20_000, 2_000
"""Symbols of a run, words and steps that are tried to find a word for a difference."""


def shortest_word(table: Table, pattern: list[list[Part]], differences: list[Difference]) -> Word | None:
    """The shortest word on which the table comes to a difference, or None where none was found within the bounds above."""
    wanted = {(difference.state, difference.seen) for difference in differences}
    for word in itertools.islice(every_word(pattern, LONGEST), MOST_WORDS):
        moments = itertools.chain([begin(table, word)], (after for _, after in execute(table, word, MOST_STEPS)))
        if any((moment.state, read_cells(table, moment)) in wanted for moment in moments):
            return word
    return None
