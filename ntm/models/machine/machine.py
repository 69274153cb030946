"""The machine: a controller wired to a memory through heads (Graves et al. 2014), as one pure tick.

Letters: B batch, I inputs, R all read vectors, C controller width.
"""

from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from ntm.errors import UserError
from ntm.models.base import EAGER, Channel, Model, Signal, only_eager
from ntm.models.machine import captured
from ntm.models.machine.access import Access
from ntm.models.machine.controllers import LSTM, FeedForward
from ntm.models.machine.discrete import Discrete
from ntm.models.machine.fused import library, whole
from ntm.models.machine.tape_heads import TapeHeads
from ntm.models.recurrent import Cell, Tick


class MachineState(NamedTuple):
    """Everything one tick hands to the next."""

    controller: Any  # the controller's own
    access: Any  # the heads' own: memory and where they stand
    reads: Tensor  # [B R]


class Machine(Cell):
    """Controller and access: hidden = controller(x, reads), then the access moves, writes and reads; it says both."""

    def __init__(self, controller: FeedForward | LSTM, access: Access):
        super().__init__()
        self.controller = controller
        self.access = access
        self.width = controller.width + access.read_width
        self.noise_width = controller.noise_width + access.noise_width
        self.backend = "eager"
        self.focuses = True
        self.rounds = isinstance(controller, FeedForward) and isinstance(access, TapeHeads)

    def initial_state(self, batch: int, room: int | None = None) -> MachineState:
        """Where every sequence starts, with `room` slots (None: those it was built with)."""
        access = self.access.initial_state(batch, room)
        return MachineState(self.controller.initial_state(batch), access, self.access.read(access))

    def forward(self, x: Tensor, state: MachineState, noise: Tensor | None = None) -> Tick:
        """One tick; of the noise [B K] the controller's register takes the first channels, writing the rest."""
        register_noise = access_noise = None
        if noise is not None:
            register_noise, access_noise = noise.split([self.controller.noise_width, self.access.noise_width], dim=-1)
        hidden, controller = self.controller(torch.cat([x, state.reads], -1), state.controller, register_noise)
        access, notes = self.access(hidden, x, state.access, access_noise)
        reads = self.access.read(access)
        return Tick(torch.cat([hidden, reads], dim=-1), MachineState(controller, access, reads), notes)

    @property
    def rounded(self) -> bool:
        heads = self.access
        return looked_up(self) and isinstance(heads, TapeHeads) and heads.rounding == 1 and heads.keep_bits

    @property
    def recomputes(self) -> bool:
        return self.backend != "eager"

    def use(self, backend: str) -> None:
        """Take the step that is asked for; only the machines of this package have a fused one."""
        if type(self) is not Machine or not whole.known(self.controller, self.access):
            only_eager(backend)
            backend = "eager"
        self.backend = backend

    def prepare(self, rows: int, gpu: bool = False) -> str:
        if self.backend == "eager":
            return EAGER
        if gpu:
            return captured.TOLD
        try:
            return library.load(whole.kind_of(rows, torch.float32)).told
        except library.NoLibraryError as error:
            return self.go_without(error)

    def go_without(self, error: library.NoLibraryError) -> str:
        """Take the loop, unless the fused step was asked for by name."""
        if self.backend == "fused":
            raise UserError(f"trainer.backend=fused: {error}; allowed: auto, eager") from None
        self.backend = "eager"
        return f"{EAGER} ({error})"

    def whole(self, output, inputs, ticks, state, noise, blur=False) -> tuple | None:
        """By the fused step, or captured on a GPU, where it can be had and nothing looks into the loop."""
        if self.backend == "auto" and inputs.is_cuda:
            return captured.run(self, output, inputs, state, noise, blur)
        if self.backend == "eager" or not whole.plain(self, output, inputs, state, noise):
            return None
        try:
            return whole.run(self, output, inputs, ticks, state, noise, blur)
        except library.NoLibraryError as error:
            self.go_without(error)
            return None

    def round(self, rounding: float) -> None:
        """Draw the register, what is written, and where heads go towards bits; a table at 1."""
        if isinstance(self.controller, FeedForward) and isinstance(self.access, TapeHeads):
            self.controller.rounding = self.access.rounding = rounding
        else:
            super().round(rounding)

    def blur(self, state: MachineState) -> Tensor:
        """How far heads [B] are from looking at one slot each: a mean over them of 1 - the sum of their squared weights."""
        return 1 - state.access.weights.square().sum((1, 2)) / self.access.heads

    def channels(self) -> tuple[Channel, ...]:
        """The register's bits and the channels of a slot."""
        if isinstance(self.controller, FeedForward) and isinstance(self.access, TapeHeads):
            return (*self.controller.channels(), *self.access.channels())
        return super().channels()

    def groups(self) -> dict[str, list[nn.Parameter]]:
        """What moves the heads may learn faster or slower than the rest: `optimizer.addressing_rate`."""
        return {"addressing": self.access.moving()}

    def room_for(self, need: int) -> int:
        return self.access.room_for(need)

    def discrete(self, output: nn.Linear) -> Model:
        """By decisions that are looked up."""
        return Discrete(self, output) if looked_up(self) else super().discrete(output)

    def signals(self, first: MachineState, ticks: list[Tick]) -> tuple[Signal, ...]:
        """Everything of access and controller, and what was read."""
        states = [tick.state for tick in ticks]
        reads = torch.stack([state.reads for state in states], dim=1)
        return (
            *self.access.signals(first.access, [state.access for state in states], [tick.notes for tick in ticks]),
            Signal("read vectors", "read_vectors", "channel", reads),
            *self.controller.signals([state.controller for state in states]),
        )


def looked_up(machine: Machine) -> bool:
    """Whether each of its ticks can be made once and looked up."""
    return (type(machine), type(machine.controller), type(machine.access)) == (Machine, FeedForward, TapeHeads)
