"""What stands between a controller and its memory: heads. The memory is theirs alone, opaque to the controller.

An Access is a pure function `(hidden, x, state) -> Accessed`, with a state of its own. Both kinds here share `HeadsState` and
where it starts; each is one file: ntm_heads.py and tape_heads.py.

Letters: B batch, C controller width, I inputs, N slots, M slot width, H heads, W writing heads, R all read vectors, S shift width.
"""

from abc import ABC, abstractmethod
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ntm.models.base import Signal
from ntm.models.machine.memory import random_memory

CLIP = 20.0
"""Raw head parameters are held within +-CLIP (Collier & Beel 2018), which bounds strength and sharpening at 21."""


class Start(NamedTuple):
    """Where memory and heads start."""

    slots: int = 32
    memory: Literal["constant", "learned", "random"] = "constant"  # learned: the first `slots` slots; random: fixed draws
    value: float = 1e-6  # of constant memory, and of slots beyond a learned one
    weights: Literal["onehot", "learned"] = "onehot"  # head k at slot k, or a distribution over the first `slots` slots


class HeadsState(NamedTuple):
    """What heads hand to the next tick."""

    memory: Tensor  # [B N M]
    weights: Tensor  # [B H N]
    home: Tensor  # [B H N], where each head started


class HeadParameters(NamedTuple):
    """What a tick asked of the heads. Tape heads have no key and no strength."""

    gate: Tensor  # [B H] in 0..1
    shift: Tensor  # [B H S], a distribution over moves
    sharpening: Tensor  # [B H] at least 1
    erase: Tensor  # [B W M] in 0..1
    add: Tensor  # [B W M]
    key: Tensor | None = None  # [B H M]
    strength: Tensor | None = None  # [B H] at least 0


class Accessed(NamedTuple):
    """One tick of an access."""

    state: Any  # its own
    notes: Any  # what a recording wants to show of the tick


class Access(nn.Module, ABC):
    """Memory and the heads that read and write it. The number of slots is an argument of `initial_state`, never a parameter."""

    noise_width = 0
    """Channels of noise that it takes."""

    def __init__(self, heads: int, memory_width: int, read_width: int, start: Start):
        super().__init__()
        self.heads, self.memory_width, self.read_width, self.start = heads, memory_width, read_width, start
        if start.memory == "learned":
            self.first_memory = nn.Parameter(torch.full((start.slots, memory_width), start.value))
        if start.weights == "learned":
            # Not uniform: on constant memory every slot would stay like every other, and no gradient could tell them apart.
            self.first_weights = nn.Parameter(5 * torch.eye(heads, start.slots))

    @abstractmethod
    def forward(self, hidden: Tensor, x: Tensor, state: Any, noise: Tensor | None = None) -> Accessed:
        """One tick from hidden [B C], inputs [B I] and a state."""

    @abstractmethod
    def read(self, state: Any) -> Tensor:
        """Everything that the heads see in a state: [B R]."""

    @abstractmethod
    def signals(self, first: Any, states: list[Any], notes: list[Any]) -> tuple[Signal, ...]:
        """What happened in a run from the state `first`, for pictures."""

    @abstractmethod
    def moving(self) -> list[nn.Parameter]:
        """The parameters that move the heads: a group with a learning rate of its own."""

    def initial_state(self, batch: int, slots: int | None = None) -> HeadsState:
        """Where every sequence starts, with `slots` slots (None: those it was built with)."""
        start, like = self.start, self.moving()[0]
        slots = slots or start.slots
        memory = like.new_full((slots, self.memory_width), start.value)
        if start.memory == "learned":
            memory = torch.cat([self.first_memory[:slots], memory[start.slots :]])
        elif start.memory == "random":
            memory = random_memory(slots, self.memory_width).to(like)
        if start.weights == "learned":
            learned = torch.softmax(self.first_weights[:, :slots], dim=-1)
            home = F.pad(learned, (0, max(0, slots - start.slots)))
        else:
            home = torch.eye(self.heads, slots, dtype=like.dtype, device=like.device)
        home = home.expand(batch, -1, -1)
        return HeadsState(memory.expand(batch, -1, -1), home, home)

    def room_for(self, need: int) -> int:
        """Twice the slots that are needed, and no fewer than it was built with.

        Slots are a ring: heads that part at home, or one that never stops writing, would meet on it what they should not.
        """
        return max(self.start.slots, 2 * need)


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
        leaning = torch.zeros_like(biases)
        leaning[:, 0] = -stay
        if moves > 1:
            forth = biases.shape[1] - moves // 2  # the move +1
            leaning[:, forth - 1 : forth + 1] = torch.tensor(advance)
        addressing.bias.copy_((biases + leaning).view(-1))  # not in place: on the device "meta" that would load sympy, for a second


def head_signals(writes: Tensor, reads: Tensor, states: list[HeadsState], notes: list[HeadParameters]) -> tuple[Signal, ...]:
    """Signals of heads that looked at `writes` [B T W N] to write and at `reads` [B T H N] to read."""

    def asked(name: str) -> Tensor:
        return torch.stack([getattr(p, name) for p in notes], dim=1)

    def by_head(name: str, picture: str, rows: str, values: Tensor, bounds: tuple[float, float] | None, weighting: bool = False):
        parts = enumerate(values.unbind(2))
        return [Signal(name.format(head), picture, rows, part, bounds, weighting) for head, part in parts]

    unit, shift = (0.0, 1.0), asked("shift")
    reach = shift.shape[-1] // 2
    moves = f"moves {-reach} (top) to {reach:+d} (bottom)"
    gates = [Signal("gate", "gate_strength_sharpening", "head", asked("gate"), unit)]
    if notes[0].strength is not None:
        gates.append(Signal("strength", "gate_strength_sharpening", "head", asked("strength")))
    gates.append(Signal("sharpening", "gate_strength_sharpening", "head", asked("sharpening")))
    memory = torch.stack([state.memory for state in states], dim=1)
    return (
        *by_head("write weights, head {}", "write_weights", "slot", writes, unit, weighting=True),
        *by_head("add vector, head {}", "add_vectors", "channel", asked("add"), None),
        *by_head("erase vector, head {}", "add_vectors", "channel", asked("erase"), unit),
        *by_head("read weights, head {}", "read_weights", "slot", reads, unit, weighting=True),
        *gates,
        *by_head(f"shift, head {{}}: {moves}", "shift", "move", shift, unit),
        Signal("memory", "memory", "slot", memory, columns="channel"),
    )
