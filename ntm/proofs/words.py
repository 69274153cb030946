"""The search for differences on the words of a pattern, of any length: a proof where it finds none.

The n cells next to a head are kept on either side, and of the rest of the tape only which windows of n cells occur anywhere
on that side: more than can really happen, never less. (The closed position sets of busy-beaver research.) So that `0` before
a star is not taken for `0` behind it, each cell on a side bears the landmarks beyond it, in order: symbols that seem never to
be twice on a tape. Any choice of n and of landmarks is sound: what a cell bears is a function of the cells beyond it, and no
tick changes those.

Where the search begins is exact for words of any length. A word is written down from its end to its head, one symbol at a
time; all that the next symbol depends on is the part of the pattern and the window beside it, and of these there are finitely
many. (Enumerating short words instead is a trap: windows of a long run do not all occur in one of n + 1 symbols.)
"""

import math
from collections import Counter, defaultdict
from itertools import product
from typing import NamedTuple

import numpy as np

from ntm.models.turing.decisions import Code, Decisions, code_of
from ntm.proofs.product import Difference, Found, Symbols, TooManyError, compare
from tasks.turing import Table, begin, execute, random_word
from tasks.turing.words import Part

Cell = tuple[str, Symbols]
"""A symbol, and the landmarks further out on its side of the head, the nearest first."""

Window = tuple[Cell, ...]
"""n cells side by side, the nearest to the head first."""

Fit = tuple[Window, Symbols]
"""What a window that comes into sight must begin with, and the landmarks from its last cell on."""

MOST_MARKS = 4
"""Landmarks that a cell bears."""

MOST_CONTEXTS = 60_000
"""Contexts and windows after which a search is given up."""


class View(NamedTuple):
    """What is known of a tape: `left` and `right` are the cells next to the head."""

    left: Window
    under: str
    right: Window


class Further:
    """The windows that occur on one side of a head, anywhere but next to it."""

    def __init__(self, marks: Symbols):
        self.marks, self.count = marks, 0
        self.windows: dict[Fit, set[Window]] = defaultdict(set)

    def add(self, window: Window) -> None:
        """Take up a window that is no longer next to the head."""
        fitting = self.windows[window[:-1], seen_from(window[-1], self.marks)]
        self.count += window not in fitting
        fitting.add(window)

    def entering(self, side: Window) -> list[Window]:
        """What may be next to the head after it has taken the nearest cell of `side`: windows that fit the others, marks too."""
        return list(self.windows[side[1:], side[-1][1]])


def search_words(decisions: Decisions, table: Table, pattern: list[list[Part]], n: int) -> Found:
    """All pairs and symbols that a word of the pattern, of any length, could lead to, as seen through windows of n cells.

    Raises TooManyError.
    """
    marks = landmarks(table, pattern)
    sides = [(Further(marks), Further(marks)) for _ in pattern]
    starts = [beginnings(tape, table.blank, *of_tape, n) for tape, of_tape in zip(pattern, sides)]
    if math.prod(map(len, starts)) > MOST_CONTEXTS:
        raise TooManyError(f"more than {MOST_CONTEXTS:,} beginnings at windows of {n}")
    first = code_of(decisions.table, decisions.table.start)
    contexts: dict[tuple[Code, str, tuple[View, ...]], None] = {(first, table.start, views): None for views in product(*starts)}
    found = Found({}, {(first, table.start)}, [])
    size = -1
    while size != (size := len(contexts) + sum(side.count for of_tape in sides for side in of_tape)):
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
            after = [moved(*of_tape) for of_tape in zip(views, row.write, row.move, sides)]
            if len(contexts) + math.prod(map(len, after)) > MOST_CONTEXTS:
                raise TooManyError(f"more than {MOST_CONTEXTS:,} contexts at windows of {n}")
            contexts |= {(result.code, row.state, next_views): None for next_views in product(*after)}
    return found


def landmarks(table: Table, pattern: list[list[Part]]) -> Symbols:
    """Symbols that were never twice on a tape in runs on some words: a guess, which costs sharpness or time where it is wrong."""
    twice, random = {table.blank}, np.random.default_rng(0)
    twice |= {symbol for tape in pattern for part in tape if part.run for symbol in part.symbols}
    for n in range(60):
        word = random_word(random, pattern, 1 + n % 12)
        for tape in begin(table, word).tapes:
            twice |= {symbol for symbol, times in Counter(tape.values()).items() if times > 1}
        for step, after in execute(table, word, 500):
            for tape, symbol in zip(after.tapes, step.row.write):
                if symbol not in twice and list(tape.values()).count(symbol) > 1:
                    twice.add(symbol)
    return tuple(symbol for symbol in table.symbols if symbol not in twice)


def beginnings(tape: list[Part], blank: str, left: Further, right: Further, n: int) -> set[View]:
    """What one tape may show at the start of a word; `left` and `right` take up the windows that lie further out.

    Raises TooManyError.
    """
    beyond = (blank,) * MOST_MARKS if blank in right.marks else ()  # there is no end of blanks
    blanks: Window = ((blank, beyond),) * n
    left.add(blanks)
    right.add(blanks)
    if not tape:
        return {View(blanks, blank, blanks)}
    starts: set[View] = set()
    # A part of which the next symbol to the left is one, and the window on its right.
    frontier = [(len(tape) - 1, blanks)]
    done = set(frontier)
    while frontier:
        at, side = frontier.pop()
        part = tape[at]
        if at == 0:
            starts |= {View(blanks, symbol, side) for symbol in part.symbols}
            if not part.run:
                continue
        right.add(side)  # the next symbol is not the one under the head
        following = [*([at] if part.run else []), *([at - 1] if at else [])]
        new = {(number, pushed(side, symbol, right.marks)) for symbol in part.symbols for number in following} - done
        frontier += new
        done |= new
        if len(done) > MOST_CONTEXTS:
            raise TooManyError(f"more than {MOST_CONTEXTS:,} windows of {n} cells in the words")
    return starts


def pushed(side: Window, symbol: str, marks: Symbols) -> Window:
    """The window next to the head after the head has left `symbol` on that side."""
    return ((symbol, seen_from(side[0], marks)), *side[:-1])


def seen_from(cell: Cell, marks: Symbols) -> Symbols:
    """The landmarks that the cell before this one has beyond it."""
    symbol, beyond = cell
    return (symbol, *beyond)[:MOST_MARKS] if symbol in marks else beyond


def moved(view: View, write: str, move: int, sides: tuple[Further, Further]) -> list[View]:
    """The views that a tape may show after a tick, one for each cell that may come into sight; `sides` take up what leaves."""
    left, right = sides
    if move == 0:
        return [view._replace(under=write)]
    if move > 0:
        left.add(view.left)
        return [View(pushed(view.left, write, left.marks), view.right[0][0], side) for side in right.entering(view.right)]
    right.add(view.right)
    return [View(side, view.left[0][0], pushed(view.right, write, right.marks)) for side in left.entering(view.left)]
