"""The door: all that training, evaluation and pictures know of a model. Behind it every model is a guest like any other.

A new model is a `Model` with one method, `forward`, and a `ModelConfig` that builds it; everything else here has a default.
Letters: B batch, T ticks, I inputs, O outputs, R rows, W columns of a table.
"""

from abc import ABC, abstractmethod
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from tasks import Batch, Score, Task

PIECE = 8
"""Ticks that a long sequence is run at a time, where no gradient is asked for."""


class Signal(NamedTuple):
    """What happened inside a model, tick by tick, as rows to be drawn."""

    name: str  # the panel's title: "write weights, head 0"
    picture: str  # the image that the panel is in: "write_weights"
    rows: str  # what a row is: "slot", "channel", "bit"
    values: Tensor  # [B T R]; where `columns` are named [B T R W], a table at every tick
    bounds: tuple[float, float] | None = None  # of the colours; None: what the values span
    weighting: bool = False  # rows sum to 1: entropy and sharpness are logged
    columns: str | None = None  # what a column of a table is


class Output(NamedTuple):
    """What `Model.forward` returns."""

    logits: Tensor  # [B T O]
    state: Any = None  # to go on from, where the model can
    signals: tuple[Signal, ...] = ()  # where they were recorded


class Learned(NamedTuple):
    """What one batch of training says."""

    loss: Tensor  # scalar, to be minimised
    score: Score


class Shown(NamedTuple):
    """One sequence, to be looked at."""

    batch: Batch  # of one sequence
    output: Output  # recorded
    line: str  # for people


class Model(nn.Module, ABC):
    """Anything that maps a Batch to an Output."""

    noise_width = 0
    """Channels K of the noise that `forward` can take; 0: a configuration that asks for noise is refused."""

    goes_on = False
    """Whether `forward` returns a state that it can go on from: long sequences are then run in pieces."""

    @abstractmethod
    def forward(
        self,
        inputs: Tensor,
        ticks: Tensor | None = None,
        *,
        room: int | None = None,
        state: Any = None,
        noise: Tensor | None = None,
        record: bool = False,
    ) -> Output:
        """Run inputs [B T I], of which row b lasts ticks[b] (None: all T), from `state` (None: the beginning).

        `room` is how much memory to begin with, for models that have one; None is what they were built with. `noise`
        [B T K], drawn by the caller, is added to gates' logits. `record` fills the signals.
        """

    def groups(self) -> dict[str, list[nn.Parameter]]:
        """Parameters by the name of their group; those of "addressing" learn at `optimizer.addressing_rate` times the rate."""
        return {}

    def room_for(self, need: int) -> int | None:
        """The room that this model takes where a task needs so much (`Task.room`); None: it has no memory to give room to."""
        return None

    def learn(self, task: Task, batch: Batch, mean_over: str, noise: Tensor | None = None) -> Learned:
        """What training minimises on a batch: here the task's loss of the logits."""
        logits = self(batch.inputs, batch.ticks, noise=noise).logits
        return Learned(task.loss(logits, batch, mean_over), task.score(logits.detach(), batch))

    def examine(self, task: Task, seed: int, index: int, size: int, length: int, room: int | None = None) -> Score:
        """Score of batch `index` of `size` test sequences of one length; `room` defaults to what the model takes for it."""
        batch = task.batch(seed, "test", index, size, (length, length)).to(device_of(self))
        return task.score(self.logits(batch, room or self.room_for(task.room(length))), batch)

    def logits(self, batch: Batch, room: int | None) -> Tensor:
        """Logits [B T O] of a batch, `PIECE` ticks at a time where the model goes on: they are all that is kept of a tick."""
        if not self.goes_on:
            return self(batch.inputs, batch.ticks, room=room).logits
        logits, state = torch.empty_like(batch.targets), None
        for start in range(0, batch.inputs.shape[1], PIECE):
            part = slice(start, start + PIECE)
            left = (batch.ticks - start).clamp(0, PIECE)
            output = self(batch.inputs[:, part], left, room=room if state is None else None, state=state)
            logits[:, part], state = output.logits, output.state
        return logits

    def show(self, task: Task, split: str, seed: int, length: int, room: int | None = None) -> Shown:
        """The first sequence of a split of this length, run and recorded, and a line that tells what came out."""
        batch = task.batch(seed, split, 0, 1, (length, length)).to(device_of(self))
        with torch.no_grad():
            output = self(batch.inputs, batch.ticks, room=room or self.room_for(task.room(length)), record=True)
        return Shown(batch, output, task.show(batch.inputs[0], task.answer(output.logits[0])))


class ModelConfig(ABC):
    """Base of all configurations of models: frozen dataclasses whose fields are the keys `model.<field>`."""

    @property
    @abstractmethod
    def about(self) -> str:
        """What it is, in a few words, for the summary of a run."""

    @abstractmethod
    def build(self, task: Task) -> Model:
        """The model for this task's channels, freshly initialised; raises UserError where the two do not fit."""


def device_of(model: nn.Module) -> torch.device:
    """Where a model's parameters are."""
    return next(model.parameters()).device
