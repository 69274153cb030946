"""Tape heads, a Turing machine's: write where they last read, go home or stay, shift, sharpen, then read.

Letters: B batch, C controller width, I inputs, N slots, M slot width, H heads, R all read vectors.
"""

from typing import Annotated, Literal

import torch
from pydantic import Field
from pydantic.dataclasses import dataclass
from torch import Tensor, nn
from torch.nn import functional as F

from ntm.errors import UserError
from ntm.models.base import Channel, Signal
from ntm.models.machine import addressing, memory
from ntm.models.machine.access import Access, Accessed, HeadParameters, HeadsState, Start, clip, head_signals, lean
from ntm.models.machine.rounding import to_bits, to_one
from tasks import Task
from tasks.fields import STRICT, Few, Finite, Integer

NEAR = 1e-5
"""Of a bit: what constant memory may start from and be read as that bit; by default it is 1e-6."""


class TapeHeads(Access):
    """Heads that write where they last read, move, and read where they arrived.

    A gate of 1 sends the head back to its home slot, 0 lets it stay; then it shifts and sharpens. Writing overwrites:
    a slot keeps 1 - erase of what it held and takes erase times the new value, so slots stay within 0..1.

    `window` lists the slots a head sees, as offsets from its own: [0] is its slot alone, [0, 1] the next one too.
    `control`, a list of input channels, makes gate, shift and sharpening a function of those channels only.
    `separate` heads have a tape of their own each, side by side in the slots: head h owns the h-th M channels of H*M.
    """

    def __init__(
        self,
        controller: int,
        slot_width: int,
        shift_width: int,
        heads: int = 1,
        window: tuple[int, ...] = (0,),
        control: tuple[int, ...] | None = None,
        stay: float = 0.0,
        advance: float = 0.0,
        separate: bool = False,
        start: Start = Start(),  # noqa: B008  # a NamedTuple, never changed
    ):
        tapes = heads if separate else 1
        super().__init__(heads, tapes * slot_width, heads * len(window) * slot_width, start)
        self.tapes, self.slot_width, self.shift_width, self.window = tapes, slot_width, shift_width, tuple(window)
        self.noise_width = heads * 2 * slot_width
        self.rounding = 0.0  # how far what is written and where heads go are drawn to bits
        self.control = None if control is None else list(control)
        source = controller if control is None else len(control)
        self.addressing = nn.Linear(source, heads * (shift_width + 2))
        self.writing = nn.Linear(controller, heads * 2 * slot_width)
        lean(self.addressing, shift_width, stay, [[0.0, advance]] * heads)

    def parameters_of(self, hidden: Tensor, x: Tensor, noise: Tensor | None) -> HeadParameters:
        """Named parameters from hidden [B C] and inputs [B I]; `noise` [B 2HM] is added to what is written."""
        source = hidden if self.control is None else torch.stack([x[:, channel] for channel in self.control], dim=-1)
        raw = clip(self.addressing(source)).unflatten(-1, (self.heads, -1))
        gate, sharpening, shift = raw.split([1, 1, self.shift_width], dim=-1)
        written = clip(self.writing(hidden))
        if noise is not None:
            written = written + noise
        value, erase = to_bits(torch.sigmoid(written), self.rounding).unflatten(-1, (self.heads, -1)).chunk(2, dim=-1)
        return HeadParameters(
            gate=to_bits(torch.sigmoid(gate), self.rounding).squeeze(-1),
            sharpening=1 + F.softplus(sharpening).squeeze(-1),
            shift=to_one(F.softmax(shift, dim=-1), self.rounding),
            erase=erase,
            add=erase * value,
        )

    @property
    def keep_bits(self) -> bool:
        """Whether slots hold bits where what is written is bits: two heads that write to one slot may leave a 2 there."""
        begin = self.start.memory == "constant" and min(abs(self.start.value), abs(self.start.value - 1)) <= NEAR
        return begin and self.start.weights == "onehot" and (self.heads == 1 or self.tapes > 1)

    def forward(self, hidden: Tensor, x: Tensor, state: HeadsState, noise: Tensor | None = None) -> Accessed:
        """One tick."""
        p = self.parameters_of(hidden, x, noise)
        writing = self.by_tape(state.weights)
        tapes = memory.erase(self.split(state.memory), writing, self.by_tape(p.erase))
        slots = self.join(memory.add(tapes, writing, self.by_tape(p.add)))
        weights = addressing.interpolate(state.home, state.weights, p.gate)
        weights = addressing.sharpen(addressing.shift(weights, p.shift), p.sharpening)
        return Accessed(HeadsState(slots, weights, state.home), p)

    def read(self, state: HeadsState) -> Tensor:
        """Everything the heads see: [B R], head by head, offset by offset."""
        weights = state.weights
        seen = torch.stack([weights.roll(offset, -1) for offset in self.window], dim=2) if self.window != (0,) else weights
        return memory.read(self.split(state.memory), self.by_tape(seen).flatten(1, -2)).reshape(len(weights), -1)

    def signals(self, first: HeadsState, states: list[HeadsState], notes: list[HeadParameters]) -> tuple[Signal, ...]:
        """Where heads wrote, which is where they stood a tick before, where they read, and what they were asked."""
        wrote, read = (torch.stack([s.weights for s in of], dim=1) for of in ([first, *states[:-1]], states))
        return head_signals(wrote, read, states, notes)

    def channels(self) -> tuple[Channel, ...]:
        """The channels of a slot, which all heads of their tape write."""
        width = self.slot_width
        rows = [
            tuple(head * 2 * width + channel for head in range(tape, self.heads, self.tapes))
            for tape in range(self.tapes)
            for channel in range(width)
        ]
        return tuple(Channel(f"slot {number}", self.writing, of) for number, of in enumerate(rows))

    def moving(self) -> list[nn.Parameter]:
        return list(self.addressing.parameters())

    def split(self, slots: Tensor) -> Tensor:
        """Memory as one tape after another: [B N M] to [B*tapes N M/tapes]."""
        return slots if self.tapes == 1 else slots.unflatten(-1, (self.tapes, -1)).transpose(1, 2).flatten(0, 1)

    def join(self, tapes: Tensor) -> Tensor:
        """The inverse of `split`."""
        return tapes if self.tapes == 1 else tapes.unflatten(0, (-1, self.tapes)).transpose(1, 2).flatten(2)

    def by_tape(self, of_heads: Tensor) -> Tensor:
        """Something of every head [B H ...], tape by tape: [B*tapes H/tapes ...]."""
        return of_heads if self.tapes == 1 else of_heads.flatten(0, 1).unsqueeze(1)


