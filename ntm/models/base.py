"""The door: all that training, evaluation and pictures know of a model. Behind it every model is a guest like any other.

A new model is a `Model` with one method, `forward`, and a `ModelConfig` that builds it; everything else here has a default.
Letters: B batch, T ticks, I inputs, O outputs, R rows, W columns of a table.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from ntm.errors import UserError
from tasks import Batch, Score, Task

EAGER = "eager step"
"""What runs a model tick by tick, or as torch does."""

PIECE, RECORDED = 64, 8
"""Ticks that a long sequence is run at a time, where no gradient is asked for, and where signals are recorded."""


class Signal(NamedTuple):
    """What happened inside a model, tick by tick, as rows to be drawn."""

    name: str  # the panel's title: "write weights, head 0"
    picture: str  # the image that the panel is in: "write_weights"
    rows: str  # what a row is: "slot", "channel", "bit"
    values: Tensor  # [B T R]; where `columns` are named [B T R W], a table at every tick
    bounds: tuple[float, float] | None = None  # of the colours; None: what the values span
    weighting: bool = False  # rows sum to 1: entropy and sharpness are logged
    columns: str | None = None  # what a column of a table is
    ticks: tuple[int, ...] | None = None  # which ticks `values` has; None: every one

    def at(self, tick: int) -> Tensor:
        """The first sequence's values at a tick: [R], or [R W] of a table."""
        return self.values[0, tick if self.ticks is None else self.ticks.index(tick)]


class Output(NamedTuple):
    """What `Model.forward` returns."""

    logits: Tensor  # [B T O]
    state: Any = None  # to go on from, where the model can
    signals: tuple[Signal, ...] = ()  # where they were recorded


class Channel(NamedTuple):
    """A number in 0..1 that is handed from tick to tick, and what makes it: the sigmoid of these rows of a layer."""

    name: str
    layer: nn.Linear
    rows: tuple[int, ...]

    @property
    def left(self) -> bool:
        """Whether it has not been given up."""
        return bool(self.layer.weight[list(self.rows)].any())


class Learned(NamedTuple):
    """What one batch of training says."""

    loss: Tensor  # scalar, to be minimised
    score: Score
    blur: Tensor | None = None  # scalar, how blurred its heads were, where a penalty is on them


class Shown(NamedTuple):
    """One sequence, to be looked at."""

    batch: Batch  # of one sequence
    output: Output  # recorded
    line: str  # for people


