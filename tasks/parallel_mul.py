"""Parallel binary multiplication: all bits of two operands in, all bits of their product out, in one tick.

3 x 2 = 6 with `bits` 2, least significant bit first: inputs 11 01 (a, then b), targets 0110.

A share of all pairs is held out, the same pairs whatever the seed: training draws from the others, validation and test draw from
those held out. The length is the bits that both operands have at most; above `bits` it asks for nothing more.
"""

from collections.abc import Iterator
from functools import cache
from typing import Annotated

import numpy as np
from pydantic import Field
from pydantic.dataclasses import dataclass
from torch import Tensor
from torch.nn import functional as F

from tasks.base import Batch
from tasks.binary_add import number, rows_of_bits
from tasks.fields import STRICT, Count, Counts, Range
from tasks.one_tick import OneTick, one_tick

AT_ONCE = 4096
"""Pairs of operands of a batch, where all pairs are asked for."""

ORDER = 20_260_101
"""Seed of the order of all pairs, which says who is held out."""


@dataclass(frozen=True, config=STRICT)
class ParallelMul(OneTick):
    """Two operands of `bits` bits; of the pairs, a share `held_out` is never trained on."""

    lengths: Range = (8, 8)
    val_lengths: Counts = (8,)
    test_lengths: Counts = (8,)
    probe_length: Count = 8
    bits: Annotated[int, Field(strict=True, ge=1, le=10)] = 8
    held_out: Annotated[float, Field(gt=0, le=0.5)] = 0.1
    squared: bool = False  # the loss is the mean square of what probabilities are off by, not cross-entropy

    @property
    def inputs(self) -> int:
        return 2 * self.bits

    @property
    def outputs(self) -> int:
        return 2 * self.bits

    def among(self, length: int, held_out: bool) -> np.ndarray:
        """The pairs [N 2] of operands of at most `length` bits that are held out, or those that are not."""
        shorter = 1 << 2 * min(length, self.bits)
        held = int(np.ceil(shorter * self.held_out))
        return parted(self.bits, self.held_out)[held_out][: held if held_out else shorter - held]

    def loss(self, logits: Tensor, batch: Batch, mean_over: str) -> Tensor:
        return F.mse_loss(logits.sigmoid(), batch.targets) if self.squared else super().loss(logits, batch, mean_over)

    def drawn(self, random: np.random.Generator, length: int, count: int, split: str) -> np.ndarray:
        pairs = self.among(length, split != "train")
        return pairs[random.integers(len(pairs), size=count)]

    def posed(self, drawn: np.ndarray) -> Batch:
        """These pairs of operands [B 2]."""
        operands = rows_of_bits(drawn.flatten(), self.bits).reshape(len(drawn), self.inputs)
        return one_tick(operands, rows_of_bits(drawn.prod(1), self.outputs))

    def pairs(self, held_out: bool) -> Iterator[Batch]:
        """Every pair that is held out, or every one that is not, once: to judge all of them, never to train on."""
        pairs = self.among(self.bits, held_out)
        for first in range(0, len(pairs), AT_ONCE):
            yield self.posed(pairs[first : first + AT_ONCE])

    def show(self, inputs: Tensor, outputs: Tensor) -> str:
        a, b, answer = number(inputs[0, : self.bits]), number(inputs[0, self.bits :]), number(outputs[0])
        return f"{a} x {b} = {answer} {'ok' if answer == a * b else 'wrong'}"


@cache
def parted(bits: int, share: float) -> tuple[np.ndarray, np.ndarray]:
    """All pairs of operands of so many bits [N 2]: those to train on, then those held out, each with the shorter ones first.

    The order is random among pairs of one length, and every 1/share-th is held out: so a share of the short ones, too.
    """
    count = 1 << 2 * bits
    pairs = np.stack(np.divmod(np.random.default_rng(ORDER).permutation(count), 1 << bits), axis=1)
    lengths = np.frexp(pairs.max(1))[1].clip(min=1)
    held = np.diff(np.ceil(np.arange(count + 1) * share)) > 0
    pairs = pairs[np.argsort(lengths, kind="stable")]
    return pairs[~held], pairs[held]
