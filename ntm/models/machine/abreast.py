"""Many rows of one length abreast: the same decisions as one row after the other, a tick of all rows by a few calls of numpy.

What a tick depends on is one whole number for each row, found among those that were met before.

Letters: B batch, T ticks, H heads, W offsets, N slots, K decisions.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from ntm.models.machine.lookup import Code, Configuration, Decision, Ring, Shape, pairs

LEAST = 16
"""Rows from which on it is faster."""

FEW = 12
"""Channels of inputs up to which bits on them are counted through."""

MOST_BITS = 62
"""Of the number that a tick depends on."""

CONTENTS, AWAY = 10, 7
"""Bits of the number of a slot's content, of a register's and of a tick's inputs, at least; and of how far from home a head is."""


class Ends(NamedTuple):
    """What a run leaves."""

    path: np.ndarray  # [B T], the number of each decision
    configurations: list[Configuration]  # [B]


def fits(shape: Shape, inputs: np.ndarray, lasts: list[int]) -> bool:
    """Whether rows of inputs [B T I] can be run so: there are many, as long as each other, and a key is not too long."""
    return len(inputs) >= LEAST and set(lasts) == {inputs.shape[1]} and bits_of_code(shape) >= CONTENTS


def bits_of_code(shape: Shape) -> int:
    """How long the numbers of codes may be in a key: it has one of the inputs, of the register and of every slot seen."""
    codes = 2 + shape.heads * len(shape.offsets)
    return (MOST_BITS - AWAY * shape.heads - len(pairs(shape))) // codes


class Numbers(dict[Code, int]):
    """Codes by their numbers of so many bits, in the order in which they were met."""

    def __init__(self, bits: int):
        super().__init__()
        self.bits = bits

    def __missing__(self, code: Code) -> int:
        self[code] = number = len(self)
        if number >> self.bits:
            raise OverflowError("more codes than a key has room for")
        return number


class Abreast:
    """Decisions as arrays; `decide` makes them from keys, each once."""

    def __init__(self, shape: Shape, decide: Callable[[list[tuple]], list[Decision]]):
        self.shape, self.decide = shape, decide
        self.bits = bits_of_code(shape)
        self.codes = Numbers(self.bits)  # of slots and of registers
        self.given = Numbers(self.bits)  # inputs of a tick
        self.keys = np.empty(0, np.int64)  # [K], ascending
        self.rows = np.empty(0, np.int64)  # [K], the row of each in `table`
        self.table = np.empty((0, 2 + 2 * shape.heads), np.int64)  # number, register, and each head's content and move

    def run(self, inputs: np.ndarray, ring: Ring, configurations: list[Configuration]) -> Ends:
        """All rows of inputs [B T I] from their configurations; raises OverflowError where there are too many codes."""
        heads, tapes = range(self.shape.heads), self.shape.tapes
        number = self.codes
        begun = {id(now): now for now in configurations}  # mostly one
        place = {key: n for n, key in enumerate(begun)}
        which = [place[id(now)] for now in configurations]
        register = np.array([number[now.register] for now in begun.values()])[which]
        at = np.array([now.at for now in begun.values()])[which]
        tape = np.array([[[number[code] for code in one] for one in now.tapes] for now in begun.values()])[which]
        beside, away, goes = (np.array(part) for part in ring)
        row, path = np.arange(len(inputs)), np.empty(inputs.shape[:2], np.int64)
        given = self.numbered(inputs)
        for t in range(inputs.shape[1]):
            places = [at[:, h] for h in heads]
            parts = [(register, self.bits), *((away[h][places[h]], AWAY) for h in heads)]
            parts += [(tape[row, h % tapes, offset[places[h]]], self.bits) for h in heads for offset in beside]
            parts += [((places[a] == places[b]).astype(np.int64), 1) for a, b in pairs(self.shape)]
            found = self.look_up(inputs[:, t], [(given[:, t], self.bits), *parts])
            path[:, t], register = found[:, 0], found[:, 1]
            for h in heads:
                tape[row, h % tapes, places[h]] = found[:, 2 + 2 * h]
                at[:, h] = goes[h][found[:, 3 + 2 * h], places[h]]
        code = list(number)
        ends = zip(register.tolist(), at.tolist(), tape.tolist())
        return Ends(path, [Configuration(code[now], where, [[code[n] for n in one] for one in held]) for now, where, held in ends])

    def numbered(self, inputs: np.ndarray) -> np.ndarray:
        """The number of each tick's inputs, [B T]."""
        rows = np.ascontiguousarray(inputs, np.float32)
        if rows.shape[2] <= FEW and (rows == rows.astype(bool)).all():  # nothing to sort
            place = np.arange(rows.shape[2])
            which = rows.astype(np.int64) @ (1 << place)
            there = np.flatnonzero(np.bincount(which.ravel()))
            number = np.zeros(there[-1] + 1, np.int64)
            number[there] = [self.given[one.tobytes()] for one in (there[:, None] >> place & 1).astype(np.float32)]
            return number[which]
        different, which = np.unique(rows.view(f"V{rows[0, 0].nbytes}"), return_inverse=True)
        return np.array([self.given[one.tobytes()] for one in different])[which].reshape(inputs.shape[:2])

    def look_up(self, inputs: np.ndarray, parts: list[tuple[np.ndarray, int]]) -> np.ndarray:
        """Decisions [B, 2 + 2H] on inputs [B I], by the parts of a key, each [B] with its bits; the inputs' number comes first."""
        keys = np.zeros(len(inputs), np.int64)
        for part, bits in parts:
            keys = keys << bits | part
        place = np.searchsorted(self.keys, keys).clip(max=len(self.keys) - 1)
        known = self.keys[place] == keys if len(self.keys) else np.zeros(len(keys), bool)
        if not known.all():
            fresh, first = np.unique(keys[~known], return_index=True)
            asked = np.flatnonzero(~known)[first]
            self.take_up(fresh, inputs[asked], [part[asked] for part, _ in parts[1:]])
            place = np.searchsorted(self.keys, keys)
        return self.table[self.rows[place]]

    def take_up(self, fresh: np.ndarray, inputs: np.ndarray, parts: list[np.ndarray]) -> None:
        """Take up decisions on keys that are new."""
        heads, code = self.shape.heads, list(self.codes)
        last = 1 + heads * (1 + len(self.shape.offsets))
        flats = []
        for given, (register, *rest) in zip(np.ascontiguousarray(inputs, np.float32), zip(*(part.tolist() for part in parts))):
            seen, met = [code[n] for n in rest[heads : last - 1]], map(bool, rest[last - 1 :])
            flats.append((given.tobytes(), code[register], *rest[:heads], *seen, *met))
        rows = []
        for number, register, *acts in self.decide(flats):
            written = [part if n % 2 else self.codes[part] for n, part in enumerate(acts)]
            rows.append([number, self.codes[register], *written])
        keys, rows_of = np.concatenate([self.keys, fresh]), np.concatenate([self.rows, len(self.table) + np.arange(len(fresh))])
        order = np.argsort(keys)
        self.keys, self.rows = keys[order], rows_of[order]
        self.table = np.concatenate([self.table, np.array(rows, np.int64)])
