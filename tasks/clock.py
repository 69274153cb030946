"""The clock of a multiplier: what task binary_mul's environment gives tick by tick, from operands that are given once.

What comes in is binary_mul's protocol "once", and the load and start flags that the clock has said a tick before; what is due
on every tick is what protocol "clocked" gives. Before the first tick it is loading. 3 x 1 with n = 2 (channels: a, b,
delimiter, load and start as they were said; data, load, start):

    tick       0     1    | 2     3     4     5    | 6     7     8     9    | 10 ...
    inputs     11010 10010| 00110 00001 00000 00000| 00000 00001 00000 00000| 00000 ...
    targets    110   110  | 101   100   100   100  | 001   000   000   000  | 001   ...

It is told what it should have said (teacher forcing: Williams & Zipser 1989). A clock that is right on every tick so is right
when it is fed with its own flags, too, as `ntm.multiply clock=` feeds it.
"""

from collections.abc import Iterator
from dataclasses import replace
from typing import Annotated, Self

import numpy as np
import torch
from pydantic import Field
from pydantic.dataclasses import dataclass
from torch import Tensor

from tasks.base import Batch, only_row
from tasks.binary_add import number
from tasks.binary_mul import BinaryMul
from tasks.fields import STRICT, Count, Counts, Range
from tasks.operands import Arithmetic, Pair, all_pairs


@dataclass(frozen=True, config=STRICT)
class Clock(Arithmetic):
    """Two operands of `lengths` bits each, as in task binary_mul, of which `sweeps` and `every_pair` are, too."""

    lengths: Range = (1, 8)
    val_lengths: Counts = (8, 16, 32)
    test_lengths: Counts = (4, 8, 16, 32)
    probe_length: Count = 4
    sweeps: Count | None = None
    every_pair: Annotated[int, Field(ge=0, le=8)] = 5

    mixed = False
    inputs, outputs = 5, 3
    control = (2, 3, 4)
    claim = "clock"

    @property
    def both(self) -> tuple[BinaryMul, BinaryMul]:
        """The multiplication that this is the clock of: as it comes in, and as it is due."""
        return BinaryMul(protocol="once", sweeps=self.sweeps), BinaryMul(sweeps=self.sweeps)

    def ticks(self, length: int) -> int:
        return self.both[1].ticks(length)

    def room(self, length: int) -> int:
        return 2 * length + 8  # a head may go on by one slot a sweep

    def staged(self, stage: int) -> Self:
        """The first `stage` sweeps of every sequence: of one alone there is nothing to come back for."""
        return replace(self, sweeps=stage)

    def sequence(self, random: np.random.Generator, length: int, split: str):
        return only_row(self.draw(random, [length], split))

    def draw(self, random: np.random.Generator, lengths: list[int], split: str) -> Batch:
        return self.posed([self.pair(random, lengths[0], split) for _ in lengths], lengths[0])

    def every(self) -> Iterator[tuple[int, Batch]]:
        for length, pairs in all_pairs(self.every_pair):
            yield length, self.posed(pairs, length)

    def posed(self, pairs: list[Pair], length: int) -> Batch:
        """These pairs of operands, each of at most `length` bits."""
        once, clocked = (of.posed(pairs, length, "test") for of in self.both)
        return clocked._replace(inputs=fed(once.inputs, clocked.inputs), targets=clocked.inputs, mask=torch.ones_like(clocked.mask))

    def in_pieces(self, a: int, b: int, length: int, size: int) -> Iterator[Batch]:
        """`posed` of one pair, in pieces of whole sweeps, of about `size` ticks: never all in memory at once."""
        for once, clocked in zip(*(of.in_pieces(a, b, length, size) for of in self.both)):
            inputs = fed(once.inputs, clocked.inputs)
            inputs[:, 0, 3] = max(clocked.inputs[0, 0, 1], once.inputs[0, 0, 2])  # the tick before was one of loading
            yield clocked._replace(inputs=inputs, targets=clocked.inputs, mask=torch.ones_like(clocked.mask))

    def show(self, inputs: Tensor, outputs: Tensor) -> str:
        length = int(inputs[:, 2].argmax())
        a, b = (number(inputs[:length, channel]) for channel in (0, 1))
        due = self.posed([(a, b)], length).targets[0]
        wrong = outputs[: len(due)].ne(due).any(-1).nonzero()
        verdict = f"tick {int(wrong[0])} wrong" if len(wrong) else "all ok"
        return f"{a:0{length}b} x {b:0{length}b}: {int(outputs[: len(due), 2].sum())} sweeps, {verdict}"


def fed(once: Tensor, clocked: Tensor) -> Tensor:
    """Inputs of a clock: what is given once [B T 3], and the flags of a tick before, where `clocked` [B T 3] is said."""
    flags = torch.cat([clocked.new_tensor([1, 0]).expand(len(clocked), 1, 2), clocked[:, :-1, 1:]], 1)
    return torch.cat([once, flags], 2)
