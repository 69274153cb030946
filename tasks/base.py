"""What a task is: a pure function from (seed, split, index) to a Batch, with its own mask, metric and readable print.

Letters: B batch, T ticks, I inputs, O outputs. Nothing here knows a network.
"""

from abc import ABC, abstractmethod
from dataclasses import replace
from typing import Annotated, ClassVar, NamedTuple, Self

import numpy as np
import torch
from pydantic import AfterValidator, ConfigDict, Field
from pydantic.dataclasses import dataclass
from torch import Tensor

SPLITS = ("train", "val", "test")


def ascending(bounds: tuple[int, int]) -> tuple[int, int]:
    """The bounds of a range, checked; raises ValueError where the first is above the second."""
    if bounds[0] > bounds[1]:
        raise ValueError(f"must be [shortest, longest], not [{bounds[0]}, {bounds[1]}]")
    return bounds


STRICT = ConfigDict(extra="forbid")
"""An unknown field is an error, in a task as in every other part of the configuration."""

Count = Annotated[int, Field(strict=True, ge=1)]
Fraction = Annotated[float, Field(ge=0, le=1)]
Range = Annotated[tuple[Count, Count], AfterValidator(ascending)]
Lengths = Annotated[tuple[Count, ...], Field(min_length=1)]


class Batch(NamedTuple):
    """Sequences of possibly different lengths, padded with zeros; only ticks under the mask are asked for and scored."""

    inputs: Tensor  # [B T I]
    targets: Tensor  # [B T O], bits
    mask: Tensor  # [B T], 1 where an answer is due

    def to(self, device: torch.device) -> "Batch":
        """The same batch on a device."""
        return Batch(*(part.to(device) for part in self))


class Score(NamedTuple):
    """Counts for each sequence of a batch; a sequence is wrong when any of its bits is."""

    bit_errors: Tensor  # [B]
    bits: Tensor  # [B]

    @property
    def bit_error(self) -> float:
        """Wrong bits as a fraction of the bits that were due."""
        return (self.bit_errors.sum() / self.bits.sum()).item()

    @property
    def wrong_sequences(self) -> int:
        """Sequences with at least one wrong bit."""
        return int((self.bit_errors > 0).sum())


@dataclass(frozen=True, config=STRICT)
class Task(ABC):
    """Base of all tasks. A subclass is a frozen dataclass; its fields are the keys `task.<field>` of the command line."""

    lengths: Range  # shortest and longest training length
    val_lengths: Lengths  # lengths that select the best checkpoint; some longer than trained
    test_lengths: Lengths  # lengths in the table at the end of training
    probe_length: Count  # length of the one sequence that TensorBoard shows

    mixed: ClassVar[bool] = True  # rows of one batch may have different lengths
    traced: ClassVar[bool] = False  # learned from a reference's steps: a batch shows what the machine sees of its own state

    @property
    @abstractmethod
    def inputs(self) -> int:
        """Number of input channels, I."""

    @property
    @abstractmethod
    def outputs(self) -> int:
        """Number of output channels, O."""

    @property
    @abstractmethod
    def control(self) -> tuple[int, ...]:
        """Input channels that carry flags, not data."""

    @property
    def claim(self) -> str:
        """What the loss sees, in one word: "output" is inputs and final outputs only."""
        return "output"

    @abstractmethod
    def slots(self, length: int) -> int:
        """Memory slots that a machine needs to hold a sequence of this length; where nobody says, twice as many are used."""

    @abstractmethod
    def sequence(self, random: np.random.Generator, length: int, split: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """One sequence: inputs [T I], targets [T O], mask [T]."""

    @abstractmethod
    def show(self, inputs: Tensor, outputs: Tensor) -> str:
        """One sequence, inputs [T I] and bits [T O], as a line a person can read and check."""

    def staged(self, stage: int) -> Self:
        """This task as the curriculum's stage asks for it: here, with no length above `stage`."""
        shortest, longest = self.lengths
        return replace(self, lengths=(min(shortest, stage), min(longest, stage)))

    def batch(self, seed: int, split: str, index: int, size: int, lengths: tuple[int, int] | None = None) -> Batch:
        """Batch `index` of a split: a pure function of its arguments, the same on every machine.

        `lengths` bounds the lengths drawn (default: the training lengths); where a task is not `mixed`, one length is
        drawn for the whole batch.
        """
        shortest, longest = lengths or self.lengths
        random = np.random.default_rng([seed, SPLITS.index(split), index])
        drawn = random.integers(shortest, longest + 1, size if self.mixed else 1)
        return pad([self.sequence(random, int(length), split) for length in np.broadcast_to(drawn, size)])

    def score(self, logits: Tensor, batch: Batch) -> Score:
        """Bit errors of logits [B T O] under the mask: an output is 1 where its logit is above 0."""
        wrong = (logits > 0).float().ne(batch.targets) & (batch.mask > 0).unsqueeze(-1)
        return Score(wrong.sum((1, 2)), batch.mask.sum(1) * self.outputs)


def pad(sequences: list[tuple[np.ndarray, np.ndarray, np.ndarray]]) -> Batch:
    """Sequences of any lengths as one batch, zeros after the end of the shorter ones."""
    ticks = max(len(mask) for _, _, mask in sequences)

    def longest(part: np.ndarray) -> np.ndarray:
        return np.pad(part, [(0, ticks - len(part))] + [(0, 0)] * (part.ndim - 1))

    return Batch(*(torch.from_numpy(np.stack([longest(p) for p in column]).astype(np.float32)) for column in zip(*sequences)))
