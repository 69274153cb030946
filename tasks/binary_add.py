"""Serial binary addition: two numbers, least significant bit first, one bit of each a tick; the sum comes out alongside.

3 + 6 = 9 with length 3. Input channels: bit of a, bit of b, "bits present". The last tick asks for the carry:

    tick      0   1   2   3
    a b p     101 111 011 000
    sum bit   1   0   0   1
    mask      1   1   1   1
"""

from collections.abc import Iterable

import numpy as np
import torch
from pydantic.dataclasses import dataclass
from torch import Tensor

from tasks.base import Batch, only_row
from tasks.fields import STRICT, Count, Counts, Range
from tasks.operands import Arithmetic


@dataclass(frozen=True, config=STRICT)
class BinaryAdd(Arithmetic):
    """Two operands of `lengths` bits each."""

    lengths: Range = (1, 16)
    val_lengths: Counts = (16, 64)
    test_lengths: Counts = (16, 64, 256)
    probe_length: Count = 16

    inputs, outputs = 3, 1
    control = (2,)

    def ticks(self, length: int) -> int:
        return length + 1

    def room(self, length: int) -> int:
        return 2

    def sequence(self, random: np.random.Generator, length: int, split: str):
        return only_row(self.draw(random, [length], split))

    def draw(self, random: np.random.Generator, lengths: list[int], split: str) -> Batch:
        longest, ends = max(lengths), np.array(lengths)[:, None]
        pairs = [self.pair(random, length, split) for length in lengths]
        a, b = np.array(pairs, dtype=integers(longest + 1)).T
        place = np.arange(longest + 1)
        bits_of_both = (rows_of_bits(numbers, len(place)) for numbers in (a, b))
        inputs = np.stack([*bits_of_both, place < ends], axis=-1, dtype=np.float32, casting="unsafe")
        targets = rows_of_bits(a + b, len(place))[..., None].astype(np.float32)
        mask = (place <= ends).astype(np.float32)
        return Batch(*map(torch.from_numpy, (inputs, targets, mask, ends[:, 0] + 1)))

    def show(self, inputs: Tensor, outputs: Tensor) -> str:
        length = int(inputs[:, 2].sum())
        a, b = number(inputs[:length, 0]), number(inputs[:length, 1])
        answer = number(outputs[: length + 1, 0])
        return f"{a:0{length}b} + {b:0{length}b} = {answer:0{length + 1}b} {'ok' if answer == a + b else 'wrong'}"


def integers(most: int) -> np.dtype:
    """The kind of an array's numbers of at most so many bits: numpy's, or where those are too small Python's."""
    return np.dtype(np.int64 if most < 63 else object)


def bits(value: int, length: int) -> np.ndarray:
    """The `length` lowest bits [L] of a Python integer, least significant first."""
    return rows_of_bits([value], length)[0]


def rows_of_bits(values: Iterable[int] | np.ndarray, length: int) -> np.ndarray:
    """The `length` lowest bits of every integer of any size, least significant first: [V L]."""
    if isinstance(values, np.ndarray) and values.dtype == np.int64 and length < 64:
        return (values[:, None] >> np.arange(length) & 1).astype(np.uint8)
    size, lowest = -(-length // 8), (1 << length) - 1
    packed = np.frombuffer(b"".join((int(value) & lowest).to_bytes(size, "little") for value in values), np.uint8)
    return np.unpackbits(packed.reshape(-1, size), axis=1, count=length, bitorder="little")


def number(bits: Tensor) -> int:
    """The Python integer of bits [L], least significant first."""
    return sum(int(bit) << i for i, bit in enumerate(bits.tolist()))
