"""Bit-serial binary multiplication by the protocol of a serial-parallel multiplier, least significant bit first.

First a is loaded, one bit a tick, under the load flag. Then come 2n sweeps of n + 2 ticks: the start flag on tick 0, bit j
of b held on the data line throughout sweep j (0 once j >= n). Bit j of the product is due on tick 2 of sweep j.
Two operands of n bits take n + 2n(n + 2) ticks. 3 x 1 = 3 with n = 2 (channels: data, load, start):

    tick       0   1  | 2   3   4   5  | 6   7   8   9  | 10  11  12  13 | 14  15  16  17
    inputs     110 110| 101 100 100 100| 001 000 000 000| 001 000 000 000| 001 000 000 000
    product    -   -  | -   -   1   -  | -   -   1   -  | -   -   0   -  | -   -   0   -
    running    -   -  | -   -   1   1  | -   -   1   0  | -   -   0   0  | -   -   0   0

What the loss sees is `supervision`: "product" is the product bits only; "running_product" also the rest of the partial
product, bit j + i of a * (b mod 2^(j+1)) on tick 2 + i of sweep j, for i < n. "echo" is another task on the same channels,
repeat copy: bit i of a comes back on tick 2 + i of every sweep, whatever b is; it shows how to load and to sweep, and nothing
of a product. Validation and test always score the product alone.

With `protocol` "once" the environment gives each bit once and no clock: a_i and b_i on tick i, a delimiter on tick n, then nothing.
What is due is due on the same ticks; channels are a, b, delimiter:

    inputs     110 100| 001 000 000 000| 000 000 000 000| 000 000 000 000| 000 000 000 000
"""

from collections.abc import Iterator
from dataclasses import replace
from typing import Annotated, ClassVar, Literal, Self

import numpy as np
import torch
from pydantic import Field
from pydantic.dataclasses import dataclass
from torch import Tensor

from tasks.base import Batch, only_row
from tasks.binary_add import bits, integers, number, rows_of_bits
from tasks.fields import STRICT, Count, Counts, Range
from tasks.operands import Arithmetic, all_pairs


