"""Heads: one Linear turns what the controller says into named parameters, and these move, write and read.

Two kinds share one interface, `forward(hidden, x, memory, weights, home) -> HeadStep`:
  NTMHeads   Graves et al. 2014: address by content and location, then write, then read.
  TapeHeads  a Turing machine's head: write where it last read, go home or stay, shift, sharpen, then read.

Letters: B batch, C controller width, I inputs, N slots, M slot width, H heads, W writing heads, S shift width.
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ntm import addressing, memory

CLIP = 20.0
"""Raw head parameters are held within +-CLIP (Collier & Beel 2018), which bounds strength and sharpening at 21."""


def clip(raw: Tensor) -> Tensor:
    """Raw head parameters within +-CLIP; hardtanh is clamp with a backward pass in one kernel."""
    return F.hardtanh(raw, -CLIP, CLIP)


def lean(addressing: nn.Linear, moves: int, stay: float, advance: list[list[float]]) -> None:
    """Where fresh heads lean: gate logits start lower by `stay`, and head k's logits of the moves 0 and +1 higher by
    `advance[k]`.

    As an LSTM's forget bias lets it start out remembering: without it a fresh head spreads over all slots within a few
    ticks, and what was written can no longer be found. A head's first bias is its gate, its last ones are its moves.
    """
    with torch.no_grad():
        biases = addressing.bias.view(len(advance), -1)
        biases[:, 0] -= stay
        if moves > 1:
            forth = biases.shape[1] - moves // 2  # the move +1
            biases[:, forth - 1 : forth + 1] += torch.tensor(advance)


class HeadParameters(NamedTuple):
    """What a tick asked of the heads. Tape heads have no key and no strength."""

    gate: Tensor  # [B H] in 0..1
    shift: Tensor  # [B H S], a distribution over moves
    sharpening: Tensor  # [B H] at least 1
    erase: Tensor  # [B W M] in 0..1
    add: Tensor  # [B W M]
    key: Tensor | None = None  # [B H M]
    strength: Tensor | None = None  # [B H] at least 0


class HeadStep(NamedTuple):
    """One tick of every head."""

    weights: Tensor  # [B H N]
    memory: Tensor  # [B N M]
    reads: Tensor  # [B R], all read vectors side by side
    parameters: HeadParameters


class NTMHeads(nn.Module):
    """Graves' heads: `read_heads` that read, then `write_heads` that write, each with addressing of its own.

    Every head addresses the memory of the tick before; the reads see what this tick wrote.
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
    ):
        super().__init__()
        heads = read_heads + write_heads
        self.heads, self.writers, self.slot_width, self.shift_width = heads, write_heads, slot_width, shift_width
        self.read_width = read_heads * slot_width
        self.noise_width = 0
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

    def forward(
        self, hidden: Tensor, x: Tensor, slots: Tensor, weights: Tensor, home: Tensor, noise: Tensor | None = None
    ) -> HeadStep:
        """One tick from memory `slots` [B N M] and the last weights [B H N]; `x`, `home` and `noise` are not used."""
        p = self.parameters_of(hidden)
        assert p.key is not None
        assert p.strength is not None
        weights = addressing.interpolate(addressing.content(p.key, p.strength, slots), weights, p.gate)
        weights = addressing.sharpen(addressing.shift(weights, p.shift), p.sharpening)
        writing = weights[:, self.heads - self.writers :]
        slots = memory.add(memory.erase(slots, writing, p.erase), writing, p.add)
        return HeadStep(weights, slots, self.read(slots, weights), p)

    def used(self, before: Tensor, after: Tensor) -> tuple[Tensor, Tensor]:
        """Read weights and write weights of a tick, from all weights before and after it."""
        return after[:, : self.heads - self.writers], after[:, self.heads - self.writers :]

    def read(self, slots: Tensor, weights: Tensor) -> Tensor:
        """What the read heads see: [B R*M], head by head."""
        return memory.read(slots, weights[:, : self.heads - self.writers]).flatten(1)


