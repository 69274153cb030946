"""A Neural GPU (Kaiser & Sutskever 2015, arXiv 1511.08228): a convolutional step on an image of the sequence, once for every tick.

With the improvements of Freivalds & Liepins 2017 (arXiv 1702.08727): units that are cut off instead of bent, a price on what lies
beyond the cut, and a diagonal gate. It sees the whole sequence before it says anything.
Letters: B batch, T ticks, I inputs, O outputs, M maps, W width of the image.
"""

import torch
from pydantic.dataclasses import dataclass
from torch import Tensor, nn
from torch.nn import functional as F

from ntm.models.base import Learned, Model, ModelConfig, Output, Signal
from tasks import Batch, Task
from tasks.fields import STRICT, Count, Few, NotNegative, Odd

LIMIT = 0.9
"""How far from 0 what goes into a unit is free of charge: the unit is cut off at 1."""


def beyond(x: Tensor) -> Tensor:
    """How far what goes into units [B M T W] lies beyond the limit, the sum of each row [B]: Freivalds & Liepins 2017."""
    return F.relu(x.abs() - LIMIT).sum((1, 2, 3))


class Step(nn.Module):
    """A convolutional gated unit on an image [B M T W], whose neighbours beyond its edges are zeros."""

    def __init__(self, maps: int, width: int, kernel: int, improved: bool):
        super().__init__()
        self.improved = improved
        seen = (kernel, min(kernel, 2 * width - 1))  # columns that are never there cost no time
        self.gates = nn.Conv2d(maps, 2 * maps, seen, padding="same")
        self.candidate = nn.Conv2d(maps, maps, seen, padding="same")
        assert self.gates.bias is not None
        reset, update = self.gates.bias.data.chunk(2)
        reset.fill_(0.5 if improved else 1.0)  # as the authors begin: at first much is kept
        update.fill_(0.7 if improved else 1.0)

    def forward(self, image: Tensor, lasting: Tensor) -> tuple[Tensor, Tensor]:
        """The next image, zeros where `lasting` [B 1 T 1] is not set, and the price of its saturation [B].

        Kaiser & Sutskever 2015, section 2, the CGRU; improved, Freivalds & Liepins 2017, section 3.
        """
        gates = self.gates(image)
        if not self.improved:
            reset, update = gates.sigmoid().chunk(2, dim=1)
            stepped = update * image + (1 - update) * self.candidate(reset * image).tanh()
            return stepped * lasting, image.new_zeros(len(image))
        reset, update = (gates.clamp(-1, 1) / 2 + 0.5).chunk(2, dim=1)
        candidate = self.candidate(reset * image)
        stepped = update * diagonal(image) + (1 - update) * candidate.clamp(-1, 1)
        return stepped * lasting, beyond(gates * lasting) + beyond(candidate * lasting)


def diagonal(image: Tensor) -> Tensor:
    """An image [B M T W] in whose maps a third is taken from the tick before, a third from the tick after, the others from here."""
    third = image.shape[1] // 3
    before, after, here = image.split([third, third, image.shape[1] - 2 * third], dim=1)
    return torch.cat([F.pad(before, (0, 0, 1, -1)), F.pad(after, (0, 0, -1, 1)), here], dim=1)


class NeuralGPU(Model):
    """Inputs become the first column of an image, the step is taken once a tick, and outputs are read off the first column."""

    def __init__(self, inputs: int, maps: int, width: int, kernel: int, improved: bool, saturation: float, outputs: int):
        super().__init__()
        self.width, self.saturation = width, saturation
        self.input = nn.Linear(inputs, maps)
        self.step = Step(maps, width, kernel, improved)
        self.output = nn.Linear(maps, outputs)

    def learn(self, task: Task, batch: Batch, mean_over: str, noise: Tensor | None = None, focus: float = 0.0) -> Learned:
        """As every model's; `saturation` times the price is added to the loss: per tick and step of a row, its mean over rows."""
        assert not focus, "this model has no heads to focus"
        column, price = self.run(batch.inputs, batch.ticks)
        logits = self.output(column)
        loss = task.loss(logits, batch, mean_over) + self.saturation * (price / batch.ticks**2).mean()
        return Learned(loss, task.score(logits.detach(), batch))

    def forward(self, inputs, ticks=None, *, room=None, state=None, noise=None, record=False) -> Output:
        """As every model's; all ticks of a row see one another, and none of its padding."""
        assert state is None, "a Neural GPU has no state to go on from"
        column, _ = self.run(inputs, torch.full_like(inputs[:, 0, 0], inputs.shape[1]) if ticks is None else ticks)
        shown = Signal("the image's first column, after the last step", "image", "map", column, (-1.0, 1.0))
        return Output(self.output(column), None, (shown,) if record else ())

    def run(self, inputs: Tensor, ticks: Tensor) -> tuple[Tensor, Tensor]:
        """The image's first column after as many steps as a row has ticks [B T M], and the price of saturation [B]."""
        lasting = (torch.arange(inputs.shape[1], device=inputs.device) < ticks[:, None])[:, None, :, None]
        seen = self.input(inputs).mT.unsqueeze(-1)
        image = F.pad(seen.clamp(-1, 1) if self.step.improved else seen.tanh(), (0, self.width - 1)) * lasting
        price = inputs.new_zeros(len(inputs))
        for step in range(inputs.shape[1]):
            going = step < ticks
            stepped, paid = self.step(image, lasting)
            image = torch.where(going[:, None, None, None], stepped, image)
            price = price + paid * going
        return image[..., 0].mT, price


@dataclass(frozen=True, config=STRICT)
class NeuralGPUConfig(ModelConfig):
    """`model=neural_gpu`."""

    maps: Count
    width: Few  # columns of the image
    kernel: Odd  # ticks and columns that a step sees
    improved: bool
    saturation: NotNegative  # weight of the price of saturation

    @property
    def about(self) -> str:
        kind = "improved Neural GPU" if self.improved else "Neural GPU"
        return f"{kind}, {self.maps} maps, width {self.width}, kernel {self.kernel}"

    def build(self, task: Task) -> NeuralGPU:
        """The network for the task's channels."""
        return NeuralGPU(task.inputs, self.maps, self.width, self.kernel, self.improved, self.saturation, task.outputs)
