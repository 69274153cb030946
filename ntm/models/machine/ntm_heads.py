"""NTM heads (Graves et al. 2014, arXiv 1410.5401): address by content and location, then write, then read.

Letters: B batch, C controller width, N slots, M slot width, H heads, W writing heads, R all read vectors.
"""

from typing import Literal

import torch
from pydantic.dataclasses import dataclass
from torch import Tensor, nn
from torch.nn import functional as F

from ntm.models.base import Signal
from ntm.models.machine import addressing, memory
from ntm.models.machine.access import Access, Accessed, HeadParameters, HeadsState, Start, clip, head_signals, lean
from tasks import Task
from tasks.fields import STRICT, Few, Finite


class NTMHeads(Access):
    """`read_heads` that read, then `write_heads` that write, each with addressing of its own.

    Every head addresses the memory of the tick before; the reads see what this tick wrote. Fresh heads stay where they are
    the more, the higher `stay`, and move on the more, the higher `advance`.
    """

    def __init__(
        self,
        controller: int,
        slot_width: int,
        shift_width: int,
        read_heads: int = 1,
        write_heads: int = 1,
        stay: float = 0.0,
        advance: float = 0.0,
        start: Start = Start(),  # noqa: B008  # a NamedTuple, never changed
    ):
        heads = read_heads + write_heads
        super().__init__(heads, slot_width, read_heads * slot_width, start)
        self.readers, self.writers, self.slot_width, self.shift_width = read_heads, write_heads, slot_width, shift_width
        self.addressing = nn.Linear(controller, heads * (slot_width + shift_width + 3))
        self.writing = nn.Linear(controller, write_heads * 2 * slot_width)
        # Writing must advance. A reading head may wait for the answer to begin, or advance: it leans to both alike.
        lean(self.addressing, shift_width, stay, [[advance, advance]] * read_heads + [[0.0, advance]] * write_heads)

    def parameters_of(self, hidden: Tensor) -> HeadParameters:
        """Named parameters from hidden [B C]."""
        raw = clip(self.addressing(hidden)).unflatten(-1, (self.heads, -1))
        gate, strength, sharpening, key, shift = raw.split([1, 1, 1, self.slot_width, self.shift_width], dim=-1)
        add, erase = clip(self.writing(hidden)).unflatten(-1, (self.writers, -1)).chunk(2, dim=-1)
        return HeadParameters(
            gate=torch.sigmoid(gate).squeeze(-1),
            strength=F.softplus(strength).squeeze(-1),
            sharpening=1 + F.softplus(sharpening).squeeze(-1),
            key=key,
            shift=F.softmax(shift, dim=-1),
            erase=torch.sigmoid(erase),
            add=torch.tanh(add),
        )

    def forward(self, hidden: Tensor, x: Tensor, state: HeadsState, noise: Tensor | None = None) -> Accessed:
        """One tick; `x` and `noise` are not used."""
        p = self.parameters_of(hidden)
        assert p.key is not None
        assert p.strength is not None
        weights = addressing.interpolate(addressing.content(p.key, p.strength, state.memory), state.weights, p.gate)
        weights = addressing.sharpen(addressing.shift(weights, p.shift), p.sharpening)
        writing = weights[:, self.readers :]
        slots = memory.add(memory.erase(state.memory, writing, p.erase), writing, p.add)
        return Accessed(HeadsState(slots, weights, state.home), p)

    def read(self, state: HeadsState) -> Tensor:
        """What the read heads see: [B R], head by head."""
        return memory.read(state.memory, state.weights[:, : self.readers]).flatten(1)

    def signals(self, first: HeadsState, states: list[HeadsState], notes: list[HeadParameters]) -> tuple[Signal, ...]:
        """Weights of writing and reading heads, and what they were asked."""
        weights = torch.stack([state.weights for state in states], dim=1)
        return head_signals(weights[:, :, self.readers :], weights[:, :, : self.readers], states, notes)

    def moving(self) -> list[nn.Parameter]:
        return list(self.addressing.parameters())


@dataclass(frozen=True, config=STRICT)
class NTMHeadsConfig:
    """`model.heads` of kind ntm: Graves'."""

    kind: Literal["ntm"]
    read: Few
    write: Few
    stay: Finite  # how strongly a fresh head stays: its gate's logit starts this much lower
    advance: Finite  # how strongly a fresh head moves on: its last move's logit starts this much higher

    @property
    def total(self) -> int:
        """How many heads there are."""
        return self.read + self.write

    def build(self, controller: int, slot_width: int, shift_width: int, start: Start, task: Task) -> NTMHeads:
        """The heads beside a controller of this width."""
        widths = (controller, slot_width, shift_width)
        return NTMHeads(*widths, self.read, self.write, stay=self.stay, advance=self.advance, start=start)
