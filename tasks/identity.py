"""Identity: a number in, the same number out, in a range and beyond it (Trask et al. 2018, arXiv 1808.00508, section 1.1).

What a network of nonlinear units has learned of it ends with the range of the training. The length L is the range [-L, L].
"""

import numpy as np
from pydantic.dataclasses import dataclass
from torch import Tensor

from tasks.base import Batch
from tasks.fields import STRICT, Count, Counts, Positive, Range
from tasks.numbers import Numbers
from tasks.one_tick import OneTick, one_tick


@dataclass(frozen=True, config=STRICT)
class Identity(OneTick, Numbers):
    """Numbers drawn uniformly from -L to L, L from `lengths`; an answer is right within `tolerance` of its number."""

    lengths: Range = (5, 5)
    val_lengths: Counts = (5,)
    test_lengths: Counts = (5, 10, 20)
    probe_length: Count = 5
    tolerance: Positive = 0.1

    inputs = 1

    def drawn(self, random: np.random.Generator, length: int, count: int, split: str) -> np.ndarray:
        return random.uniform(-length, length, (count, 1))

    def posed(self, drawn: np.ndarray) -> Batch:
        return one_tick(drawn, drawn)

    def show(self, inputs: Tensor, outputs: Tensor) -> str:
        number = inputs[0, 0].item()
        return f"{number:.6g} -> {self.verdict(outputs[0, 0].item(), number)}"
