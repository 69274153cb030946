"""A Neural GPU (Kaiser & Sutskever 2015, arXiv 1511.08228): a convolutional step on an image of the sequence, once for every tick.

With the improvements of Freivalds & Liepins 2017 (arXiv 1702.08727): units that are cut off instead of bent, a price on what lies
beyond the cut, and a diagonal gate. It sees the whole sequence before it says anything.
Letters: B batch, T ticks, I inputs, O outputs, M maps, W width of the image, K cells that a step sees.
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
    """How far what goes into units [B T W M] lies beyond the limit, the sum of each tick [B T]: Freivalds & Liepins 2017."""
    return F.relu(x.abs() - LIMIT).sum((2, 3))


def seen(image: Tensor, rows: int, columns: int) -> Tensor:
    """What a step sees from every cell of an image [B T W M], [B T W KM]: the cells around it, zeros beyond the edges.

    With it a convolution is one product of matrices: half the time of torch's own by one column, a sixth more by four.
    """
    padded = F.pad(image, (0, 0, columns // 2, columns // 2, rows // 2, rows // 2))
    ticks, width = image.shape[1:3]
    return torch.cat([padded[:, i : i + ticks, j : j + width] for i in range(rows) for j in range(columns)], dim=-1)


class Step(nn.Module):
    """A convolutional gated unit on an image [B T W M], whose neighbours beyond its edges are zeros."""

    def __init__(self, maps: int, width: int, kernel: int, improved: bool):
        super().__init__()
        self.improved = improved
        self.kernel = kernel, min(kernel, 2 * width - 1)  # columns that are never there cost no time
        cells = self.kernel[0] * self.kernel[1]
        self.gates = nn.Linear(cells * maps, 2 * maps)
        self.candidate = nn.Linear(cells * maps, maps)
        reset, update = self.gates.bias.data.chunk(2)
        reset.fill_(0.5 if improved else 1.0)  # as the authors begin: at first much is kept
        update.fill_(0.7 if improved else 1.0)

    def forward(self, image: Tensor, lasting: Tensor, noise: Tensor) -> tuple[Tensor, Tensor]:
        """The next image, zeros where `lasting` [B T 1 1] is not set, and the price of its saturation [B].

        Kaiser & Sutskever 2015, section 2, the CGRU; improved, Freivalds & Liepins 2017, section 3. `noise` [B T 1 3M] is added to
        what goes into units.
        """
        maps = image.shape[-1]
        gates = self.gates(seen(image, *self.kernel)) + noise[..., : 2 * maps]
        reset, update = (gates.clamp(-1, 1) / 2 + 0.5 if self.improved else gates.sigmoid()).chunk(2, dim=-1)
        candidate = self.candidate(seen(reset * image, *self.kernel)) + noise[..., 2 * maps :]
        if not self.improved:
            return torch.lerp(candidate.tanh(), image, update) * lasting, image.new_zeros(len(image))
        stepped = torch.lerp(candidate.clamp(-1, 1), diagonal(image), update)
        return stepped * lasting, ((beyond(gates) + beyond(candidate)) * lasting[..., 0, 0]).sum(1)


def diagonal(image: Tensor) -> Tensor:
    """An image [B T W M] in whose maps a third is taken from the tick before, a third from the tick after, the others from here."""
    third = image.shape[-1] // 3
    before, after, here = image.split([third, third, image.shape[-1] - 2 * third], dim=-1)
    return torch.cat([F.pad(before, (0, 0, 0, 0, 1, -1)), F.pad(after, (0, 0, 0, 0, -1, 1)), here], dim=-1)


class NeuralGPU(Model):
    """Inputs become the first column of an image, the step is taken once a tick, and outputs are read off the first column."""

    def __init__(self, inputs: int, maps: int, width: int, kernel: int, improved: bool, saturation: float, outputs: int):
        super().__init__()
        self.width, self.saturation, self.noise_width = width, saturation, 3 * maps
        self.input = nn.Linear(inputs, maps)
        self.step = Step(maps, width, kernel, improved)
        self.output = nn.Linear(maps, outputs)

    def learn(self, task: Task, batch: Batch, mean_over: str, noise: Tensor | None = None, focus: float = 0.0) -> Learned:
        """As every model's; `saturation` times the price is added to the loss: per tick and step of a row, its mean over rows."""
        assert not focus, "this model has no heads to focus"
        column, price = self.run(batch.inputs, batch.ticks, noise)
        logits = self.output(column)
        loss = task.loss(logits, batch, mean_over) + self.saturation * (price / batch.ticks**2).mean()
        return Learned(loss, task.score(logits.detach(), batch))

    def forward(self, inputs, ticks=None, *, room=None, state=None, noise=None, record=False) -> Output:
        """As every model's; all ticks of a row see one another, and none of its padding."""
        assert state is None, "a Neural GPU has no state to go on from"
        column, _ = self.run(inputs, torch.full_like(inputs[:, 0, 0], inputs.shape[1]) if ticks is None else ticks, noise)
        shown = Signal("the image's first column, after the last step", "image", "map", column, (-1.0, 1.0))
        return Output(self.output(column), None, (shown,) if record else ())

    def run(self, inputs: Tensor, ticks: Tensor, noise: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """The image's first column after as many steps as a row has ticks [B T M], and the price of saturation [B].

        A row that has made its last step is laid aside: the longest come first, so that those that go on stay together.
        """
        order = ticks.argsort(descending=True, stable=True)
        steps = torch.arange(inputs.shape[1], device=inputs.device)
        lasting = (steps < ticks[order, None])[..., None, None]
        first = self.input(inputs[order]).unsqueeze(2)
        image = F.pad(first.clamp(-1, 1) if self.step.improved else first.tanh(), (0, 0, 0, self.width - 1)) * lasting
        price, done = inputs.new_zeros(len(inputs)), [image[:0]]
        noise = (inputs.new_zeros(len(inputs), 1, self.noise_width) if noise is None else noise[order]).unsqueeze(2)
        going_on = (steps[:, None] < ticks).sum(1)
        for going in [len(inputs)] * len(steps) if ticks.is_meta else going_on.tolist():  # "meta" holds no numbers: all go on
            done.append(image[going:])
            image, paid = self.step(image[:going], lasting[:going], noise[:going])
            price = price + F.pad(paid, (0, len(price) - going))
        back = order.argsort()
        return torch.cat([image, *reversed(done)])[back, :, 0], price[back]


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

    @property
    def together(self) -> bool:
        return False  # how many rows go on is read off a batch

    def build(self, task: Task) -> NeuralGPU:
        """The network for the task's channels."""
        return NeuralGPU(task.inputs, self.maps, self.width, self.kernel, self.improved, self.saturation, task.outputs)
