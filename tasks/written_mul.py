"""Multiplication as the Neural GPU's authors write it (Kaiser & Sutskever 2015, section 3): side by side, all seen at once.

The bits of a, a sign, the bits of b, least significant first, one symbol a tick; the product's bits are due from the first tick
on, before all has been read: only a model that sees the whole sequence before it answers can be right. 3 x 1 = 3 with n = 2:

    tick      0   1   2   3   4
    symbol    1   1   x   1   0
    0 1 x     010 010 001 010 100
    product   1   1   0   0   -
    mask      1   1   1   1   0
"""

import numpy as np
from pydantic.dataclasses import dataclass
from torch import Tensor

from tasks.binary_add import bits, number
from tasks.fields import STRICT, Count, Counts, Range
from tasks.operands import Arithmetic


@dataclass(frozen=True, config=STRICT)
class WrittenMul(Arithmetic):
    """Two operands of `lengths` bits each, in 2n + 1 ticks; in a batch all have as many, or much of it would be padding."""

    lengths: Range = (1, 20)
    val_lengths: Counts = (20, 40)
    test_lengths: Counts = (20, 40, 100)
    probe_length: Count = 8

    inputs, outputs, mixed = 3, 1, False
    control = (2,)

    def ticks(self, length: int) -> int:
        return 2 * length + 1

    def sequence(self, random: np.random.Generator, length: int, split: str):
        a, b = self.pair(random, length, split)
        symbols = np.concatenate([bits(a, length), [2], bits(b, length)])
        return np.eye(3)[symbols], bits(a * b, 2 * length + 1)[:, None], np.arange(2 * length + 1) < 2 * length

    def show(self, inputs: Tensor, outputs: Tensor) -> str:
        length = int(inputs[:, 2].argmax())
        a, b = (number(inputs[start : start + length, 1]) for start in (0, length + 1))
        answer = number(outputs[: 2 * length, 0])
        return f"{a:0{length}b} x {b:0{length}b} = {answer:0{2 * length}b} {'ok' if answer == a * b else 'wrong'}"
