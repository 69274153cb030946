"""Multiplication by squares alone, u v = ((u + v)^2 - u^2 - v^2) / 2, where the square is a dense network of one number.

Yarotsky (arXiv 1610.01145) builds products so, from a square made by hand; here the square is learned.
Letters: B batch, T ticks, I inputs, O outputs.
"""

import torch
from pydantic.dataclasses import dataclass
from torch import Tensor, nn

from ntm.models.base import Model, ModelConfig, Output, Signal
from ntm.models.dense import Activation, Depth, hidden_layers
from tasks import Task
from tasks.fields import STRICT, Count


class Squares(Model):
    """y = (s(u + v) - s(u) - s(v)) / 2, with u and v two linear maps of the inputs and s one network used three times."""

    def __init__(self, inputs: int, width: int, depth: int, activation: str, outputs: int):
        super().__init__()
        self.left, self.right = nn.Linear(inputs, outputs), nn.Linear(inputs, outputs)
        self.square = nn.Sequential(*hidden_layers(1, width, depth, activation), nn.Linear(width if depth else 1, 1))

    def squares(self, z: Tensor) -> Tensor:
        """s of every number, in any shape."""
        return self.square(z.unsqueeze(-1)).squeeze(-1)

    def forward(self, inputs, ticks=None, *, room=None, state=None, noise=None, record=False) -> Output:
        """As every model's; the three squares of every output [B T O] are shown as signals."""
        u, v = self.left(inputs), self.right(inputs)
        names, squares = ("s(u + v)", "s(u)", "s(v)"), self.squares(torch.stack([u + v, u, v]))
        both, first, second = squares
        shown = tuple(Signal(name, "squares", "output", values) for name, values in zip(names, squares)) if record else ()
        return Output((both - first - second) / 2, None, shown)


@dataclass(frozen=True, config=STRICT)
class SquaresConfig(ModelConfig):
    """`model=squares`."""

    width: Count
    depth: Depth  # hidden layers of the network that is to square; 0: a linear map
    activation: Activation

    @property
    def about(self) -> str:
        return f"products by learned squares, {self.depth} hidden layer(s) of {self.width} {self.activation} units"

    def build(self, task: Task) -> Squares:
        """The network for the task's channels."""
        return Squares(task.inputs, self.width, self.depth, self.activation, task.outputs)
