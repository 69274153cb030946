"""The machine: a controller, heads and memory in a loop (Graves et al. 2014). One pure step, one time loop.

Letters: B batch, T ticks, N slots, M slot width, H heads, W writing heads, I inputs, O outputs, S shift width.
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn

from ntm.controllers import LSTM, ControllerState, FeedForward
from ntm.heads import HeadParameters, HeadStep, NTMHeads, TapeHeads
from ntm.memory import random_memory


class State(NamedTuple):
    """Everything one tick hands to the next."""

    memory: Tensor  # [B N M]
    weights: Tensor  # [B H N]
    home: Tensor  # [B H N], where each head started
    reads: Tensor  # [B R]
    controller: ControllerState


class Trace(NamedTuple):
    """What happened, tick by tick. Fields that a kind of head does not have are None."""

    memory: Tensor  # [B T N M], after the tick
    read_weights: Tensor  # [B T H N], where each reading head looked
    write_weights: Tensor  # [B T W N], where each writing head looked
    reads: Tensor  # [B T R]
    register: Tensor  # [B T R], or the hidden vectors of an LSTM
    gate: Tensor  # [B T H]
    shift: Tensor  # [B T H S]
    sharpening: Tensor  # [B T H]
    erase: Tensor  # [B T W M]
    add: Tensor  # [B T W M]
    key: Tensor | None  # [B T H M]
    strength: Tensor | None  # [B T H]


class Output(NamedTuple):
    """What `Machine.forward` returns."""

    logits: Tensor  # [B T O]
    state: State
    trace: Trace | None


class Machine(nn.Module):
    """Controller + heads + memory. The number of slots is an argument of `initial_state`, never a parameter.

    `memory_init` is "constant" (every value `memory_value`), "learned" (the first `slots` slots are parameters, the rest
    constant) or "random" (fixed draws). `weights_init` is "onehot" (head k at slot k) or "learned" (a distribution over
    the first `slots` slots).
    """

    def __init__(
        self,
        controller: FeedForward | LSTM,
        heads: NTMHeads | TapeHeads,
        outputs: int,
        slots: int,
        memory_init: str = "constant",
        memory_value: float = 1e-6,
        weights_init: str = "onehot",
    ):
        super().__init__()
        assert memory_init in ("constant", "learned", "random")
        assert weights_init in ("onehot", "learned")
        self.controller = controller
        self.heads = heads
        self.output = nn.Linear(controller.width + heads.read_width, outputs)
        self.slots = slots
        self.memory_init, self.memory_value = memory_init, memory_value
        if memory_init == "learned":
            self.first_memory = nn.Parameter(torch.full((slots, heads.slot_width), memory_value))
        # Not uniform: on constant memory every slot would stay like every other, and no gradient could tell them apart.
        self.first_weights = nn.Parameter(5 * torch.eye(heads.heads, slots)) if weights_init == "learned" else None

    def initial_state(self, batch: int, slots: int | None = None) -> State:
        """Where every sequence starts, with `slots` slots (by default those it was built with)."""
        slots = slots or self.slots
        like = self.output.weight
        constant = like.new_full((slots, self.heads.slot_width), self.memory_value)
        if self.memory_init == "learned":
            constant = torch.cat([self.first_memory[:slots], constant[self.slots :]])
        elif self.memory_init == "random":
            constant = random_memory(slots, self.heads.slot_width).to(like)
        if self.first_weights is None:
            home = torch.eye(self.heads.heads, slots, dtype=like.dtype, device=like.device)
        else:
            learned = torch.softmax(self.first_weights[:, :slots], dim=-1)
            home = nn.functional.pad(learned, (0, max(0, slots - self.slots)))
        memory = constant.expand(batch, -1, -1)
        home = home.expand(batch, -1, -1)
        reads = self.heads.read(memory, home)
        return State(memory, home, home, reads, self.controller.initial_state(batch))

    def advance(self, x: Tensor, state: State, noise: Tensor | None = None) -> tuple[Tensor, State, HeadParameters]:
        """One tick, with the parameters that the heads were given: `step` for those who record."""
        register_noise = head_noise = None
        if noise is not None:
            register_noise, head_noise = noise.split([self.controller.register, self.heads.noise_width], dim=-1)
        hidden, controller = self.controller(torch.cat([x, state.reads], -1), state.controller, register_noise)
        tick: HeadStep = self.heads(hidden, x, state.memory, state.weights, state.home, head_noise)
        logits = self.output(torch.cat([hidden, tick.reads], dim=-1))
        return logits, State(tick.memory, tick.weights, state.home, tick.reads, controller), tick.parameters

    def step(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        """One tick: inputs [B I] and a state to logits [B O] and the next state. Pure."""
        logits, state, _ = self.advance(x, state)
        return logits, state

    def forward(
        self,
        inputs: Tensor,
        state: State | None = None,
        slots: int | None = None,
        record: bool = False,
        noise: Tensor | None = None,
    ) -> Output:
        """Run inputs [B T I] from `state` (default: the initial state with `slots` slots).

        `record` fills the trace. `noise` [B T K], drawn by the caller, is added to the logits of the register and of
        what is written: training under noise drives them to 0 and 1.
        """
        assert state is None or slots is None, "slots belong to the initial state"
        state = self.initial_state(len(inputs), slots) if state is None else state
        logits, ticks = [], []
        for t, x in enumerate(inputs.unbind(1)):
            before = state.weights
            tick_logits, state, parameters = self.advance(x, state, None if noise is None else noise[:, t])
            logits.append(tick_logits)
            if record:
                ticks.append((*self.heads.used(before, state.weights), state, parameters))
        return Output(torch.stack(logits, dim=1), state, stack_trace(ticks) if record else None)


def stack_trace(ticks: list[tuple[Tensor, Tensor, State, HeadParameters]]) -> Trace:
    """The trace of a run from its ticks: read and write weights, state, head parameters."""
    read_weights, write_weights, states, parameters = zip(*ticks)

    def asked(name: str) -> Tensor | None:
        parts = [getattr(p, name) for p in parameters]
        return None if parts[0] is None else torch.stack(parts, dim=1)

    return Trace(
        torch.stack([s.memory for s in states], dim=1),
        torch.stack(read_weights, dim=1),
        torch.stack(write_weights, dim=1),
        torch.stack([s.reads for s in states], dim=1),
        torch.stack([s.controller.register.flatten(1) for s in states], dim=1),
        *(asked(name) for name in Trace._fields[5:]),  # type: ignore[arg-type]  # only key and strength may be None
    )
