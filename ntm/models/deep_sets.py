"""Deep sets (Zaheer et al. 2017, arXiv 1703.06114, theorem 2): rho of the sum of phi(x), here over all ticks so far.

phi and rho are those of the authors' sums of digits: an embedding, a layer of tanh; the sum; a linear layer.
Letters: B batch, T ticks, I inputs, O outputs, C what phi says.
"""

import torch
from pydantic.dataclasses import dataclass
from torch import nn

from ntm.models.base import Model, ModelConfig, Output, Signal
from tasks import Task
from tasks.fields import STRICT, Count


class DeepSets(Model):
    """The order of what it has seen is lost; the state is the sum so far [B C]."""

    goes_on = True

    def __init__(self, inputs: int, embedding: int, hidden: int, outputs: int):
        super().__init__()
        self.embed = nn.Linear(inputs, embedding, bias=False)  # of one of I symbols it is the row of a table
        self.see = nn.Linear(embedding, hidden)
        self.output = nn.Linear(hidden, outputs)

    def forward(self, inputs, ticks=None, *, room=None, state=None, noise=None, record=False) -> Output:
        """As every model's; padding is added too, so the state is that of rows without any."""
        sums = torch.tanh(self.see(self.embed(inputs))).cumsum(1)
        if state is not None:
            sums = sums + state.unsqueeze(1)
        return Output(self.output(sums), sums[:, -1], (Signal("sum so far", "sum", "unit", sums),) if record else ())


@dataclass(frozen=True, config=STRICT)
class DeepSetsConfig(ModelConfig):
    """`model=deep_sets`."""

    embedding: Count
    hidden: Count

    @property
    def about(self) -> str:
        return f"deep sets, an embedding of {self.embedding}, sums of {self.hidden} tanh units"

    def build(self, task: Task) -> DeepSets:
        """The network for the task's channels."""
        return DeepSets(task.inputs, self.embedding, self.hidden, task.outputs)
