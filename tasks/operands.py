"""Sets of pairs of numbers to add or to multiply, by name: what a machine may be right on, and wrong on the next.

Each set is a pure function of numpy's generator and a length: two Python integers of at most so many bits.
"""

from bisect import bisect_right
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import product
from typing import Annotated, Self

import numpy as np
from pydantic import AfterValidator
from pydantic.dataclasses import dataclass

from tasks.base import Task
from tasks.fields import STRICT

Pair = tuple[int, int]

KINDS = {"uniform": 0.5, "dense": 0.3, "ones": 0.08, "power": 0.05, "alternating": 0.05, "zero": 0.02}
"""Kinds of operands of the set `mixed`, and how often they are drawn."""

BELOW = (np.cumsum(list(KINDS.values())) / np.sum(list(KINDS.values()))).tolist()


def operand(random: np.random.Generator, length: int) -> int:
    """A random number of at most `length` bits.

    Half of them are uniform. The others have any density of ones, or are all ones, a power of two, alternating or zero:
    uniform bits alone hardly ever contain a long carry.
    """
    kind = list(KINDS)[bisect_right(BELOW, random.random())]
    density = random.random() if kind == "dense" else 0.5
    drawn = random.random(length) < density
    place = one_of(random, length)
    match kind:
        case "ones":
            return all_ones(length)
        case "power":
            return 1 << place
        case "alternating":
            return every_other(length, place)
        case "zero":
            return 0
    return of_bits(drawn)


def one_of(random: np.random.Generator, count: int) -> int:
    """A number below `count`, as Python's: numpy's would overflow where it is shifted."""
    return int(random.integers(count))


def of_bits(bits: np.ndarray) -> int:
    """The integer of truth values [L], least significant first."""
    return int.from_bytes(np.packbits(bits, bitorder="little"), "little")


def all_ones(length: int) -> int:
    """The largest number of so many bits."""
    return (1 << length) - 1


def every_other(length: int, first: int) -> int:
    """...0101 where `first` is even, ...1010 where it is odd."""
    return all_ones(length + length % 2) // 3 << first % 2 & all_ones(length)


def number_of(random: np.random.Generator, length: int) -> int:
    """Any number of at most `length` bits, all alike."""
    return of_bits(random.random(length) < 0.5)


def few_ones(random: np.random.Generator, length: int) -> int:
    """A number of at least one 1, in at most an eighth of its bits."""
    bits = np.zeros(length, bool)
    bits[random.choice(length, 1 + one_of(random, max(1, length // 8)), replace=False)] = True
    return of_bits(bits)


def turned(random: np.random.Generator, a: int, b: int) -> Pair:
    """The pair, or the other way round."""
    return (b, a) if one_of(random, 2) else (a, b)


def carries(random: np.random.Generator, length: int) -> Pair:
    """A pair in whose sum, or in the sums that make its product, a carry runs as far as it can.

    The sum of an odd number and its negative modulo 2^length is a carry through every bit. A product adds a, shifted, for each 1
    of b: carries run far where a is all ones, where three times a is, and where the product is to be 1 modulo 2^length.
    """
    whole, ones = 1 << length, all_ones(length)
    odd, few = number_of(random, length) | 1, number_of(random, min(length, 8)) | 1
    a, b = (all_ones(1 + one_of(random, length)) for _ in range(2))
    pairs = (
        (ones, ones),
        (ones, odd),
        (a, b),
        (a, 1),
        (every_other(length, 0), ones),
        (pow(few, -1, whole), few),
        (odd, whole - odd),
    )
    return pairs[one_of(random, len(pairs))]


def unequal(random: np.random.Generator, length: int) -> Pair:
    """A number of `length` bits and one of at most a quarter as many, both with a 1 on top."""
    short = 1 + one_of(random, max(1, length // 4))
    return turned(random, *(number_of(random, size) | 1 << size - 1 for size in (length, short)))


SETS: dict[str, Callable[[np.random.Generator, int], Pair]] = {
    "mixed": lambda random, length: (operand(random, length), operand(random, length)),
    "uniform": lambda random, length: (number_of(random, length), number_of(random, length)),
    "sparse": lambda random, length: (few_ones(random, length), few_ones(random, length)),
    "dense": lambda random, length: (all_ones(length) ^ few_ones(random, length), all_ones(length) ^ few_ones(random, length)),
    "ones": lambda random, length: (all_ones(length), all_ones(length)),
    "powers": lambda random, length: (1 << one_of(random, length), 1 << one_of(random, length)),
    "alternating": lambda random, length: (every_other(length, one_of(random, 2)), every_other(length, one_of(random, 2))),
    "small": lambda random, length: turned(random, one_of(random, 2), operand(random, length)),
    "carries": carries,
    "unequal": unequal,
}
"""Every set of pairs by its name: a new one is a row here."""


def known(name: str) -> str:
    """The name of a set, checked; raises ValueError where there is no such set."""
    if name not in SETS:
        raise ValueError(f"no such set of operands; allowed: {', '.join(SETS)}")
    return name


Operands = Annotated[str, AfterValidator(known)]


AT_ONCE = 1024
"""Pairs of a batch, where every pair is asked for."""


def all_pairs(most: int) -> Iterator[tuple[int, list[Pair]]]:
    """Every pair of numbers of 1 to `most` bits, a batch at a time, with their length."""
    for length in range(1, most + 1):
        pairs = list(product(range(1 << length), range(1 << length)))
        for first in range(0, len(pairs), AT_ONCE):
            yield length, pairs[first : first + AT_ONCE]


@dataclass(frozen=True, config=STRICT)
class Arithmetic(Task):
    """Base of tasks about two numbers, drawn from the set `operands`; in training from `train_operands`, where there are such."""

    operands: Operands = "mixed"
    train_operands: Operands | None = None

    def pair(self, random: np.random.Generator, length: int, split: str) -> Pair:
        """Two numbers of at most `length` bits."""
        return SETS[(split == "train" and self.train_operands) or self.operands](random, length)

    def of(self, operands: str) -> Self:
        """This task with numbers from another set."""
        return replace(self, operands=operands)
