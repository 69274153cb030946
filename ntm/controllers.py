"""The controller: what decides, one tick at a time. A feed-forward net with an optional register, or an LSTM.

Letters: B batch, I inputs (task inputs and last reads together), C controller width. A controller is a pure function
(inputs [B I], state) -> (hidden [B C], state) and says with `initial_state(batch)` where a sequence starts.
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn


class ControllerState(NamedTuple):
    """What a controller hands to its next tick: the register [B R], or the LSTM's hidden and cell [B L C]."""

    register: Tensor
    cell: Tensor


class FeedForward(nn.Module):
    """Linear layers with ReLU between them, and `register` squashed outputs in 0..1 fed back at the next tick.

    With register 0 it is the feed-forward controller of Graves et al. 2014; with a register its bits are the "state" of
    a Turing machine's table.
    """

    def __init__(self, inputs: int, hidden: list[int], register: int = 0):
        super().__init__()
        sizes = [inputs + register, *hidden]
        layers = [(nn.Linear(before, after), nn.ReLU()) for before, after in zip(sizes, sizes[1:])]
        self.layers = nn.Sequential(*(module for pair in layers for module in pair))
        self.feedback = nn.Linear(hidden[-1], register) if register else None
        self.width = hidden[-1]
        self.register = register

    def initial_state(self, batch: int) -> ControllerState:
        """An all-zero register."""
        zeros = next(self.parameters()).new_zeros
        return ControllerState(register=zeros(batch, self.register), cell=zeros(batch, 0))

    def forward(self, inputs: Tensor, state: ControllerState, noise: Tensor | None = None) -> tuple[Tensor, ControllerState]:
        """One tick; `noise` [B R] is added to the register's logits."""
        if self.feedback is None:
            return self.layers(inputs), state
        hidden = self.layers(torch.cat([inputs, state.register], dim=-1))
        logits = self.feedback(hidden)
        if noise is not None:
            logits = logits + noise
        return hidden, state._replace(register=torch.sigmoid(logits))


class LSTM(nn.Module):
    """A stack of LSTM cells (torch's), the recurrent controller of Graves et al. 2014."""

    def __init__(self, inputs: int, hidden: list[int]):
        super().__init__()
        assert len(set(hidden)) == 1, "every layer of the LSTM has the same width"
        sizes = [inputs, *hidden]
        self.cells = nn.ModuleList(nn.LSTMCell(before, after) for before, after in zip(sizes, sizes[1:]))
        self.width = hidden[-1]
        self.register = 0

    def initial_state(self, batch: int) -> ControllerState:
        """All-zero hidden and cell vectors."""
        zeros = next(self.parameters()).new_zeros(batch, len(self.cells), self.width)
        return ControllerState(register=zeros, cell=zeros)

    def forward(self, inputs: Tensor, state: ControllerState, noise: Tensor | None = None) -> tuple[Tensor, ControllerState]:
        """One tick of every layer."""
        hidden, cells, below = [], [], inputs
        for layer, lstm in enumerate(self.cells):
            below, cell = lstm(below, (state.register[:, layer], state.cell[:, layer]))
            hidden.append(below)
            cells.append(cell)
        return below, ControllerState(register=torch.stack(hidden, 1), cell=torch.stack(cells, 1))
