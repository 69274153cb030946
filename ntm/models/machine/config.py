"""`model=ntm` and its relatives: what a machine is made of, as checked keys `model.<field>`."""

from typing import Annotated, Literal

from pydantic import Field
from pydantic.dataclasses import dataclass

from ntm.errors import UserError
from ntm.models.base import ModelConfig
from ntm.models.machine.access import Start
from ntm.models.machine.controllers import FeedForwardConfig, LSTMConfig
from ntm.models.machine.machine import Machine
from ntm.models.machine.ntm_heads import NTMHeadsConfig
from ntm.models.machine.tape_heads import TapeHeadsConfig
from ntm.models.recurrent import Recurrent
from tasks import Task
from tasks.fields import STRICT, Count, Finite, Odd

Controllers = Annotated[FeedForwardConfig | LSTMConfig, Field(discriminator="kind")]
"""Every kind of controller: a new one is a row here."""

Heads = Annotated[NTMHeadsConfig | TapeHeadsConfig, Field(discriminator="kind")]
"""Every kind of heads: a new one is one file and a row here."""


@dataclass(frozen=True, config=STRICT)
class MachineConfig(ModelConfig):
    """Sizes of everything that is learned, and where it starts."""

    controller: Controllers
    heads: Heads
    slots: Count  # in training; evaluation may use more
    slot_width: Count
    shift_width: Odd
    memory_init: Literal["constant", "learned", "random"]
    memory_value: Finite  # of constant memory, and of slots beyond a learned one
    weights_init: Literal["onehot", "learned"]

    @property
    def about(self) -> str:
        return f"{self.controller.kind} controller, {self.heads.kind} heads, {self.slots} slots x {self.slot_width}"

    @property
    def together(self) -> bool:
        return self.controller.kind != "lstm"  # torch's own cell has no rule for it

    def build(self, task: Task) -> Recurrent:
        """The machine in its loop; raises UserError where slots, heads and task do not fit each other."""
        needed = task.room(task.lengths[1])
        if self.slots < needed:
            lacking = f"too few for length {task.lengths[1]} of this task, which needs at least {needed} slots"
            raise UserError(f"model.slots={self.slots}: {lacking}")
        if self.shift_width > self.slots:
            raise UserError(f"model.shift_width={self.shift_width}: at most model.slots={self.slots}")
        if self.heads.total > self.slots:
            raise UserError(f"model.slots={self.slots}: at least one slot for each of the {self.heads.total} heads")
        start = Start(self.slots, self.memory_init, self.memory_value, self.weights_init)
        heads = self.heads.build(self.controller.width, self.slot_width, self.shift_width, start, task)
        controller = self.controller.build(heads.read_width + task.inputs)
        return Recurrent(Machine(controller, heads), task.outputs)
