"""The controller: what decides, one tick at a time. A feed-forward net with an optional register, or an LSTM.

Letters: B batch, I inputs (task inputs and last reads together), C controller width. A controller is a pure function
(inputs [B I], state) -> (hidden [B C], state) and says with `initial_state(batch)` where a sequence starts.
"""

from typing import Literal, NamedTuple

import torch
from pydantic.dataclasses import dataclass
from torch import Tensor, nn

from ntm.models.base import Channel, Signal
from ntm.models.machine.rounding import to_bits
from tasks.fields import STRICT, Count, Few, Natural, Widths


class RegisterState(NamedTuple):
    """What a feed-forward controller hands to its next tick."""

    register: Tensor  # [B Q], bits in 0..1; Q may be 0


class LSTMState(NamedTuple):
    """What an LSTM hands to its next tick, of all L layers."""

    hidden: Tensor  # [B L C]
    cell: Tensor  # [B L C]


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
        self.register = self.noise_width = register
        self.rounding = 0.0  # how far the register is drawn to bits

    def initial_state(self, batch: int) -> RegisterState:
        """An all-zero register."""
        return RegisterState(next(self.parameters()).new_zeros(batch, self.register))

    def forward(self, inputs: Tensor, state: RegisterState, noise: Tensor | None = None) -> tuple[Tensor, RegisterState]:
        """One tick; `noise` [B Q] is added to the register's logits."""
        if self.feedback is None:
            return self.layers(inputs), state
        hidden = self.layers(torch.cat([inputs, state.register], dim=-1))
        logits = self.feedback(hidden)
        if noise is not None:
            logits = logits + noise
        return hidden, RegisterState(to_bits(torch.sigmoid(logits), self.rounding))

    def channels(self) -> tuple[Channel, ...]:
        """The register's bits."""
        if self.feedback is None:
            return ()
        return tuple(Channel(f"register {bit}", self.feedback, (bit,)) for bit in range(self.register))

    def signals(self, states: list[RegisterState]) -> tuple[Signal, ...]:
        """The register after every tick, where there is one."""
        if not self.register:
            return ()
        bits = torch.stack([state.register for state in states], dim=1)
        return (Signal("register (what the controller hands to its next tick)", "register", "bit", bits, (0.0, 1.0)),)


class LSTM(nn.Module):
    """A stack of LSTM cells (torch's), the recurrent controller of Graves et al. 2014."""

    noise_width = 0

    def __init__(self, inputs: int, hidden: list[int]):
        super().__init__()
        assert len(set(hidden)) == 1, "every layer of the LSTM has the same width"
        sizes = [inputs, *hidden]
        self.cells = nn.ModuleList(nn.LSTMCell(before, after) for before, after in zip(sizes, sizes[1:]))
        self.width = hidden[-1]

    def initial_state(self, batch: int) -> LSTMState:
        """All-zero hidden and cell vectors."""
        zeros = next(self.parameters()).new_zeros(batch, len(self.cells), self.width)
        return LSTMState(zeros, zeros)

    def forward(self, inputs: Tensor, state: LSTMState, noise: Tensor | None = None) -> tuple[Tensor, LSTMState]:
        """One tick of every layer."""
        hidden, cells, below = [], [], inputs
        for layer, lstm in enumerate(self.cells):
            below, cell = lstm(below, (state.hidden[:, layer], state.cell[:, layer]))
            hidden.append(below)
            cells.append(cell)
        return below, LSTMState(torch.stack(hidden, 1), torch.stack(cells, 1))

    def signals(self, states: list[LSTMState]) -> tuple[Signal, ...]:
        """The hidden vectors after every tick, layer by layer."""
        hidden = torch.stack([state.hidden for state in states], dim=1)
        parts = enumerate(hidden.unbind(2))
        return tuple(Signal(f"hidden vector, layer {n}", "hidden", "unit", part, (-1.0, 1.0)) for n, part in parts)


@dataclass(frozen=True, config=STRICT)
class FeedForwardConfig:
    """`model.controller` of kind feedforward."""

    kind: Literal["feedforward"]
    hidden: Widths  # units of each layer
    register: Natural  # outputs fed back at the next tick; 0 is Graves'

    @property
    def width(self) -> int:
        """What it says to the heads, C."""
        return self.hidden[-1]

    def build(self, inputs: int) -> FeedForward:
        """The controller of so many inputs."""
        return FeedForward(inputs, list(self.hidden), self.register)


@dataclass(frozen=True, config=STRICT)
class LSTMConfig:
    """`model.controller` of kind lstm."""

    kind: Literal["lstm"]
    width: Count
    layers: Few

    def build(self, inputs: int) -> LSTM:
        """The controller of so many inputs."""
        return LSTM(inputs, [self.width] * self.layers)
