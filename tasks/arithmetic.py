"""Simple function learning: an operation on two sums of some of the inputs, which ones is to be found out.

Trask et al. 2018 (arXiv 1808.00508, section 4.1) as Madsen & Johansen 2020 (arXiv 2001.05016) run it: of `size` numbers drawn
uniformly, a and b are the sums of two runs of neighbours that overlap, and a op b is due. `cheap` is the latter's small one, of 4
numbers: (x1 + x2)(x1 + x2 + x3 + x4). The length is the upper end of the range of the numbers: 2 draws from [1, 2], as they train;
a longer L draws from [2, L], as they test with L = 6.
"""

from collections.abc import Callable
from typing import Annotated

import numpy as np
from pydantic import AfterValidator, ValidationInfo, field_validator
from pydantic.dataclasses import dataclass
from torch import Tensor

from tasks.base import SPLITS, Batch
from tasks.fields import STRICT, Count, Counts, Fraction, Positive, Range, Seed
from tasks.numbers import Numbers
from tasks.one_tick import OneTick, one_tick

OPERATIONS: dict[str, tuple[str, Callable[[np.ndarray, np.ndarray], np.ndarray]]] = {
    "add": ("{a:.6g} + {b:.6g}", lambda a, b: a + b),
    "sub": ("{a:.6g} - {b:.6g}", lambda a, b: a - b),
    "mul": ("{a:.6g} x {b:.6g}", lambda a, b: a * b),
    "div": ("{a:.6g} / {b:.6g}", lambda a, b: a / b),
    "square": ("{a:.6g} squared", lambda a, b: a * a),
    "sqrt": ("root of {a:.6g}", lambda a, b: np.sqrt(a)),
    "cheap": ("{a:.6g} x {b:.6g}", lambda a, b: a * b),
}
"""Every operation by its name: how it is written, and what it is."""

CHEAP = np.array([[1.0, 1.0], [1.0, 1.0], [0.0, 1.0], [0.0, 1.0]])
"""Which inputs are in which sum, where the operation is `cheap`."""

OFF, SAMPLES = 1e-5, 10_000


def known(name: str) -> str:
    """The name of an operation, checked; raises ValueError where there is no such operation."""
    if name not in OPERATIONS:
        raise ValueError(f"no such operation; allowed: {', '.join(OPERATIONS)}")
    return name


@dataclass(frozen=True, config=STRICT)
class RealArithmetic(OneTick, Numbers):
    """`subset` is the share of the inputs in each sum, `overlap` the share of a sum's inputs that the other one has, too.

    An answer is wrong when it is off by more than `tolerance` times the target, or times 1 where the target is smaller: a
    difference may be 0.
    """

    lengths: Range = (2, 2)
    val_lengths: Counts = (2,)
    test_lengths: Counts = (2, 6)
    probe_length: Count = 2
    tolerance: Positive = 1e-3  # far above what weights that are off by 1e-5 make of it: what is solved as published is right
    operation: Annotated[str, AfterValidator(known)] = "mul"
    size: Count = 100
    subset: Fraction = 0.25
    overlap: Fraction = 0.5
    subset_seed: Seed = 0  # the run's own in the yaml: a test, whose batches have another seed, asks for the same sums

    @field_validator("subset")
    @classmethod
    def not_empty(cls, subset: float, info: ValidationInfo) -> float:
        """The share, checked; raises ValueError where a sum would be of no input."""
        size = info.data.get("size", 1)
        if int(subset * size) < 1:
            raise ValueError(f"a sum of none of {size} inputs; allowed: at least {1 / size:g}")
        return subset

    @field_validator("overlap")
    @classmethod
    def inside(cls, overlap: float, info: ValidationInfo) -> float:
        """The share, checked; raises ValueError where the inputs are too few for both sums."""
        size, each = info.data.get("size", 1), int(info.data.get("subset", 0) * info.data.get("size", 1))
        needed = 2 * each - int(overlap * each)
        if needed > size:
            raise ValueError(f"two sums of {each} inputs need {needed} of {size}; allowed: a larger one, or a smaller subset")
        return overlap

    @property
    def inputs(self) -> int:
        return len(CHEAP) if self.operation == "cheap" else self.size

    @property
    def sums(self) -> np.ndarray:
        """Which inputs are in which sum, as weights of 1 and 0 [I 2]: a pure function of the fields."""
        if self.operation == "cheap":
            return CHEAP
        each = int(self.subset * self.size)
        shared = int(self.overlap * each)
        random = np.random.default_rng([self.subset_seed, len(SPLITS)])  # a stream that no batch is drawn from
        first = random.integers(self.size - 2 * each + shared + 1)
        weights = np.zeros((self.size, 2))
        weights[first : first + each, 0] = weights[first + each - shared : first + 2 * each - shared, 1] = 1
        return weights

    def drawn(self, random: np.random.Generator, length: int, count: int, split: str) -> np.ndarray:
        """Inputs [count I] from the range of this length, whatever the split."""
        return random.uniform(1 if length <= 2 else 2, length, (count, self.inputs))

    def of_sums(self, sums: np.ndarray) -> np.ndarray:
        """The operation on sums [B 2]."""
        return OPERATIONS[self.operation][1](sums[:, 0], sums[:, 1])

    def bounds(self, targets: Tensor) -> Tensor:
        return self.tolerance * targets.abs().clamp(min=1)

    def solved_below(self, length: int) -> float:
        """The published criterion: the mean squared error of the ideal model whose weights are each off by 1e-5.

        They are off towards each other, 1 - 1e-5 and 1e-5, as in stable-nalu's export/function_task_static_mse_expectation.r;
        the mean is over 10,000 rows of inputs, always the same, in float64.
        """
        drawn, ideal = self.drawn(np.random.default_rng(0), length, SAMPLES, "test"), self.sums
        off = ideal * (1 - 2 * OFF) + OFF
        return float(np.square(self.of_sums(drawn @ off) - self.of_sums(drawn @ ideal)).mean())

    def posed(self, drawn: np.ndarray) -> Batch:
        inputs = drawn.astype(np.float32)
        # What the network sees is what is summed, and exactly: float64 holds every sum of so few float32, in any order.
        return one_tick(inputs, self.of_sums(inputs.astype(np.float64) @ self.sums)[:, None])

    def show(self, inputs: Tensor, outputs: Tensor) -> str:
        sums = inputs[:1].double().cpu().numpy() @ self.sums
        written = OPERATIONS[self.operation][0].format(a=sums[0, 0], b=sums[0, 1])
        return f"{written} = {self.verdict(outputs[0, 0].item(), float(self.of_sums(sums)[0]))}"
