"""The dot-product unit at every tick: products of two linear maps of the inputs, then a linear layer.

Letters: B batch, T ticks, I inputs, O outputs, C width.
"""

from pydantic.dataclasses import dataclass
from torch import nn

from ntm.models.base import Model, ModelConfig, Output, Signal
from tasks import Task
from tasks.fields import STRICT, Count


class Bilinear(Model):
    """Units (A x + a) * (B x + b), elementwise, and a linear layer: x1 * x2 is one of them, and so right everywhere."""

    def __init__(self, inputs: int, width: int, outputs: int):
        super().__init__()
        self.left, self.right = nn.Linear(inputs, width), nn.Linear(inputs, width)
        self.output = nn.Linear(width, outputs)

    def forward(self, inputs, ticks=None, *, room=None, state=None, noise=None, record=False) -> Output:
        """As every model's; the units [B T C] are shown as a signal."""
        products = self.left(inputs) * self.right(inputs)
        return Output(self.output(products), None, (Signal("products", "products", "unit", products),) if record else ())


@dataclass(frozen=True, config=STRICT)
class BilinearConfig(ModelConfig):
    """`model=bilinear`."""

    width: Count

    @property
    def about(self) -> str:
        return f"{self.width} products of two linear maps"

    def build(self, task: Task) -> Bilinear:
        """The network for the task's channels."""
        return Bilinear(task.inputs, self.width, task.outputs)