class Model(nn.Module, ABC):
    """Anything that maps a Batch to an Output."""

    noise_width = 0
    """Channels K of the noise that `forward` can take; 0: a configuration that asks for noise is refused."""

    focuses = False
    """Whether learning can draw what it holds to hard choices, as heads to one slot each; where not, asking for it is refused."""

    rounds = False
    """Whether what it hands from tick to tick can be drawn to bits; where not, a configuration that asks for it is refused."""

    goes_on = False
    """Whether `forward` returns a state that it can go on from: long sequences are then run in pieces."""

    piece = PIECE
    """Ticks that a long sequence is run at a time, where it goes on."""

    @property
    def rounded(self) -> bool:
        """Whether all that it hands from tick to tick is bits as it is: `discrete` is then the same run."""
        return False

    @property
    def recomputes(self) -> bool:
        """Whether of a long run only some states are kept for the way back, and what is between them is run again."""
        return False

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

        What is said after a row's last tick may be anything.

        `room` is how much memory to begin with, for models that have one; None is what they were built with. `noise`
        [B T K], drawn by the caller, is added to logits of gates, or to what else the model says. `record` fills the signals.
        """

    def use(self, backend: str) -> None:
        """Take the step that `trainer.backend` asks for, auto, eager or fused; raises UserError where there is no such step."""
        only_eager(backend)

    def prepare(self, rows: int, gpu: bool = False) -> str:
        """Make the step ready that was asked for, for batches of so many rows, there or on a GPU, and say which one it is.

        Raises UserError where it cannot be had here.
        """
        return EAGER

    def round(self, rounding: float) -> None:
        """Draw what is handed from tick to tick towards bits: 0 not at all, 1 in full. Asked only of who `rounds`."""
        assert not rounding, "this model hands on what is no bits"

    def channels(self) -> tuple[Channel, ...]:
        """What it hands from tick to tick and might do without, where it `rounds`: `curriculum.pruning_updates` tries."""
        return ()

    def groups(self) -> dict[str, list[nn.Parameter]]:
        """Parameters by the name of their group; those of "addressing" learn at `optimizer.addressing_rate` times the rate."""
        return {}

    def bounds(self) -> dict[str, tuple[float, float]]:
        """Parameters that every update leaves between two bounds, by name; here none."""
        return {}

    def told(self) -> str:
        """What its weights say that it has learned, in one sentence for people; here nothing is known to say."""
        return ""

    def room_for(self, need: int) -> int | None:
        """The room that this model takes where a task needs so much (`Task.room`); None: it has no memory to give room to."""
        return None

    def learn(self, task: Task, batch: Batch, mean_over: str, noise: Tensor | None = None, focus: float = 0.0) -> Learned:
        """What training minimises on a batch: here the task's loss of the logits; `focus` is asked only of who `focuses`."""
        assert not focus, "this model has no heads to focus"
        logits = self(batch.inputs, batch.ticks, noise=noise).logits
        return Learned(task.loss(logits, batch, mean_over), task.score(logits.detach(), batch))

    def examine(self, task: Task, seed: int, index: int, size: int, length: int, room: int | None = None) -> Score:
        """Score of batch `index` of `size` test sequences of one length; `room` defaults to what the model takes for it."""
        return self.judge(task, task.batch(seed, "test", index, size, (length, length)), length, room)

    def judge(self, task: Task, batch: Batch, length: int, room: int | None = None) -> Score:
        """Score of sequences of one length; `room` defaults to what the model takes for it."""
        batch = batch.to(device_of(self))
        return task.score(self.logits(batch, room or self.room_for(task.room(length))), batch)

    def logits(self, batch: Batch, room: int | None) -> Tensor:
        """Logits [B T O] of a batch: all that is kept of a tick where the model goes on.

        Their place is made once: small pieces that stay between large ones that go would hold the memory of both.
        """
        logits = torch.empty(0)
        for start, output in self.pieces(batch, room):
            if not start:
                logits = output.logits.new_empty(len(batch.ticks), batch.inputs.shape[1], output.logits.shape[-1])
            logits[:, start : start + output.logits.shape[1]] = output.logits
        return logits

    def pieces(self, batch: Batch, room: int | None, record: bool = False) -> Iterator[tuple[int, Output]]:
        """The run of a batch, piece by piece where the model goes on, each with its first tick."""
        state, ticks = None, batch.inputs.shape[1]
        size = ticks if not self.goes_on else RECORDED if record else self.piece
        for start in range(0, ticks, size):
            part, left = batch.inputs[:, start : start + size], (batch.ticks - start).clamp(0, size)
            output = self(part, left, room=None if start else room, state=state, record=record)
            state = output.state
            yield start, output

    def discrete(self) -> "Model":
        """This model with all that it holds rounded after every tick; raises UserError where there is no such thing."""
        raise no_discrete()

    def figures(self) -> dict[str, float]:
        """What it has to tell about the runs so far, by name."""
        return {}

    def show(self, task: Task, split: str, seed: int, length: int, room: int | None = None) -> Shown:
        """The first sequence of a split of this length, run and recorded, and a line that tells what came out.

        Of a table only what is drawn is kept: how it stands after the input and at the end.
        """
        batch = task.batch(seed, split, 0, 1, (length, length)).to(device_of(self))
        drawn = {batch.input_end, batch.inputs.shape[1] - 1}
        with torch.no_grad():
            pieces = self.pieces(batch, room or self.room_for(task.room(length)), record=True)
            parts = [Output(output.logits, None, kept(output.signals, start, drawn)) for start, output in pieces]
        output = Output(torch.cat([part.logits for part in parts], dim=1), None, joined([part.signals for part in parts]))
        return Shown(batch, output, task.show(batch.inputs[0], task.answer(output.logits[0])))


class ModelConfig(ABC):
    """Base of all configurations of models: frozen dataclasses whose fields are the keys `model.<field>`."""

    @property
    @abstractmethod
    def about(self) -> str:
        """What it is, in a few words, for the summary of a run."""

    @property
    def together(self) -> bool:
        """Whether many can be trained as one (`torch.func.vmap`): it must be of torch's plain functions, whatever a batch holds."""
        return True

    @abstractmethod
    def build(self, task: Task) -> Model:
        """The model for this task's channels, freshly initialised; raises UserError where the two do not fit."""


def only_eager(backend: str) -> None:
    """Raise UserError where another step is asked for than the one that every model has."""
    if backend == "fused":
        raise UserError("trainer.backend=fused: this model has no fused step; allowed: auto, eager")


def looked_up(model: Model) -> Model:
    """A model, or where all that it hands on is bits the same run by decisions: they take no longer in more room."""
    return model.discrete() if model.rounded else model


def no_discrete() -> UserError:
    """What is said of a model that cannot be rounded."""
    return UserError("discrete=true: this model has no such run, only a feed-forward controller with tape heads; allowed: false")


def kept(signals: tuple[Signal, ...], start: int, drawn: set[int]) -> tuple[Signal, ...]:
    """Signals of a piece from the tick `start` on, each table with no other ticks than those `drawn`."""
    short = []
    for signal in signals:
        if signal.columns is not None:
            ticks = tuple(tick for tick in sorted(drawn) if start <= tick < start + signal.values.shape[1])
            signal = signal._replace(values=signal.values[:, [tick - start for tick in ticks]], ticks=ticks)
        short.append(signal)
    return tuple(short)


def joined(pieces: list[tuple[Signal, ...]]) -> tuple[Signal, ...]:
    """The signals of all pieces, one after the other in time."""
    whole = []
    for parts in zip(*pieces, strict=True):
        ticks = None if parts[0].ticks is None else tuple(tick for part in parts for tick in part.ticks or ())
        whole.append(parts[0]._replace(values=torch.cat([part.values for part in parts], dim=1), ticks=ticks))
    return tuple(whole)


def device_of(model: nn.Module) -> torch.device:
    """Where a model's parameters are."""
    return next(model.parameters()).device
