"""torch's own recurrent networks over the whole sequence: a plain RNN, a GRU, an LSTM. No time loop of ours.

Letters: B batch, T ticks, I inputs, O outputs, C width, L layers.
"""

from collections.abc import Callable
from typing import Literal

from pydantic.dataclasses import dataclass
from torch import nn

from ntm.models.base import Model, ModelConfig, Output, Signal
from tasks import Task
from tasks.fields import STRICT, Count, Few

KERNELS: dict[str, Callable[..., nn.RNNBase]] = {"rnn": nn.RNN, "gru": nn.GRU, "lstm": nn.LSTM}


class RNN(Model):
    """A stack of recurrent layers and a linear one; the state is torch's: hidden [L B C], and cell [L B C] of an LSTM."""

    goes_on = True

    def __init__(self, kind: str, inputs: int, width: int, layers: int, outputs: int):
        super().__init__()
        self.recurrent = KERNELS[kind](inputs, width, layers, batch_first=True)
        self.output = nn.Linear(width, outputs)

    def forward(self, inputs, ticks=None, *, room=None, state=None, noise=None, record=False) -> Output:
        """As every model's; it has no memory to give room to, and padding after a sequence's end changes none of its logits."""
        hidden, state = self.recurrent(inputs, state)
        signals = (Signal("hidden vector of the last layer", "hidden", "unit", hidden, (-1.0, 1.0)),) if record else ()
        return Output(self.output(hidden), state, signals)


@dataclass(frozen=True, config=STRICT)
class RNNConfig(ModelConfig):
    """`model=rnn`, `model=gru` and `model=lstm`."""

    kind: Literal["rnn", "gru", "lstm"]
    width: Count
    layers: Few

    @property
    def about(self) -> str:
        return f"{self.kind}, {self.layers} layer(s) of {self.width}"

    @property
    def together(self) -> bool:
        return False  # torch's own layers have no rule for it

    def build(self, task: Task) -> RNN:
        """The network for the task's channels."""
        return RNN(self.kind, task.inputs, self.width, self.layers, task.outputs)
