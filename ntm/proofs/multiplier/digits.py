"""The digits that contents stand for, found from words of operands of few bits: linear equations, solved exactly."""

from typing import NamedTuple

from ntm.proofs.multiplier.invariant import Letter, Window
from ntm.proofs.multiplier.samples import Samples

PRIME = (1 << 61) - 1
"""The equations are solved modulo this one."""

MOST = 1 << 20
"""What counts as a small integer."""


class Digits(NamedTuple):
    """A table of them: by the place, up to `depth`, and the last `reach` letters."""

    reach: int
    depth: int
    table: dict[tuple[int, Window], int]


def windows(word: tuple[Letter, ...], reach: int, depth: int) -> list[tuple[int, Window]]:
    """What the digit of each slot is looked up by; behind the word are `reach` slots like its last."""
    padded = word + word[-1:] * reach
    return [(min(slot, depth), padded[max(0, slot - reach + 1) : slot + 1]) for slot in range(len(padded) - 1)]


def solve(samples: Samples, reach: int, depth: int) -> Digits | None:
    """Digits by which every sample's sum is right; None where there are none, or none that are small integers are found."""
    numbers: dict[tuple[int, Window], int] = {}
    rows: dict[int, tuple[dict[int, int], int]] = {}  # by the unknown that each is solved for, the newest in it
    for word, total in sorted(samples.items(), key=lambda item: len(item[0])):
        row: dict[int, int] = {}
        for slot, window in enumerate(windows(word, reach, depth)):
            unknown = numbers.setdefault(window, len(numbers))
            row[unknown] = row.get(unknown, 0) + (1 << max(0, slot - depth))
        rest = total
        while row:
            unknown = max(row)
            if unknown not in rows:
                inverse = pow(row[unknown], -1, PRIME)
                rows[unknown] = {of: factor * inverse % PRIME for of, factor in row.items()}, rest * inverse % PRIME
                break
            known, its_rest = rows[unknown]
            times = row[unknown]
            for of, factor in known.items():
                row[of] = (row.get(of, 0) - times * factor) % PRIME
                if not row[of]:
                    del row[of]
            rest -= times * its_rest
        else:
            if rest % PRIME:
                return None
    values: list[int] = []
    for unknown in range(len(numbers)):  # one that no row is solved for may be anything: 0
        row, rest = rows.get(unknown, ({}, 0))
        rest -= sum(factor * values[of] for of, factor in row.items() if of != unknown)
        values.append((rest + MOST) % PRIME - MOST)
    if any(abs(value) > MOST for value in values):
        return None
    table = {window: values[number] for window, number in numbers.items()}
    return (
        Digits(reach, depth, table) if all(total == sum_of(word, reach, depth, table) for word, total in samples.items()) else None
    )


def sum_of(word: tuple[Letter, ...], reach: int, depth: int, table: dict[tuple[int, Window], int]) -> int:
    """The sum that a word stands for."""
    return sum(table[window] << max(0, slot - depth) for slot, window in enumerate(windows(word, reach, depth)))
