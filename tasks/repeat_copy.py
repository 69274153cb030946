"""Repeat copy (Graves et al. 2014, section 4.2): write a sequence out as often as asked, then mark the end.

Width 2, the vectors 10 and 01, two repeats. After the vectors one tick carries the delimiter (third channel) and the
number of repeats (fourth), normalised to mean 0 and variance 1; the last output channel is the end marker:

    tick      0     1     2      3    4    5    6    7
    inputs    1000  0100  001c   0000 0000 0000 0000 0000
    targets   -     -     -      100  010  100  010  001
    mask      0     0     0      1    1    1    1    1

With `protocol` "clocked" the environment counts: the fourth channel is a flag on the last tick of every copy that another one
follows. Where no flag comes when all vectors are said, the end marker is due:

    inputs    1000  0100  0010   0000 0001 0000 0000 0000
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Literal, Self

import numpy as np
import torch
from pydantic.dataclasses import dataclass
from torch import Tensor

from tasks.base import Batch, Task, only_row, text
from tasks.copy import blended, drawn
from tasks.fields import STRICT, Count, Counts, Fraction, Range

BUCKETS = 4
"""Training sequences drawn for each one that is used."""


@dataclass(frozen=True, config=STRICT)
class RepeatCopy(Task):
    """`width`-bit vectors, `lengths` of them, repeated `repeats` times; Graves trains on 1 to 10 of both.

    The count is always normalised by the repeats of training, `normal_repeats`, so a larger count reads as a larger number.
    `mixed_density` is task copy's.
    """

    lengths: Range = (1, 10)
    val_lengths: Counts = (1, 3, 6, 10)
    test_lengths: Counts = (5, 10, 20, 50)
    probe_length: Count = 4
    width: Count = 8
    repeats: Range = (1, 10)
    normal_repeats: Range = (1, 10)
    protocol: Literal["counted", "clocked"] = "counted"
    mixed_density: Fraction = 0.0

    @property
    def inputs(self) -> int:
        return self.width + 2

    @property
    def control(self) -> tuple[int, ...]:
        return (self.width, self.width + 1)

    @property
    def outputs(self) -> int:
        return self.width + 1

    def ticks(self, length: int) -> int:
        return length + 1 + length * self.repeats[1] + 1

    def room(self, length: int) -> int:
        return 2 * length + 4  # twice: vectors and count may stand on either side of where writing began

    def normalise(self, repeats: np.ndarray) -> np.ndarray:
        """Counts as the network sees them: mean 0 and variance 1 over a uniform draw from `normal_repeats`."""
        low, high = self.normal_repeats
        deviation = np.sqrt(((high - low + 1) ** 2 - 1) / 12) or 1.0
        return (repeats - (low + high) / 2) / deviation

    def counts(self) -> dict[int, float]:
        """All numbers of copies that may be asked for, as the network sees them."""
        repeats = np.arange(self.repeats[0], self.repeats[1] + 1)
        return dict(zip(repeats.tolist(), self.normalise(repeats).astype(np.float32).tolist()))

    def staged(self, stage: int) -> Self:
        """At most `stage` repeats, of all lengths: few vectors alone need no memory worth the name."""
        return replace(self, repeats=(min(self.repeats[0], stage), min(self.repeats[1], stage)))

    def batch(self, seed: int, split: str, index: int, size: int, lengths: tuple[int, int] | None = None) -> Batch:
        """As every task's, but the rows of a training batch last about equally long, or most of its ticks would be padding.

        `BUCKETS` times as many sequences are drawn as are needed, and ordered by their ticks; the batch is one of the buckets.
        """
        if split != "train":
            return super().batch(seed, split, index, size, lengths)
        random = np.random.default_rng([seed, index])
        vectors, repeats = (random.integers(low, high + 1, BUCKETS * size) for low, high in (self.lengths, self.repeats))
        bucket = np.argsort(vectors * (repeats + 1)).reshape(BUCKETS, size)[random.integers(BUCKETS)]
        return self.repeated([self.vectors(random, length, split) for length in vectors[bucket].tolist()], repeats[bucket])

    def sequence(self, random: np.random.Generator, length: int, split: str):
        return only_row(self.draw(random, [length], split))

    def draw(self, random: np.random.Generator, lengths: list[int], split: str) -> Batch:
        """Each row's number of copies, then its vectors, all written out at once."""
        low, high = self.repeats
        parts = [(random.integers(low, high + 1), self.vectors(random, length, split)) for length in lengths]
        return self.repeated([vectors for _, vectors in parts], np.array([repeats for repeats, _ in parts]))

    def vectors(self, random: np.random.Generator, length: int, split: str) -> np.ndarray:
        """`length` random vectors, [length, width]."""
        if split == "train" and self.mixed_density:
            return blended(drawn(random, length, self.width), self.mixed_density)
        return random.integers(0, 2, length * self.width).reshape(length, self.width)

    def repeated(self, rows: Sequence[np.ndarray], repeats: np.ndarray) -> Batch:
        """Sequences of `rows`, vectors [L width] each, said as often as `repeats` [B] asks, then the end marker."""
        lengths = np.array([len(vectors) for vectors in rows])
        ticks = lengths + 1 + lengths * repeats + 1
        n, end, row, t = lengths[:, None], ticks[:, None] - 1, np.arange(len(rows)), np.arange(ticks.max())
        inputs, targets = (np.zeros((len(rows), len(t), width), np.float32) for width in (self.inputs, self.outputs))
        for given, vectors in zip(inputs, rows):
            given[: len(vectors), : self.width] = vectors
        inputs[row, lengths, self.width] = 1
        if self.protocol == "counted":
            inputs[row, lengths, self.width + 1] = self.normalise(repeats)
        else:
            inputs[..., self.width + 1] = (t >= 2 * n) & (t % n == 0) & (t < end - 1)
        answers, said = np.nonzero((t > n) & (t < end))
        source = (said - lengths[answers] - 1) % lengths[answers]
        targets[answers, said, : self.width] = inputs[answers, source, : self.width]
        targets[row, ticks - 1, self.width] = 1
        mask = ((t > n) & (t <= end)).astype(np.float32)
        return Batch(*map(torch.from_numpy, (inputs, targets, mask, ticks)))

    def show(self, inputs: Tensor, outputs: Tensor) -> str:
        length = int(inputs[:, self.width].argmax())
        repeats = self.asked(inputs[:, self.width + 1], length)
        end = length + 1 + length * repeats
        asked, answer = text(inputs[:length, : self.width]), outputs[length + 1 : end + 1]
        copies = [text(answer[k * length : (k + 1) * length, : self.width]) for k in range(repeats)]
        marks = [int(mark) for mark in answer[:, self.width].tolist()]
        right = all(copy == asked for copy in copies) and marks == [0] * (length * repeats) + [1] and not answer[-1, :-1].any()
        return f"{repeats} x ({asked}) -> {' | '.join(copies)} {'ok' if right else 'wrong'}"

    def asked(self, channel: Tensor, length: int) -> int:
        """How many copies are asked for: the inverse of what the last channel [T] says."""
        if self.protocol == "clocked":
            return 1 + int(channel.sum())
        given, counts = float(channel[length]), self.counts()
        return min(counts, key=lambda repeats: abs(counts[repeats] - given))
