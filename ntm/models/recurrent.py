"""Models that go tick by tick: a Cell says what happens in one, and `unroll` is the only time loop.

Letters: B batch, T ticks, I inputs, O outputs, C what a cell says.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from ntm.models.base import EAGER, Channel, Learned, Model, Output, Signal, no_discrete, only_eager
from tasks import Batch, Task


class Tick(NamedTuple):
    """What a cell made of one tick."""

    hidden: Tensor  # [B C], what it says
    state: Any  # for the next tick: a NamedTuple of the cell's own
    notes: Any = None  # what else a recording wants to show


class Cell(nn.Module, ABC):
    """One tick as a pure function: the state goes in and comes out, and nothing hides in `self`."""

    width: int
    """Size C of what it says."""

    noise_width = 0
    """Channels K of the noise that it can take."""

    focuses = False
    """See `Model.focuses`."""

    rounds = False
    """See `Model.rounds`."""

    @abstractmethod
    def initial_state(self, batch: int, room: int | None = None) -> Any:
        """Where every sequence starts, with this much memory (None: what it was built with)."""

    @abstractmethod
    def forward(self, x: Tensor, state: Any, noise: Tensor | None = None) -> Tick:
        """One tick from inputs [B I], a state, and noise [B K]."""

    @property
    def rounded(self) -> bool:
        """See `Model.rounded`."""
        return False

    @property
    def recomputes(self) -> bool:
        """See `Model.recomputes`."""
        return False

    def use(self, backend: str) -> None:
        """See `Model.use`."""
        only_eager(backend)

    def prepare(self, rows: int, gpu: bool = False) -> str:
        """See `Model.prepare`."""
        return EAGER

    def round(self, rounding: float) -> None:
        """See `Model.round`."""
        assert not rounding, "this cell hands on what is no bits"

    def whole(
        self, output: nn.Linear | None, inputs: Tensor, ticks: Tensor | None, state: Any, noise: Tensor | None, blur: bool = False
    ) -> tuple[Tensor, Any] | None:
        """What `output` makes of it [B T ...] (None: what the cell says), and the last state, of a run in one call.

        `blur` adds a channel: see `blur`. None where there is no faster way than the loop. What is said
        after a row's last tick, and its state then, may be anything.
        """
        return None

    def blur(self, state: Any) -> Tensor:
        """How far the heads [B] of a cell that `focuses` are from looking at one slot each: 0 to 1."""
        raise NotImplementedError

    def channels(self) -> tuple[Channel, ...]:
        """See `Model.channels`."""
        return ()

    def groups(self) -> dict[str, list[nn.Parameter]]:
        """See `Model.groups`."""
        return {}

    def room_for(self, need: int) -> int:
        """See `Model.room_for`."""
        return need

    def discrete(self, output: nn.Linear) -> Model:
        """See `Model.discrete`; `output` is made of what the cell says."""
        raise no_discrete()

    def signals(self, first: Any, ticks: list[Tick]) -> tuple[Signal, ...]:
        """What happened in a run that began in the state `first`, for pictures."""
        return ()


class Unrolled(NamedTuple):
    """A run of a cell."""

    said: list[Tensor]  # T times [B ...]
    state: Any  # after the last tick
    ticks: list[Tick]  # where they were recorded


def unroll(
    cell: Cell,
    say: Callable[[Tick], Tensor],
    inputs: Tensor,
    state: Any,
    noise: Tensor | None = None,
    record: bool = False,
) -> Unrolled:
    """Run a cell over inputs [B T I] from a state; `say` makes of each tick what is kept of it.

    Only what is said outlives a tick, unless `record` keeps all of them.
    """
    said, ticks = [], []
    for t, x in enumerate(inputs.unbind(1)):
        tick = cell(x, state, None if noise is None else noise[:, t])
        said.append(say(tick))
        state = tick.state
        if record:
            ticks.append(tick)
    return Unrolled(said, state, ticks)


def saying(cell: Cell, output: nn.Module | None, blur: bool = False) -> Callable[[Tick], Tensor]:
    """What is kept of a tick: what `output` makes of it (None: what the cell says), and with `blur` how blurred its heads are."""

    def say(tick: Tick) -> Tensor:
        said = tick.hidden if output is None else output(tick.hidden)
        return torch.cat([said, cell.blur(tick.state)[:, None]], dim=-1) if blur else said

    return say


def run(
    cell: Cell, output: nn.Linear | None, inputs: Tensor, ticks: Tensor | None, state: Any, noise: Tensor | None, blur: bool = False
) -> tuple[Tensor, Any]:
    """What is said [B T ...] and the last state: `Cell.whole`, or the loop where the cell has no faster way."""
    whole = cell.whole(output, inputs, ticks, state, noise, blur)
    if whole is not None:
        return whole
    made = unroll(cell, saying(cell, output, blur), inputs, state, noise)
    return torch.stack(made.said, dim=1), made.state


class Recurrent(Model):
    """A cell in the loop, and one linear layer from what it says to the logits."""

    goes_on = True

    def __init__(self, cell: Cell, outputs: int):
        super().__init__()
        self.cell = cell
        self.output = nn.Linear(cell.width, outputs)
        self.noise_width, self.focuses, self.rounds = cell.noise_width, cell.focuses, cell.rounds

    def learn(self, task: Task, batch: Batch, mean_over: str, noise: Tensor | None = None, focus: float = 0.0) -> Learned:
        """As every model's; `focus` times the blur of the heads is added to the loss: its mean over a row's ticks, then over rows,
        each as heavy as in the loss.
        """
        if not focus:
            return super().learn(task, batch, mean_over, noise)
        first = self.cell.initial_state(len(batch.inputs))
        said, _ = run(self.cell, self.output, batch.inputs, batch.ticks, first, noise, blur=True)
        logits, blur = said[..., :-1], said[..., -1]
        lasting = torch.arange(said.shape[1], device=said.device) < batch.ticks[:, None]
        heavy = batch.mask.sum(1) if mean_over == "bits" else torch.ones_like(batch.mask[:, 0])
        blurred = (heavy * (blur * lasting).sum(1) / batch.ticks).sum() / heavy.sum()
        loss = task.loss(logits, batch, mean_over) + focus * blurred
        return Learned(loss, task.score(logits.detach(), batch), blurred.detach())

    def forward(self, inputs, ticks=None, *, room=None, state=None, noise=None, record=False) -> Output:
        """As every model's; silent ticks after the end of a sequence change none of its logits."""
        assert state is None or room is None, "room belongs to the beginning"
        first = self.cell.initial_state(len(inputs), room) if state is None else state
        if not record:
            return Output(*run(self.cell, self.output, inputs, ticks, first, noise))
        made = unroll(self.cell, saying(self.cell, self.output), inputs, first, noise, record)
        return Output(torch.stack(made.said, dim=1), made.state, self.cell.signals(first, made.ticks))

    @property
    def rounded(self) -> bool:
        return self.cell.rounded

    @property
    def recomputes(self) -> bool:
        return self.cell.recomputes

    def use(self, backend: str) -> None:
        self.cell.use(backend)

    def prepare(self, rows: int, gpu: bool = False) -> str:
        return self.cell.prepare(rows, gpu)

    def round(self, rounding: float) -> None:
        self.cell.round(rounding)

    def channels(self) -> tuple[Channel, ...]:
        return self.cell.channels()

    def groups(self) -> dict[str, list[nn.Parameter]]:
        return self.cell.groups()

    def room_for(self, need: int) -> int:
        return self.cell.room_for(need)

    def discrete(self) -> Model:
        return self.cell.discrete(self.output)


class Layer(nn.Module):
    """A cell as a layer for anybody's code, used like torch.nn.LSTM: `outputs, state = layer(x, state)`, batch first."""

    def __init__(self, cell: Cell, inputs: int):
        super().__init__()
        self.cell = cell
        self.inputs = inputs
        self.width = cell.width

    def forward(self, x: Tensor, state: Any = None) -> tuple[Tensor, Any]:
        """What the cell says [B T width] to inputs [B T I], and the state to go on from; None is the beginning.

        Raises ValueError for inputs of another shape.
        """
        if x.dim() != 3 or x.shape[-1] != self.inputs:
            raise ValueError(f"x has shape {list(x.shape)}; allowed: [B, T, {self.inputs}]")
        state = self.cell.initial_state(len(x)) if state is None else state
        return run(self.cell, None, x, None, state, None)
