"""The sum of a set of digits, shown one a tick (Zaheer et al. 2017, Deep Sets, arXiv 1703.06114, section 4.1.2).

Trained on at most ten digits and judged on up to a hundred, as there. 3 + 7 + 4 = 14, due with the last digit:

    tick      0   1   2
    digit     3   7   4
    target    -   -   14
    mask      0   0   1

A digit is shown as a `number`, `one_hot`, or as an `image` of 8 x 8 pixels in handwriting: scikit-learn's 1,797 (Alpaydin & Kaynak
1998), of which the last fifth is kept for validation and test. The loss is the mean absolute error, as in the authors' notebook.
"""

from functools import cache
from importlib import import_module
from typing import Annotated, Literal

import numpy as np
from pydantic import AfterValidator
from pydantic.dataclasses import dataclass
from torch import Tensor

from tasks.fields import STRICT, Count, Counts, Positive, Range
from tasks.numbers import Numbers

CHANNELS = {"number": 1, "one_hot": 10, "image": 64}
"""Input channels, by what a digit is shown as."""


@cache
def handwritten() -> tuple[np.ndarray, np.ndarray]:
    """Pixels from 0 to 1 [N 64] and digits [N] of scikit-learn's images; raises ImportError where it is not installed."""
    shipped = import_module("sklearn.datasets").load_digits()
    return shipped.data / 16, shipped.target


def of_split(split: str) -> slice:
    """Which images a split draws from: neighbours are by one writer, so the test's are those at the end."""
    count = len(handwritten()[1])
    return slice(0, 4 * count // 5) if split == "train" else slice(4 * count // 5, count)


def can_be_shown(digits: str) -> str:
    """What digits are shown as, checked; raises ValueError where scikit-learn, which has the images, is not installed."""
    if digits == "image":
        try:
            handwritten()
        except ImportError:
            raise ValueError("needs `pip install scikit-learn`; allowed without it: number, one_hot") from None
    return digits


@dataclass(frozen=True, config=STRICT)
class DigitSum(Numbers):
    """`lengths` digits from 0 to 9; an answer is right within `tolerance` of the sum: 0.5 is what rounds to it."""

    lengths: Range = (1, 10)
    val_lengths: Counts = (10,)
    test_lengths: Counts = (10, 50, 100)
    probe_length: Count = 8
    tolerance: Positive = 0.5
    digits: Annotated[Literal["number", "one_hot", "image"], AfterValidator(can_be_shown)] = "number"

    @property
    def inputs(self) -> int:
        return CHANNELS[self.digits]

    def room(self, length: int) -> int:
        return 2  # the sum so far is one number

    def penalty(self, errors: Tensor) -> Tensor:
        return errors.abs()

    def sequence(self, random: np.random.Generator, length: int, split: str):
        inputs, digits = self.drawn(random, length, split)
        last = np.arange(length) == length - 1
        return inputs, (last * digits.sum())[:, None], last

    def drawn(self, random: np.random.Generator, length: int, split: str) -> tuple[np.ndarray, np.ndarray]:
        """Digits [T] and how they are shown [T I]."""
        if self.digits == "image":
            images, labels = (part[of_split(split)] for part in handwritten())
            chosen = random.integers(len(labels), size=length)
            return images[chosen], labels[chosen]
        digits = random.integers(10, size=length)
        return (digits[:, None] if self.digits == "number" else np.eye(10)[digits]), digits

    def read(self, inputs: Tensor) -> list[int]:
        """The digits that inputs [T I] show."""
        if self.digits == "image":
            images, labels = handwritten()
            rows = inputs.cpu().numpy()
            return [int(labels[np.abs(images - row).sum(1).argmin()]) for row in rows]
        return (inputs[:, 0] if self.digits == "number" else inputs.argmax(1)).int().tolist()

    def show(self, inputs: Tensor, outputs: Tensor) -> str:
        digits = self.read(inputs)
        return f"{' + '.join(map(str, digits))} = {self.verdict(outputs[-1, 0].item(), float(sum(digits)))}"
