"""The neural addition unit and the neural multiplication unit (Madsen & Johansen 2020, arXiv 2001.05016, section 2).

Letters: B batch, T ticks, I inputs, O outputs.
"""

import math
from typing import Literal

import torch
from pydantic.dataclasses import dataclass
from torch import Tensor, nn
from torch.nn import functional as F

from ntm.models.arithmetic import Stack, Unit, bracketed, described, layers_of, products, sums
from ntm.models.base import Learned, ModelConfig
from tasks import Batch, Task
from tasks.fields import STRICT, Count, Few


class Adding(Unit):
    """NAU: y = W x, W in -1..1; first drawn as Glorot & Bengio say, and from no more than -1/2..1/2."""

    def __init__(self, inputs: int, outputs: int):
        super().__init__()
        r = min(0.5, math.sqrt(6 / (inputs + outputs)))
        self.weight = nn.Parameter(torch.empty(outputs, inputs).uniform_(-r, r))

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(x, self.weight)

    def formulas(self, names: list[str]) -> list[str]:
        return sums(self.weight, names)


class Multiplying(Unit):
    """NMU: y_o = prod_i (W_oi x_i + 1 - W_oi), W in 0..1, where 0 leaves an input out; first drawn from 1/4..3/4.

    The paper asks for a mean of 1/2 and a variance of 1/4, which no uniform distribution in 0..1 has; its code takes
    these bounds for every size.
    """

    def __init__(self, inputs: int, outputs: int):
        super().__init__()
        self.weight = nn.Parameter(torch.empty(outputs, inputs).uniform_(0.25, 0.75))

    def forward(self, x: Tensor) -> Tensor:
        return (self.weight * x.unsqueeze(-2) + 1 - self.weight).prod(-1)

    def formulas(self, names: list[str]) -> list[str]:
        return products(self.weight, [bracketed(name) for name in names])


class NMU(Stack):
    """Layers of both, whose weights learning can draw to whole numbers: `focus` is the weight of that penalty."""

    focuses = True

    def bounds(self) -> dict[str, tuple[float, float]]:
        lows = (0.0 if isinstance(unit, Multiplying) else -1.0 for unit in self.units())
        return {f"layers.{number}.weight": (low, 1.0) for number, low in enumerate(lows)}

    def blur(self) -> Tensor:
        """How far weights are from whole numbers: the mean of min(|W|, 1 - |W|) of each layer, then the sum of these.

        Madsen & Johansen 2020, R_sparse; the sum over layers is their code's.
        """
        return torch.stack([torch.minimum(unit.weight.abs(), 1 - unit.weight.abs()).mean() for unit in self.units()]).sum()

    def learn(self, task: Task, batch: Batch, mean_over: str, noise: Tensor | None = None, focus: float = 0.0) -> Learned:
        """As every model's; `focus` times the blur of the weights is added to the loss."""
        learned = super().learn(task, batch, mean_over, noise)
        if not focus:
            return learned
        blur = self.blur()
        return learned._replace(loss=learned.loss + focus * blur, blur=blur.detach())


UNITS: dict[str, type[Adding] | type[Multiplying]] = {"nau": Adding, "nmu": Multiplying}
"""By `model.kind`: the last layer; those before it add."""


@dataclass(frozen=True, config=STRICT)
class NMUConfig(ModelConfig):
    """`model=nau` and `model=nmu`."""

    kind: Literal["nau", "nmu"]
    width: Count  # units of every layer but the last
    layers: Few

    @property
    def about(self) -> str:
        return described(self.kind, self.layers, self.width)

    def build(self, task: Task) -> NMU:
        """The network for the task's channels."""
        return NMU(layers_of(Adding, UNITS[self.kind], task.inputs, self.width, self.layers, task.outputs))