@dataclass(frozen=True, config=STRICT)
class TapeHeadsConfig:
    """`model.heads` of kind tape: a Turing machine's."""

    kind: Literal["tape"]
    count: Few
    window: Annotated[tuple[Integer, ...], Field(min_length=1, max_length=1000)]  # offsets of the slots seen
    address_from: Literal["hidden", "control"]  # what moves the heads: the controller, or the task's flags alone
    separate: bool  # every head has a tape of its own
    stay: Finite  # how strongly a fresh head stays: its gate's logit starts this much lower
    advance: Finite  # how strongly a fresh head moves on: its last move's logit starts this much higher

    @property
    def total(self) -> int:
        """How many heads there are."""
        return self.count

    def build(self, controller: int, slot_width: int, shift_width: int, start: Start, task: Task) -> TapeHeads:
        """The heads beside a controller of this width; raises UserError where a task has no flags to move them."""
        control = task.control if self.address_from == "control" else None
        if control == ():
            raise UserError("model.heads.address_from=control: this task has no input channels with flags; allowed: hidden")
        return TapeHeads(
            controller,
            slot_width,
            shift_width,
            heads=self.count,
            window=self.window,
            control=control,
            stay=self.stay,
            advance=self.advance,
            separate=self.separate,
            start=start,
        )
