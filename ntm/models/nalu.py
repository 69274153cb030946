"""The neural accumulator and the neural arithmetic logic unit (Trask et al. 2018, arXiv 1808.00508).

Stacked, first drawn and without biases as by Madsen & Johansen 2020 (arXiv 2001.05016), whose equations 1 to 3 these are.
Letters: B batch, T ticks, I inputs, O outputs.
"""

import math
from typing import Literal

import torch
from pydantic.dataclasses import dataclass
from torch import Tensor, nn
from torch.nn import functional as F

from ntm.models.arithmetic import Stack, Unit, bracketed, described, layers_of, products, sums
from ntm.models.base import ModelConfig, Signal
from tasks import Task
from tasks.fields import STRICT, Count, Few

EPSILON = 1e-7
"""What is added to a number whose logarithm is taken."""


def radius(inputs: int, outputs: int) -> float:
    """The r for which tanh(w) * sigmoid(m) has the variance 2 / (I + O) of Glorot & Bengio, w and m uniform in -r..r.

    Below I + O = 5 there is none, as the variance is at most 1/2 in the limit: those are drawn as 5.
    """
    wanted, low, high = 2 / max(inputs + outputs, 5), 0.0, 10.0
    for _ in range(60):
        r = (low + high) / 2
        variance = (1 - math.tanh(r) / r) * (r - math.tanh(r / 2)) / (2 * r)
        low, high = (r, high) if variance < wanted else (low, r)
    return r


class Adding(Unit):
    """NAC+: y = W x, W = tanh(W^) * sigmoid(M^), which leans towards -1, 0 and 1. Equations 1 and 2."""

    def __init__(self, inputs: int, outputs: int):
        super().__init__()
        r = radius(inputs, outputs)
        self.what = nn.Parameter(torch.empty(outputs, inputs).uniform_(-r, r))
        self.much = nn.Parameter(torch.empty(outputs, inputs).uniform_(-r, r))

    @property
    def weight(self) -> Tensor:  # made of two
        return self.what.tanh() * self.much.sigmoid()

    def added(self, x: Tensor) -> Tensor:
        """W x."""
        return F.linear(x, self.weight)

    def multiplied(self, x: Tensor) -> Tensor:
        """exp(W log(|x| + epsilon)): a product of powers of |x|, the sign of x is lost."""
        return F.linear((x.abs() + EPSILON).log(), self.weight).exp()

    def forward(self, x: Tensor) -> Tensor:
        return self.added(x)

    def formulas(self, names: list[str]) -> list[str]:
        return sums(self.weight, names)


class Multiplying(Adding):
    """NAC*: y = exp(W log(|x| + epsilon)). Equation 3."""

    def forward(self, x: Tensor) -> Tensor:
        return self.multiplied(x)

    def formulas(self, names: list[str]) -> list[str]:
        return products(self.weight, [f"|{name}|" for name in names])


class Gated(Multiplying):
    """NALU: y = g * NAC+(x) + (1 - g) * NAC*(x), g = sigmoid(G x), both with the same weights."""

    def __init__(self, inputs: int, outputs: int):
        super().__init__(inputs, outputs)
        self.gating = nn.Parameter(nn.init.xavier_uniform_(torch.empty(outputs, inputs)))

    def gate(self, x: Tensor) -> Tensor:
        """How much of each output is a sum [... O]."""
        return F.linear(x, self.gating).sigmoid()

    def forward(self, x: Tensor) -> Tensor:
        gate = self.gate(x)
        return gate * self.added(x) + (1 - gate) * self.multiplied(x)

    def formulas(self, names: list[str]) -> list[str]:
        """As every unit's; the gate depends on the inputs, and is told where all of them are 1."""
        gates = self.gate(torch.ones_like(self.gating[0])).tolist()
        pairs = zip(gates, sums(self.weight, names), super().formulas(names))
        return [f"{gate:.2f} of {bracketed(added)} and {1 - gate:.2f} of {bracketed(product)}" for gate, added, product in pairs]

    def signals(self, x: Tensor, number: int) -> tuple[Signal, ...]:
        return (Signal(f"gate of layer {number}: 1 sum, 0 product", "gates", "unit", self.gate(x), (0.0, 1.0)),)


UNITS: dict[str, tuple[type[Adding], type[Adding]]] = {
    "nac_add": (Adding, Adding),
    "nac_mul": (Adding, Multiplying),
    "nalu": (Gated, Gated),
}
"""By `model.kind`: the layers before the last one, and the last one."""


@dataclass(frozen=True, config=STRICT)
class NALUConfig(ModelConfig):
    """`model=nac` and `model=nalu`."""

    kind: Literal["nac_add", "nac_mul", "nalu"]
    width: Count  # units of every layer but the last
    layers: Few

    @property
    def about(self) -> str:
        return described(self.kind, self.layers, self.width)

    def build(self, task: Task) -> Stack:
        """The network for the task's channels."""
        return Stack(layers_of(*UNITS[self.kind], task.inputs, self.width, self.layers, task.outputs))
