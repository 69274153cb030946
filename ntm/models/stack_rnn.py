"""A stack-augmented RNN (Joulin & Mikolov 2015, arXiv 1503.01007) that learns when to push and when to pop.

Its units are tanh, not the paper's sigmoids, which learn far more slowly here; its one stack holds vectors, moved as a whole.
Letters: B batch, I inputs, C width, N cells of the stack, M channels of a cell.
"""

from typing import NamedTuple

import torch
from pydantic.dataclasses import dataclass
from torch import Tensor, nn
from torch.nn import functional as F

from ntm.models.base import ModelConfig, Signal
from ntm.models.recurrent import Cell, Recurrent, Tick
from tasks import Task
from tasks.fields import STRICT, Count


class StackState(NamedTuple):
    """What is handed from tick to tick."""

    hidden: Tensor  # [B C]
    stack: Tensor  # [B N M], the top first


class StackRNN(Cell):
    """A hidden vector that sees the top of a stack and pushes, pops and keeps, each in part; its notes are the parts [B 3]."""

    def __init__(self, inputs: int, width: int, depth: int, channels: int):
        super().__init__()
        self.width, self.depth = width, depth
        self.see = nn.Linear(inputs + width + channels, width)
        self.act = nn.Linear(width, 3)
        self.value = nn.Linear(width, channels)

    def initial_state(self, batch: int, room: int | None = None) -> StackState:
        """Nothing in mind, and an empty stack, which is zeros, of `room` cells."""
        like = self.value.bias
        return StackState(like.new_zeros(batch, self.width), like.new_zeros(batch, room or self.depth, len(like)))

    def forward(self, x: Tensor, state: StackState, noise: Tensor | None = None) -> Tick:
        """One tick, equations 3 to 6; what is pushed beyond the last cell is lost."""
        hidden = torch.tanh(self.see(torch.cat([x, state.hidden, state.stack[:, 0]], dim=-1)))  # equation 6
        actions = self.act(hidden).softmax(-1)  # equation 3
        push, pop, keep = actions[..., None, None].unbind(1)
        pushed = torch.cat([self.value(hidden).sigmoid().unsqueeze(1), state.stack[:, :-1]], dim=1)
        popped = F.pad(state.stack[:, 1:], (0, 0, 0, 1))
        stack = push * pushed + pop * popped + keep * state.stack  # equations 4 and 5, and the paper's no-operation
        return Tick(hidden, StackState(hidden, stack), actions)

    def signals(self, first: StackState, ticks: list[Tick]) -> tuple[Signal, ...]:
        """What was done at every tick, and the stack after it."""
        actions = torch.stack([tick.notes for tick in ticks], dim=1)
        stack = torch.stack([tick.state.stack for tick in ticks], dim=1)
        shown = Signal("push, pop, keep", "actions", "action", actions, (0.0, 1.0), weighting=True)
        return shown, Signal("stack", "stack", "cell", stack, columns="channel")


@dataclass(frozen=True, config=STRICT)
class StackRNNConfig(ModelConfig):
    """`model=stack_rnn`."""

    width: Count
    depth: Count  # cells of the stack in training; any number later
    channels: Count  # of each cell

    @property
    def about(self) -> str:
        return f"stack-augmented RNN, {self.width} units, {self.depth} cells x {self.channels}"

    def build(self, task: Task) -> Recurrent:
        """The network for the task's channels."""
        return Recurrent(StackRNN(task.inputs, self.width, self.depth, self.channels), task.outputs)
