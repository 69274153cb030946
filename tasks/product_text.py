"""Products as text, to be gone on with character by character, as language models learn them (MathGLM, arXiv 2309.03241).

Every character is shown, and the next one is to be told; after the first "=" it is scored. 3 x 4, at once:

    tick      0  1  2  3  4  5
    shown     3  *  4  =  1  2
    target    *  4  =  1  2  .
    mask      0  0  0  1  1  1

With `steps` the product is worked out in writing first: 34*57=34*7+34*50=238+1700=1938.
With `reversed`, every number is written with its least significant digit first.
"""

import math
from typing import Annotated, ClassVar

import numpy as np
import torch
from pydantic import AfterValidator, Field
from pydantic.dataclasses import dataclass
from torch import Tensor
from torch.nn import functional as F

from tasks.base import Batch, Score, Task
from tasks.fields import STRICT, Many, ascending

ALPHABET = "0123456789*+=."


@dataclass(frozen=True, config=STRICT)
class ProductText(Task):
    """Two operands of `lengths` decimal digits each."""

    lengths: Annotated[tuple[Many, Many], AfterValidator(ascending)] = (1, 2)
    val_lengths: Annotated[tuple[Many, ...], Field(min_length=1, max_length=1000)] = (1, 2)
    test_lengths: Annotated[tuple[Many, ...], Field(min_length=1, max_length=1000)] = (1, 2, 3)
    probe_length: Many = 2
    steps: bool = False
    reversed: bool = False

    inputs = outputs = len(ALPHABET)
    softly: ClassVar[str] = "probability of the character"

    @property
    def claim(self) -> str:
        return "steps" if self.steps else "output"

    def ticks(self, length: int) -> int:
        return 3 * length**2 + 8 * length + 2 if self.steps and length > 1 else 4 * length + 2

    def room(self, length: int) -> int:
        return self.ticks(length)

    def written(self, number: int) -> str:
        """A number's digits, in the order asked for."""
        return str(number)[::-1] if self.reversed else str(number)

    def text(self, a: int, b: int) -> str:
        """The whole line of a product; what would be the same expression twice is written once."""
        parts = [f"{self.written(a)}*{self.written(b)}"]
        if self.steps:
            places = [int(digit) * 10**place for place, digit in enumerate(str(b)[::-1])]
            parts.append("+".join(f"{self.written(a)}*{self.written(value)}" for value in places))
            parts.append("+".join(self.written(a * value) for value in places))
        return "=".join(dict.fromkeys([*parts, self.written(a * b)])) + "."

    def sequence(self, random: np.random.Generator, length: int, split: str):
        return self.posed(self.text(operand(random, length), operand(random, length)))

    def posed(self, line: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """A line as inputs [T I], targets [T O] and mask [T]."""
        characters = np.eye(len(ALPHABET))[[ALPHABET.index(character) for character in line]]
        return characters[:-1], characters[1:], np.arange(len(line) - 1) >= line.index("=")

    def loss(self, logits: Tensor, batch: Batch, mean_over: str) -> Tensor:
        """Cross-entropy in bits per character that is due, a mean over characters ("bits") or over "sequences"."""
        nats = F.cross_entropy(logits.transpose(1, 2), batch.targets.argmax(-1), reduction="none") * batch.mask  # [B T]
        if mean_over == "sequences":
            return torch.mean(nats.sum(1) / batch.mask.sum(1)) / math.log(2)
        return nats.sum() / (batch.mask.sum() * math.log(2))

    def answer(self, logits: Tensor) -> Tensor:
        """The likeliest character, as one-hot [... O]."""
        return F.one_hot(logits.argmax(-1), len(ALPHABET)).float()

    def soft(self, logits: Tensor) -> Tensor:
        return logits.softmax(-1)

    def score(self, logits: Tensor, batch: Batch) -> Score:
        """Characters that are not the target's.

        A line without one is also what the model would write by itself: what it reads back is then what it was shown here.
        A line with one goes wrong at the same character when it is read back.
        """
        wrong = logits.argmax(-1).ne(batch.targets.argmax(-1)) & (batch.mask > 0)
        return Score(wrong.sum(1), batch.mask.sum(1))

    def show(self, inputs: Tensor, outputs: Tensor) -> str:
        shown, told = (as_text(part) for part in (inputs, outputs))
        question = shown.partition("=")[0]
        a, b = (int(number[::-1] if self.reversed else number) for number in question.split("*"))
        due = self.text(a, b)
        line = f"{question}={told[len(question) : len(due) - 1]}"
        return f"{line} {'ok' if line == due else 'wrong'}"


def operand(random: np.random.Generator, length: int) -> int:
    """A number of exactly so many digits, all alike; 0 has one."""
    digits = random.integers(10, size=length)
    if length > 1:
        digits[0] = random.integers(1, 10)
    return int("".join(map(str, digits)))


def as_text(characters: Tensor) -> str:
    """One-hot characters [T I] as text."""
    return "".join(ALPHABET[place] for place in characters.argmax(-1).tolist())
