"""Machines as layers for anybody's code, used like torch.nn.LSTM: no configuration, no Lightning, no task.

layer = NTM(8)
outputs, state = layer(x)          # x [B T 8], outputs [B T layer.width]
outputs, state = layer(more, state)
"""

from typing import Literal

from ntm.models.machine.access import Access, Start
from ntm.models.machine.controllers import LSTM, FeedForward
from ntm.models.machine.machine import Machine
from ntm.models.machine.ntm_heads import NTMHeads
from ntm.models.machine.tape_heads import TapeHeads
from ntm.models.recurrent import Layer

Controller = Literal["feedforward", "lstm"]
Backend = Literal["auto", "eager", "fused"]


class NTM(Layer):
    """A Neural Turing Machine (Graves et al. 2014) over inputs [B T I]; says controller and reads [B T width].

    `hidden` is the controller's width, `register` how many bits a feed-forward controller feeds back. Slots are no parameters:
    `layer.cell.initial_state(batch, slots)` begins with any number of them.
    """

    def __init__(
        self,
        inputs: int,
        hidden: int = 100,
        *,
        controller: Controller = "feedforward",
        register: int = 4,
        slots: int = 32,
        slot_width: int = 20,
        shift_width: int = 3,
        read_heads: int = 1,
        write_heads: int = 1,
        stay: float = 2.0,
        advance: float = 2.5,
        backend: Backend = "auto",
    ):
        start = Start(slots)
        access = NTMHeads(hidden, slot_width, shift_width, read_heads, write_heads, stay=stay, advance=advance, start=start)
        super().__init__(wired(inputs, hidden, controller, register, access, backend), inputs)


class Tape(Layer):
    """A machine with tape heads over inputs [B T I]; says controller and reads [B T width].

    `window` lists the slots that a head sees, as offsets from its own; `control` the input channels that move the heads (None:
    the controller moves them). The rest is as in NTM.
    """

    def __init__(
        self,
        inputs: int,
        hidden: int = 128,
        *,
        controller: Controller = "feedforward",
        register: int = 4,
        slots: int = 32,
        slot_width: int = 20,
        shift_width: int = 3,
        heads: int = 1,
        window: tuple[int, ...] = (0,),
        control: tuple[int, ...] | None = None,
        stay: float = 1.0,
        advance: float = 2.0,
        backend: Backend = "auto",
    ):
        start = Start(slots)
        access = TapeHeads(hidden, slot_width, shift_width, heads, window, control, stay=stay, advance=advance, start=start)
        super().__init__(wired(inputs, hidden, controller, register, access, backend), inputs)


def wired(inputs: int, hidden: int, controller: Controller, register: int, access: Access, backend: Backend) -> Machine:
    """A machine of these heads and a controller of one layer; raises ValueError for an unknown controller or backend."""
    if backend not in ("auto", "eager", "fused"):
        raise ValueError(f"backend={backend}: no such step; allowed: auto, eager, fused")
    if controller not in ("feedforward", "lstm"):
        raise ValueError(f"controller={controller}: no such controller; allowed: feedforward, lstm")
    seen = inputs + access.read_width
    machine = Machine(FeedForward(seen, [hidden], register) if controller == "feedforward" else LSTM(seen, [hidden]), access)
    machine.use(backend)
    return machine
