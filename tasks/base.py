"""What a task is: a pure function from (seed, split, index) to a Batch, with its own mask, loss, score and readable print.

Letters: B batch, T ticks, I inputs, O outputs. Nothing here knows a network. A new task needs three members, `inputs`,
`outputs` and `sequence`; everything else has a default.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import ClassVar, NamedTuple, Self

import numpy as np
import torch
from pydantic.dataclasses import dataclass
from torch import Tensor

from tasks.fields import STRICT, Count, Counts, Range
from tasks.losses import BIT_LOSSES

SPLITS = ("train", "val", "test")


class Batch(NamedTuple):
    """Sequences of possibly different lengths, padded with zeros; only ticks under the mask are asked for and scored."""

    inputs: Tensor  # [B T I]
    targets: Tensor  # [B T O]
    mask: Tensor  # [B T], 1 where an answer is due
    ticks: Tensor  # [B], how many ticks each sequence lasts; the rest is padding

    @property
    def input_end(self) -> int:
        """The last tick before the first sequence's first answer is due; 0 where one is due from the beginning."""
        return max(0, int(self.mask[0].argmax()) - 1)

    def to(self, device: torch.device) -> "Batch":
        """The same batch on a device."""
        return Batch(*(part.to(device) for part in self))


class Score(NamedTuple):
    """Counts for each sequence of a batch, in the task's own terms; a sequence is wrong when any of its outputs is."""

    errors: Tensor  # [B], outputs that are wrong: bits, cells, numbers beyond a tolerance
    due: Tensor  # [B], outputs that were due

    @property
    def error(self) -> float:
        """Wrong outputs as a fraction of those that were due."""
        return (self.errors.sum() / self.due.sum()).item()

    @property
    def wrong_sequences(self) -> int:
        """Sequences with at least one wrong output."""
        return int((self.errors > 0).sum())


