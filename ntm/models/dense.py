"""A dense network at every tick: hidden layers, then a linear one; with none of them, a linear map.

Letters: B batch, T ticks, I inputs, O outputs, C width, P product units.
"""

from collections.abc import Callable
from typing import Annotated, Literal

import torch
from pydantic import Field
from pydantic.dataclasses import dataclass
from torch import Tensor, nn

from ntm.errors import UserError
from ntm.models.base import Model, ModelConfig, Output, Signal
from tasks import Task
from tasks.fields import MOST_PARTS, STRICT, Count

ACTIVATIONS: dict[str, Callable[[], nn.Module]] = {
    "elu": nn.ELU,
    "hard_shrink": nn.Hardshrink,
    "hard_tanh": nn.Hardtanh,
    "identity": nn.Identity,
    "leaky_relu": nn.LeakyReLU,
    "prelu": nn.PReLU,
    "relu": nn.ReLU,
    "relu6": nn.ReLU6,
    "selu": nn.SELU,
    "sigmoid": nn.Sigmoid,
    "softplus": nn.Softplus,
    "softshrink": nn.Softshrink,
    "softsign": nn.Softsign,
    "tanh": nn.Tanh,
    "tanhshrink": nn.Tanhshrink,
}
"""By `model.activation`."""

Activation = Literal[
    "elu",
    "hard_shrink",
    "hard_tanh",
    "identity",
    "leaky_relu",
    "prelu",
    "relu",
    "relu6",
    "selu",
    "sigmoid",
    "softplus",
    "softshrink",
    "softsign",
    "tanh",
    "tanhshrink",
]
Depth = Annotated[int, Field(strict=True, ge=0, le=MOST_PARTS)]


class Hidden(nn.Module):
    """A layer of C units: f(W x + b), but its last P are products (A x + a) * (B x + b) of two linear maps, with no f."""

    def __init__(self, inputs: int, width: int, activation: str, products: int = 0):
        super().__init__()
        self.sizes = [width - products, products, products]
        self.linear = nn.Linear(inputs, sum(self.sizes))
        self.activation = ACTIVATIONS[activation]()

    def forward(self, x: Tensor) -> Tensor:
        """[... I] to [... C]."""
        plain, left, right = self.linear(x).split(self.sizes, dim=-1)
        return torch.cat([self.activation(plain), left * right], dim=-1)


def hidden_layers(inputs: int, width: int, depth: int, activation: str, products: int = 0) -> nn.ModuleList:
    """Hidden layers, one on top of the other."""
    return nn.ModuleList(Hidden(width if layer else inputs, width, activation, products) for layer in range(depth))


class Dense(Model):
    """Hidden layers and a linear one, the same at every tick; a tick knows of no other."""

    def __init__(self, inputs: int, width: int, depth: int, activation: str, products: int, outputs: int):
        super().__init__()
        self.layers = hidden_layers(inputs, width, depth, activation, products)
        self.output = nn.Linear(width if depth else inputs, outputs)

    def forward(self, inputs, ticks=None, *, room=None, state=None, noise=None, record=False) -> Output:
        """As every model's; what a hidden layer holds is shown as a signal."""
        x, shown = inputs, []
        for number, layer in enumerate(self.layers, 1):
            x = layer(x)
            shown.append(Signal(f"hidden layer {number}", "hidden", "unit", x))
        return Output(self.output(x), None, tuple(shown) if record else ())


@dataclass(frozen=True, config=STRICT)
class DenseConfig(ModelConfig):
    """`model=dense`."""

    width: Count
    depth: Depth  # hidden layers; 0: a linear map
    activation: Activation
    products: bool  # whether half of the units of every hidden layer are products

    @property
    def about(self) -> str:
        products = ", half of them products" if self.products else ""
        return f"dense, {self.depth} hidden layer(s) of {self.width} {self.activation} units{products}"

    def build(self, task: Task) -> Dense:
        """The network for the task's channels; raises UserError where a layer is too narrow to have products."""
        if self.products and self.width < 2:
            raise UserError(f"model.products=true: half of model.width={self.width} units is none; allowed: model.width=2 or more")
        products = self.width // 2 if self.products else 0
        return Dense(task.inputs, self.width, self.depth, self.activation, products, task.outputs)
