"""Learn a state table from traces: every tick of an execution is one example, from what a machine sees to what it must do.

The machine has the same shape as a compiled one and starts from random weights. Nothing is unrolled: a tick is supervised on
the logits of its own register, writing and moving, and only afterwards does the machine run free, on what it wrote itself.
"""

import numpy as np
import torch
from pydantic.dataclasses import dataclass
from torch import Tensor, nn
from torch.nn import functional as F

from ntm.errors import UserError
from ntm.models.base import Learned, Model, ModelConfig, Output, Shown
from ntm.models.recurrent import Recurrent
from ntm.models.turing.compiler import shape_of, shaped
from ntm.models.turing.decisions import Decisions
from ntm.models.turing.free import compare, record, score_free
from tasks import Batch, Score, Task, Turing
from tasks.fields import STRICT, Widths
from tasks.turing import random_word

TEMPERATURE = 3.0
"""Logits count for this much less in the loss, so they grow this much larger before it is content: margins."""


def decide_logits(machine: Recurrent, seen: Tensor) -> tuple[Tensor, Tensor]:
    """Logits of all that a tick decides, from what the machine sees [... R+Q] of its tapes and its register.

    First what a trace tells [... O], in the order of tasks/turing/task.py; then, for each tape, the erase gates, the gate
    that goes home and the sharpening, which a trace need not tell: always overwrite, never go home, stay sharp.
    """
    controller, register, heads, output = shape_of(machine)
    hidden = controller.layers(seen)
    values, erase = heads.writing(hidden).unflatten(-1, (heads.heads, -1)).chunk(2, dim=-1)
    gate, sharpening, moves = heads.addressing(hidden).unflatten(-1, (heads.heads, -1)).split([1, 1, 3], dim=-1)
    running = F.linear(hidden, output.weight[:, : controller.width], output.bias)
    told = [register(hidden), values.flatten(-2), moves.flatten(-2), running]
    fixed = [erase.flatten(-2), sharpening.flatten(-2), -gate.flatten(-2)]
    return torch.cat(told, dim=-1), torch.cat(fixed, dim=-1)


class TableMachine(Model):
    """A machine in the shape of a state table: it learns single ticks, and is judged and shown running free."""

    def __init__(self, machine: Recurrent):
        super().__init__()
        self.machine = machine
        # The output would see what is read after the tick, which no example shows: it is to listen to the controller alone.
        with torch.no_grad():
            self.machine.output.weight[:, shape_of(machine).controller.width :] = 0

    def forward(self, inputs, ticks=None, *, room=None, state=None, noise=None, record=False) -> Output:
        """Logits [B T O] of what each tick decides, given what the reference sees at it; a tick knows of no other."""
        return Output(decide_logits(self.machine, inputs)[0])

    def groups(self) -> dict[str, list[nn.Parameter]]:
        return self.machine.groups()

    def learn(self, task: Task, batch: Batch, mean_over: str, noise: Tensor | None = None, focus: float = 0.0) -> Learned:
        """The loss of all that a tick decides, what a trace need not tell included."""
        told, fixed = decide_logits(self.machine, batch.inputs)
        wanted = batch._replace(targets=torch.cat([batch.targets, torch.ones_like(fixed)], dim=-1))
        loss = task.loss(torch.cat([told, fixed], dim=-1) / TEMPERATURE, wanted, mean_over)
        return Learned(loss, task.score(told.detach(), batch))

    def examine(self, task: Turing, seed: int, index: int, size: int, length: int, room: int | None = None) -> Score:
        """Wrong cells at the end of free runs on random words; the tape grows as it is used, whatever the room."""
        return score_free(self.machine, task, np.random.default_rng([seed, index]), length, size)

    def show(self, task: Turing, split: str, seed: int, length: int, room: int | None = None) -> Shown:
        """One random word, run free."""
        word = random_word(np.random.default_rng(seed), task.pattern, length)
        line = compare(Decisions(self.machine, task.table), word, task.most_ticks).line
        return Shown(*record(self.machine, task, word), line)


@dataclass(frozen=True, config=STRICT)
class TableConfig(ModelConfig):
    """A machine whose register, heads and tapes a state table asks for."""

    hidden: Widths  # units of each layer of the controller

    @property
    def about(self) -> str:
        return f"feedforward controller {list(self.hidden)}, a register of its states, a head for each tape"

    def build(self, task: Task) -> TableMachine:
        """The machine for the task's table; raises UserError for a task that has none."""
        table = getattr(task, "table", None)
        if table is None:
            raise UserError("model=turing: this task has no state table; allowed: with task=turing")
        return TableMachine(shaped(table, list(self.hidden)))
