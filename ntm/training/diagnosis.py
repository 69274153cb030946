"""Why an update was not finite: the first thing in it that is not, from what came in to what came out."""

import torch
from torch import Tensor
from torch.optim import Optimizer

from ntm.models import Model
from ntm.training.snapshot import spoilt
from tasks import Batch


class NonFiniteError(RuntimeError):
    """Training cannot go on: too many updates in a row were not finite."""


def cause(model: Model, optimizer: Optimizer, batch: Batch, noise: Tensor | None) -> str | None:
    """The name of the first of inputs, targets, weights, moments, and signals of a recorded run that is not finite.

    None where all are, so that loss or gradient were the first.
    """
    for name in ("inputs", "targets", "mask"):
        if not torch.isfinite(getattr(batch, name)).all():
            return f"{name} of the batch"
    return spoilt(model, optimizer) or inside(model, batch, noise)


def inside(model: Model, batch: Batch, noise: Tensor | None) -> str | None:
    """The first signal that is not finite in a recorded run of the first row that has one, and its tick."""
    with torch.no_grad():
        logits = model(batch.inputs, batch.ticks, noise=noise).logits
        rows = (~torch.isfinite(logits)).flatten(1).any(1).nonzero()
        if not len(rows):
            return None
        row = int(rows[0])
        one = slice(row, row + 1)
        noise = None if noise is None else noise[one]
        output = model(batch.inputs[one], batch.ticks[one], noise=noise, record=True)
    first = []
    for signal in output.signals:
        ticks = (~torch.isfinite(signal.values[0])).flatten(1).any(1).nonzero()
        if len(ticks):
            first.append((int(ticks[0]), signal.name))
    if not first:
        return "logits"
    tick, name = min(first, key=lambda found: found[0])
    return f"{name} at tick {tick}"
