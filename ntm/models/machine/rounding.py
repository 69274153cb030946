"""Numbers in 0..1 drawn to bits, by any share, with gradients as if they had not been: straight through (Bengio, Leonard &
Courville 2013, arXiv 1308.3432). With a share of 1 what a machine hands on takes finitely many values: it is a table.
"""

import torch
from torch import Tensor
from torch.nn import functional as F


def to_bits(values: Tensor, rounding: float) -> Tensor:
    """Values [...] in 0..1, of which the share `rounding` is that of the nearest bit; halves go to 0."""
    return drawn(values, values.round(), rounding)


def to_one(weights: Tensor, rounding: float) -> Tensor:
    """Weights [... S] that sum to one, of which the share `rounding` is on the first of the largest."""
    return drawn(weights, F.one_hot(weights.argmax(-1), weights.shape[-1]).to(weights), rounding)


def drawn(values: Tensor, target: Tensor, rounding: float) -> Tensor:
    """Values on their way to a target, in gradients still themselves."""
    if not rounding:
        return values
    with torch.no_grad():
        now = values + rounding * (target - values)
    return now + (values - values.detach())
