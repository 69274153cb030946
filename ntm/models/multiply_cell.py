"""A product that is already there beside a linear layer, and a gate that learns which of the two to take.

Letters: B batch, T ticks, I inputs, O outputs.
"""

import torch
from pydantic.dataclasses import dataclass
from torch import Tensor, nn

from ntm.models.base import Model, ModelConfig, Output, Signal
from tasks import Task
from tasks.fields import STRICT, Positive


class MultiplyCell(Model):
    """y = g0 * (the product of all inputs) + g1 * (W x + b), g a softmax of two weights that are the same for every x.

    A single input is multiplied by itself. The product goes to all outputs alike. `scale` multiplies the inputs before
    anything else, so where it is not 1 the targets have to be in its unit.
    """

    def __init__(self, inputs: int, scale: float, outputs: int):
        super().__init__()
        self.scale = scale
        self.factors = max(2, inputs)
        self.linear = nn.Linear(inputs, outputs)
        self.choice = nn.Parameter(torch.zeros(2))  # undecided

    def gate(self) -> Tensor:
        """How much is the product, and how much the linear layer [2]."""
        return self.choice.softmax(0)

    def forward(self, inputs, ticks=None, *, room=None, state=None, noise=None, record=False) -> Output:
        """As every model's; the gate [B T 2] is shown as a signal."""
        x, gate = self.scale * inputs, self.gate()
        product = x.expand(*x.shape[:-1], self.factors).prod(-1, keepdim=True)
        logits = gate[0] * product + gate[1] * self.linear(x)
        shown = Signal("gate: product, linear", "gate", "part", gate.expand(*x.shape[:-1], 2), (0.0, 1.0), weighting=True)
        return Output(logits, None, (shown,) if record else ())

    def told(self) -> str:
        product, linear = self.gate().tolist()
        return f"its gate is {product:.3f} product, {linear:.3f} linear"


@dataclass(frozen=True, config=STRICT)
class MultiplyCellConfig(ModelConfig):
    """`model=multiply_cell`."""

    scale: Positive  # inputs are multiplied by it: 1 raw, 0.00392156862745098 for numbers up to 255

    @property
    def about(self) -> str:
        return f"the product of the inputs times {self.scale:g} or a linear layer, by a softmax gate"

    def build(self, task: Task) -> MultiplyCell:
        """The network for the task's channels."""
        return MultiplyCell(task.inputs, self.scale, task.outputs)
