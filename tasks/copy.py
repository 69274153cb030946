"""Copy (Graves et al. 2014, section 4.1): see a sequence of bit vectors, then write it out again.

Width 3, length 2, the vectors 101 and 011; the fourth input channel is the delimiter, mask marks the ticks scored:

    tick      0    1    2    3    4
    inputs    1010 0110 0001 0000 0000
    targets   -    -    -    101  011
    mask      0    0    0    1    1
"""

from collections.abc import Sequence

import numpy as np
import torch
from pydantic.dataclasses import dataclass
from torch import Tensor

from tasks.base import Batch, Task, only_row, text
from tasks.fields import STRICT, Count, Counts, Fraction, Range


@dataclass(frozen=True, config=STRICT)
class Copy(Task):
    """`width`-bit random vectors, `lengths` of them; Graves trains on 1 to 20.

    In training, a share `mixed_density` of the vectors has a share of ones of its own, drawn from 0 to 1: among uniform
    vectors of 8 bits one in 256 is all zeros, too rare to learn that it is no sign of the answer's beginning.
    """

    lengths: Range = (1, 20)
    val_lengths: Counts = (1, 20, 120)
    test_lengths: Counts = (20, 50, 100, 200)
    probe_length: Count = 12
    width: Count = 8
    mixed_density: Fraction = 0.25

    @property
    def inputs(self) -> int:
        return self.width + 1

    @property
    def control(self) -> tuple[int, ...]:
        return (self.width,)

    @property
    def outputs(self) -> int:
        return self.width

    def ticks(self, length: int) -> int:
        return 2 * length + 1

    def sequence(self, random: np.random.Generator, length: int, split: str):
        return only_row(self.draw(random, [length], split))

    def draw(self, random: np.random.Generator, lengths: list[int], split: str) -> Batch:
        vectors, ends = self.vectors(random, lengths, split), np.array(lengths)[:, None]
        tick = np.arange(2 * max(lengths) + 1)
        inputs, targets = (np.zeros((len(lengths), len(tick), width), np.float32) for width in (self.inputs, self.width))
        mask = (tick > ends) & (tick <= 2 * ends)
        inputs[tick < ends, : self.width] = targets[mask] = vectors
        inputs[tick == ends, self.width] = 1
        columns = (torch.from_numpy(column) for column in (inputs, targets, mask.astype(np.float32), 2 * ends[:, 0] + 1))
        return Batch(*columns)

    def vectors(self, random: np.random.Generator, lengths: list[int], split: str) -> np.ndarray:
        """The vectors of all rows, one after another: [sum of lengths, width]."""
        if split != "train":
            return np.concatenate([random.integers(0, 2, (length, self.width)) for length in lengths])
        parts = zip(*(drawn(random, length, self.width) for length in lengths))
        return blended([np.concatenate(part) for part in parts], self.mixed_density)

    def show(self, inputs: Tensor, outputs: Tensor) -> str:
        length = int(inputs[:, self.width].argmax())
        asked = text(inputs[:length, : self.width])
        answer = text(outputs[length + 1 : 2 * length + 1])
        return f"{asked} -> {answer} {'ok' if asked == answer else 'wrong'}"


def drawn(random: np.random.Generator, length: int, width: int) -> tuple[np.ndarray, ...]:
    """What `length` vectors are blended of: uniform bits, whether a vector has a density of its own, draws of its bits, density."""
    uniform = random.integers(0, 2, (length, width))
    return uniform, random.random((length, 1)), random.random((length, width)), random.random((length, 1))


def blended(parts: Sequence[np.ndarray], share: float) -> np.ndarray:
    """Vectors of such parts, of which a share has a density of its own."""
    uniform, mixed, ones, density = parts
    return np.where(mixed < share, ones < density, uniform)