class TapeHeads(nn.Module):
    """A Turing machine's heads: each writes where it last read, moves, and reads where it arrived.

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
    ):
        super().__init__()
        self.heads = self.writers = heads
        self.tapes = heads if separate else 1
        self.slot_width, self.shift_width = self.tapes * slot_width, shift_width
        self.window = tuple(window)
        self.read_width = heads * len(window) * slot_width
        self.noise_width = heads * 2 * slot_width
        self.control = None if control is None else list(control)
        source = controller if control is None else len(control)
        self.addressing = nn.Linear(source, heads * (shift_width + 2))
        self.writing = nn.Linear(controller, heads * 2 * slot_width)
        lean(self.addressing, shift_width, stay, [[0.0, advance]] * heads)

    def parameters_of(self, hidden: Tensor, x: Tensor, noise: Tensor | None) -> HeadParameters:
        """Named parameters from hidden [B C] and inputs [B I]; `noise` [B 2HM] is added to what is written."""
        source = hidden if self.control is None else x[:, self.control]
        raw = clip(self.addressing(source)).unflatten(-1, (self.heads, -1))
        gate, sharpening, shift = raw.split([1, 1, self.shift_width], dim=-1)
        written = clip(self.writing(hidden))
        if noise is not None:
            written = written + noise
        value, erase = torch.sigmoid(written).unflatten(-1, (self.heads, -1)).chunk(2, dim=-1)
        return HeadParameters(
            gate=torch.sigmoid(gate).squeeze(-1),
            sharpening=1 + F.softplus(sharpening).squeeze(-1),
            shift=F.softmax(shift, dim=-1),
            erase=erase,
            add=erase * value,
        )

    def forward(
        self, hidden: Tensor, x: Tensor, slots: Tensor, weights: Tensor, home: Tensor, noise: Tensor | None = None
    ) -> HeadStep:
        """One tick from memory `slots` [B N M], the last weights and the home weights, both [B H N]."""
        p = self.parameters_of(hidden, x, noise)
        writing = self.by_tape(weights)
        tapes = memory.erase(self.split(slots), writing, self.by_tape(p.erase))
        slots = self.join(memory.add(tapes, writing, self.by_tape(p.add)))
        weights = addressing.interpolate(home, weights, p.gate)
        weights = addressing.sharpen(addressing.shift(weights, p.shift), p.sharpening)
        return HeadStep(weights, slots, self.read(slots, weights), p)

    def split(self, slots: Tensor) -> Tensor:
        """Memory as one tape after another: [B N M] to [B*tapes N M/tapes]."""
        return slots if self.tapes == 1 else slots.unflatten(-1, (self.tapes, -1)).transpose(1, 2).flatten(0, 1)

    def join(self, tapes: Tensor) -> Tensor:
        """The inverse of `split`."""
        return tapes if self.tapes == 1 else tapes.unflatten(0, (-1, self.tapes)).transpose(1, 2).flatten(2)

    def by_tape(self, of_heads: Tensor) -> Tensor:
        """Something of every head [B H ...], tape by tape: [B*tapes H/tapes ...]."""
        return of_heads if self.tapes == 1 else of_heads.flatten(0, 1).unsqueeze(1)

    def used(self, before: Tensor, after: Tensor) -> tuple[Tensor, Tensor]:
        """Read weights and write weights of a tick: a head reads where it arrives, and wrote where it stood before."""
        return after, before

    def read(self, slots: Tensor, weights: Tensor) -> Tensor:
        """Everything the heads see: [B H*len(window)*M], head by head, offset by offset."""
        seen = torch.stack([weights.roll(offset, -1) for offset in self.window], dim=2) if self.window != (0,) else weights
        return memory.read(self.split(slots), self.by_tape(seen).flatten(1, -2)).reshape(len(slots), -1)
