"""Learn a state table from traces: every tick of an execution is one example, from what a machine sees to what it must do.

The machine has the same shape as a compiled one and starts from random weights. Nothing is unrolled: a tick is supervised on
the logits of its own register, writing and moving, and only afterwards does the machine run free, on what it wrote itself.
"""

from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from ntm.config import Config
from ntm.data import Draw, Longer
from ntm.losses import masked_bits
from ntm.machine import Machine, Output
from ntm.module import LitMachine, Tally
from ntm.turing.compiler import shape_of
from ntm.turing.decisions import Decisions
from ntm.turing.free import compare, record
from tasks import Batch, Turing
from tasks.turing import random_word

TEMPERATURE = 3.0
"""Logits count for this much less in the loss, so they grow this much larger before it is content: margins."""


def decide_logits(machine: Machine, seen: Tensor) -> tuple[Tensor, Tensor]:
    """Logits of all that a tick decides, from what the machine sees [... R+Q] of its tapes and its register.

    First what a trace tells [... O], in the order of tasks/turing/task.py; then, for each tape, the erase gates, the gate
    that goes home and the sharpening, which a trace need not tell: always overwrite, never go home, stay sharp.
    """
    controller, register, heads = shape_of(machine)
    hidden = controller.layers(seen)
    values, erase = heads.writing(hidden).unflatten(-1, (heads.heads, -1)).chunk(2, dim=-1)
    gate, sharpening, moves = heads.addressing(hidden).unflatten(-1, (heads.heads, -1)).split([1, 1, 3], dim=-1)
    running = F.linear(hidden, machine.output.weight[:, : controller.width], machine.output.bias)
    told = [register(hidden), values.flatten(-2), moves.flatten(-2), running]
    fixed = [erase.flatten(-2), sharpening.flatten(-2), -gate.flatten(-2)]
    return torch.cat(told, dim=-1), torch.cat(fixed, dim=-1)


class LitTrace(LitMachine):
    """A machine that learns from the steps of a reference."""

    task: Turing

    def __init__(self, config: Config, raw: dict[str, Any]):
        super().__init__(config, raw)
        # The output would see what is read after the tick, which no example shows: it is to listen to the controller alone.
        with torch.no_grad():
            self.machine.output.weight[:, self.machine.controller.width :] = 0

    def training_step(self, draw: Draw, index: int) -> Tensor:
        """Loss in bits per bit that a tick decides."""
        told, fixed = decide_logits(self.machine, draw.batch.inputs)
        self.latest, self.stage = self.task.score(told.detach(), draw.batch), draw.stage
        targets = torch.cat([draw.batch.targets, torch.ones_like(fixed)], dim=-1)
        return self.loss(torch.cat([told, fixed], dim=-1) / TEMPERATURE, draw.batch._replace(targets=targets))

    def validation_step(self, longer: Longer, index: int) -> None:
        """Score single ticks of longer executions."""
        told, _ = decide_logits(self.machine, longer.batch.inputs)
        self.tallies.append(Tally(longer.length, masked_bits(told, longer.batch).item(), self.task.score(told, longer.batch)))

    def probe(self, seed: int) -> tuple[Batch, Output, str]:
        """One fixed word, run free."""
        word = random_word(np.random.default_rng(seed), self.task.pattern, self.task.probe_length)
        batch, output = record(self.machine, self.task, word)
        return batch, output, compare(Decisions(self.machine, self.task.table), word, self.task.most_ticks).line
