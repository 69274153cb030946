"""How a transformer is told where a tick is: added to what it sees, turned into what it asks, or a price on distance.

Letters: B batch, T ticks, C width, H heads, D width of a head.
"""

import math
from typing import Literal

import torch
from torch import Tensor

Positions = Literal["sinusoidal", "rotary", "alibi", "none"]


def angles(ticks: int, width: int, like: Tensor) -> Tensor:
    """Tick m times the rates 10000^(-2i/width) [T ceil(width/2)]: Vaswani et al. 2017, section 3.5; Su et al. 2021, eq. 15."""
    rates = torch.exp(torch.arange(0, width, 2, dtype=like.dtype, device=like.device) * (-math.log(10_000.0) / width))
    return torch.arange(ticks, dtype=like.dtype, device=like.device).unsqueeze(1) * rates


def sinusoids(ticks: int, width: int, like: Tensor) -> Tensor:
    """Positions [T C]: sines on the even channels, cosines on the odd ones, of wavelengths from 2 pi to 10000 * 2 pi.

    Vaswani et al. 2017, section 3.5.
    """
    turns = angles(ticks, width, like)
    return torch.stack([turns.sin(), turns.cos()], dim=-1).flatten(1)[:, :width]


def rotated(x: Tensor) -> Tensor:
    """Queries or keys [B H T D], D even, each pair of channels turned by its tick's angles: Su et al. 2021, eq. 34."""
    turns = angles(x.shape[-2], x.shape[-1], x)
    even, odd = x[..., 0::2], x[..., 1::2]
    turned = even * turns.cos() - odd * turns.sin(), odd * turns.cos() + even * turns.sin()
    return torch.stack(turned, dim=-1).flatten(-2)


def distance_prices(heads: int, ticks: int, like: Tensor) -> Tensor:
    """What ALiBi adds to scores [H T T]: minus the distance back, times 2^(-8h/H) for head h = 1..H.

    Press et al. 2022, section 3; their slopes for numbers of heads that are no powers of two are the same formula's here.
    """
    slopes = 2 ** (torch.arange(1, heads + 1, dtype=like.dtype, device=like.device) * (-8.0 / heads))
    tick = torch.arange(ticks, dtype=like.dtype, device=like.device)
    return (tick - tick.unsqueeze(1)) * slopes[:, None, None]


def causal(scores: Tensor) -> Tensor:
    """Scores [... T T] with minus infinity for what is still to come."""
    later = torch.ones(scores.shape[-2:], dtype=torch.bool, device=scores.device).triu(1)
    return scores.masked_fill(later, -math.inf)
