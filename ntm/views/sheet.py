"""A multiplication by a learned machine, sweep by sweep, as data: all that a slide shows, and nothing that was not read or checked.

A row is the tape where a sweep has just ended: the start tick of the next one writes its last slot. Slots are counted from
the head's home, columns from the slot that sweeps begin at.
"""

from typing import NamedTuple

from ntm.models.machine.lookup import Code


class Row(NamedTuple):
    """The tape behind a sweep, or behind loading, where nothing is held or said yet."""

    held: int  # the bit of b
    contents: tuple[Code, ...]
    register: Code
    digits: tuple[int, ...] | None  # that contents stand for; None: not known
    total: int | None  # what they add up to
    due: int  # what the running sum is
    said: int  # the product bit that came out
    right: int  # the one that should have


class Sheet(NamedTuple):
    """A whole multiplication."""

    a: int
    b: int
    length: int  # bits of both
    first: int  # the slot of the first column: 0 or -1
    weights: tuple[int, ...] | None  # of the columns; 0: its contents stand for nothing
    reach: int  # slots that stand for a digit together
    kept: tuple[int, ...]  # channels of a slot that have not been given up
    bits: tuple[int, ...]  # of the register, likewise
    rows: list[Row]  # loading first

    @property
    def product(self) -> int:
        """What the machine says."""
        return sum(row.said << place for place, row in enumerate(self.rows[1:]))

    @property
    def right(self) -> bool:
        """Whether that is the product."""
        return self.product == self.a * self.b

    @property
    def columns(self) -> int:
        """Those that are shown: up to the last that has a bit of a, is ever written, or stands for something."""
        slots = range(len(self.rows[0].contents))
        written = (slot for slot in slots for row in self.rows if any(row.contents[slot]) or (row.digits and row.digits[slot]))
        return 1 + max(self.length - 1 - self.first, *written)

    def given(self, column: int) -> int | None:
        """The bit of a that its slot was given."""
        return self.a >> column + self.first & 1 if 0 <= column + self.first < self.length else None

    def digit(self, row: Row, column: int) -> int | None:
        """What a slot stands for; None where that is not known, or where slots of this column stand for nothing."""
        return row.digits[column] if row.digits and self.weights and self.weights[column] else None

    def carry(self, row: Row, column: int) -> bool:
        """Whether a slot holds a carry that is not settled: a digit above 1, or one where the next slot counts no more than it."""
        digit = self.digit(row, column)
        if digit is None or self.weights is None:
            return False
        return digit > (0 if self.weights[column + 1 : column + 2] == self.weights[column : column + 1] else 1)


def equation(sheet: Sheet, j: int) -> tuple[str, str, bool]:
    """Both sides of S + b a = p + 2 S' for sweep j, and whether they are equal; digits must be known."""
    before, row = sheet.rows[j], sheet.rows[j + 1]
    assert before.total is not None
    assert row.total is not None
    left, right = before.total + row.held * sheet.a, row.said + 2 * row.total
    return f"{before.total} + {row.held}\u00b7{sheet.a}", f"{row.said} + 2\u00b7{row.total}", left == right