@dataclass(frozen=True, config=STRICT)
class BinaryMul(Arithmetic):
    """Two operands of `lengths` bits each; a batch has one length, for the ticks grow with its square.

    `sweeps` keeps only the first sweeps of every sequence. A run is over when every pair of up to `every_pair` bits is right, too.
    """

    lengths: Range = (1, 8)
    val_lengths: Counts = (8, 16, 32)  # what is right at 16 bits may drift at 32
    test_lengths: Counts = (4, 8, 16, 32)
    probe_length: Count = 4
    protocol: Literal["clocked", "once"] = "clocked"
    supervision: Literal["product", "running_product", "echo"] = "product"
    sweeps: Count | None = None
    every_pair: Annotated[int, Field(ge=0, le=8)] = 8

    mixed: ClassVar[bool] = False

    @property
    def inputs(self) -> int:
        return 3

    @property
    def outputs(self) -> int:
        return 1

    @property
    def control(self) -> tuple[int, ...]:
        return (1, 2) if self.protocol == "clocked" else (2,)

    @property
    def claim(self) -> str:
        return self.supervision

    def ticks(self, length: int) -> int:
        return length + self.swept(length) * (length + 2)

    def swept(self, length: int) -> int:
        """Sweeps that a sequence of this length has."""
        return min(2 * length, self.sweeps or 2 * length)

    def room(self, length: int) -> int:
        return length + 8  # a sweep may begin before the first bit and end behind the last

    def staged(self, stage: int) -> Self:
        """Of products alone, operands of `stage` bits; otherwise the first `stage` sweeps of every sequence.

        One sweep of eight bits asks for a tape, which all sweeps of two bits do not: those fit a few bits of state.
        """
        return replace(self, lengths=(stage, stage)) if self.supervision == "product" else replace(self, sweeps=stage)

    def sequence(self, random: np.random.Generator, length: int, split: str):
        return only_row(self.draw(random, [length], split))

    def draw(self, random: np.random.Generator, lengths: list[int], split: str) -> Batch:
        length = lengths[0]
        return self.posed([self.pair(random, length, split) for _ in lengths], length, split)

    def every(self) -> Iterator[tuple[int, Batch]]:
        for length, pairs in all_pairs(self.every_pair):
            yield length, self.posed(pairs, length, "val")

    def posed(self, pairs: list[tuple[int, int]], length: int, split: str) -> Batch:
        """These pairs of operands, each of at most `length` bits."""
        size = len(pairs)
        kind = integers(2 * length)
        a, b = np.array(pairs, dtype=kind).T
        sweep = np.arange(self.swept(length), dtype=kind)
        inputs = np.zeros((size, self.ticks(length), 3), np.float32)
        targets, mask = np.zeros((2, size, self.ticks(length), 1), np.float32)
        inputs[:, :length, 0], inputs[:, :length, 1] = rows_of_bits(a, length), 1
        sweeps, answers, due = (part[:, length:].reshape(size, len(sweep), length + 2, -1) for part in (inputs, targets, mask))
        sweeps[..., 0] = rows_of_bits(b, len(sweep))[:, :, None]
        sweeps[:, :, 0, 2] = 1
        answer = a[:, None] * (b[:, None] % (1 << sweep + 1)) >> sweep
        if self.supervision == "echo" and split == "train":
            answer = np.broadcast_to(a[:, None], answer.shape)
        answers[:, :, 2:, 0] = rows_of_bits(answer.flatten(), length).reshape(size, len(sweep), length)
        due[:, :, 2:] = 1
        if self.supervision == "product" or split != "train":
            due[:, :, 3:] = 0
        if self.protocol == "once":
            inputs[:, :length, 1], inputs[:, length:] = rows_of_bits(b, length), 0
            inputs[:, length, 2] = 1
        ticks = torch.full((size,), self.ticks(length))
        return Batch(torch.from_numpy(inputs), torch.from_numpy(targets), torch.from_numpy(mask[..., 0]), ticks)

    def in_pieces(self, a: int, b: int, length: int, size: int) -> Iterator[Batch]:
        """`posed` as a test of one pair, in pieces of whole sweeps, of about `size` ticks: never all in memory at once."""
        count = self.swept(length)
        held, product, at_once = bits(b, count), bits(a * b, count), max(1, size // (length + 2))
        loading = torch.zeros(1, length, 3)
        loading[0, :, 0], loading[0, :, 1] = torch.from_numpy(bits(a, length)), 1
        if self.protocol == "once":
            loading[0, :, 1] = torch.from_numpy(bits(b, length))
        yield Batch(loading, torch.zeros(1, length, 1), torch.zeros(1, length), torch.tensor([length]))
        for first in range(0, count, at_once):
            now = slice(first, first + at_once)
            inputs, answers, due = (torch.zeros(1, len(held[now]), length + 2, width) for width in (3, 1, 1))
            answers[0, :, 2, 0] = torch.from_numpy(product[now])
            due[:, :, 2] = 1
            if self.protocol == "clocked":
                inputs[0, :, :, 0] = torch.from_numpy(held[now])[:, None]
                inputs[:, :, 0, 2] = 1
            elif first == 0:
                inputs[:, 0, 0, 2] = 1
            whole = [part.flatten(1, 2) for part in (inputs, answers, due)]
            yield Batch(whole[0], whole[1], whole[2][..., 0], torch.tensor([whole[0].shape[1]]))

    def show(self, inputs: Tensor, outputs: Tensor) -> str:
        once = self.protocol == "once"
        length = int(inputs[:, 2].argmax() if once else inputs[:, 1].sum())
        end = length + 2 * length * (length + 2)
        line = inputs[length:end, 0].reshape(2 * length, length + 2)
        a, b = number(inputs[:length, 0]), number(inputs[:length, 1] if once else line[:length, 0])
        answer = number(outputs[length:end, 0].reshape(2 * length, length + 2)[:, 2])
        return f"{a:0{length}b} x {b:0{length}b} = {answer:0{2 * length}b} {'ok' if answer == a * b else 'wrong'}"