@dataclass(frozen=True, config=STRICT)
class Task(ABC):
    """Base of all tasks. A subclass is a frozen dataclass; its fields are the keys `task.<field>` of the command line."""

    lengths: Range = (1, 20)  # shortest and longest training length
    val_lengths: Counts = (20, 40)  # lengths that select the best checkpoint; some longer than trained
    test_lengths: Counts = (20, 50, 100)  # lengths in the table at the end of training
    probe_length: Count = 8  # length of the one sequence that TensorBoard shows

    mixed: ClassVar[bool] = True  # rows of one batch may have different lengths
    softly: ClassVar[str] = "probability of 1"  # what `soft` is

    @property
    @abstractmethod
    def inputs(self) -> int:
        """Number of input channels, I."""

    @property
    @abstractmethod
    def outputs(self) -> int:
        """Number of output channels, O."""

    @abstractmethod
    def sequence(self, random: np.random.Generator, length: int, split: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """One sequence: inputs [T I], targets [T O], mask [T]."""

    @property
    def control(self) -> tuple[int, ...]:
        """Input channels that carry flags, not data."""
        return ()

    @property
    def claim(self) -> str:
        """What the loss sees, in one word: "output" is inputs and final outputs only."""
        return "output"

    def ticks(self, length: int) -> int:
        """Ticks that a sequence of this length lasts, the longest one, as far as is known without drawing it."""
        return length

    def drawing(self, length: int) -> int:
        """Bytes that it takes to draw one sequence of this length, at least: its columns in float64."""
        return 8 * self.ticks(length) * (self.inputs + self.outputs + 1)

    def room(self, length: int) -> int:
        """How much memory an algorithm for this length needs, in vectors; what a model makes of it is its own affair."""
        return length + 4

    def loss(self, logits: Tensor, batch: Batch, mean_over: str) -> Tensor:
        """What training minimises, as a scalar: here bits per output bit, a mean over "bits" or "sequences"."""
        return BIT_LOSSES[mean_over](logits, batch.targets, batch.mask)

    def answer(self, logits: Tensor) -> Tensor:
        """What is read off logits [... O]: here bits, 1 where a logit is above 0."""
        return (logits > 0).float()

    def soft(self, logits: Tensor) -> Tensor:
        """An answer before it is made hard, for pictures: here the probability of a 1."""
        return logits.sigmoid()

    def score(self, logits: Tensor, batch: Batch) -> Score:
        """Errors of logits [B T O] under the mask: here answers that are not the target."""
        wrong = self.answer(logits).ne(batch.targets) & (batch.mask > 0).unsqueeze(-1)
        return Score(wrong.sum((1, 2)), batch.mask.sum(1) * self.outputs)

    def solved_below(self, length: int) -> float | None:
        """Loss of a test of this length under which it counts as solved; None: where every answer is right."""
        return None

    def show(self, inputs: Tensor, outputs: Tensor) -> str:
        """One sequence, inputs [T I] and answers [T O], as a line a person can read and check."""
        return f"{text(inputs)} -> {text(outputs)}"

    def staged(self, stage: int) -> Self:
        """This task as the curriculum's stage asks for it: here, with no length above `stage`."""
        shortest, longest = self.lengths
        return replace(self, lengths=(min(shortest, stage), min(longest, stage)))

    def batch(self, seed: int, split: str, index: int, size: int, lengths: tuple[int, int] | None = None) -> Batch:
        """Batch `index` of a split: a pure function of its arguments, the same on every machine.

        `lengths` bounds the lengths drawn (default: the training lengths); where a task is not `mixed`, one length is
        drawn for the whole batch.
        """
        random, drawn = self.begun(seed, split, index, size if self.mixed else 1, lengths)
        return self.draw(random, np.broadcast_to(drawn, size).tolist(), split)

    def begun(
        self, seed: int, split: str, index: int, count: int, lengths: tuple[int, int] | None
    ) -> tuple[np.random.Generator, np.ndarray]:
        """What a batch is drawn from, and the first that is drawn from it: so many lengths."""
        shortest, longest = lengths or self.lengths
        random = np.random.default_rng([seed, SPLITS.index(split), index])
        return random, random.integers(shortest, longest + 1, count)

    def batches(self, seeds: Sequence[int], split: str, index: int, size: int, lengths: tuple[int, int] | None = None) -> Batch:
        """The batch of each of S seeds, all of as many ticks, as one, [S B ...]; a task overrides this where that is faster."""
        each = [self.batch(seed, split, index, size, lengths) for seed in seeds]
        return Batch(*(torch.stack(parts) for parts in zip(*each)))

    def every(self) -> Iterator[tuple[int, Batch]]:
        """All sequences of some kind, in batches with their length: a run is not over before it is right on each; here none."""
        return iter(())

    def draw(self, random: np.random.Generator, lengths: list[int], split: str) -> Batch:
        """Sequences of these lengths, one after another; a task overrides this where it makes all rows at once faster."""
        return pad([self.sequence(random, length, split) for length in lengths])


def only_row(batch: Batch) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A batch of one sequence as what `Task.sequence` makes: inputs [T I], targets [T O], mask [T]."""
    return batch.inputs[0].numpy(), batch.targets[0].numpy(), batch.mask[0].numpy()


def pad(sequences: list[tuple[np.ndarray, np.ndarray, np.ndarray]]) -> Batch:
    """Sequences of any lengths as one batch, zeros after the end of the shorter ones."""
    ticks = [len(mask) for _, _, mask in sequences]
    columns = []
    for parts in zip(*sequences):
        column = np.zeros((len(parts), max(ticks), *parts[0].shape[1:]), np.float32)
        for row, part in zip(column, parts):
            row[: len(part)] = part
        columns.append(torch.from_numpy(column))
    return Batch(*columns, torch.tensor(ticks))  # type: ignore[call-arg]  # a sequence has three columns


def text(rows: Tensor) -> str:
    """Rows of bits [L width] as text: `101 011`."""
    return " ".join("".join(str(int(bit)) for bit in row) for row in rows.tolist())
