"""NaN-safe gradient clipping: a non-finite loss or gradient is found before it can touch a weight or a moment."""

from collections.abc import Iterable
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.utils import clip_grad_value_, clip_grads_with_norm_, get_total_norm


class Clipped(NamedTuple):
    """What clipping found and did."""

    norm: float  # of all gradients together, before clipping
    fraction: float  # of the gradients that were clipped: elements for "value", 0 or 1 for "norm"
    offender: str | None  # name of the first non-finite tensor; None says that the update may be taken


def clip_gradients(parameters: Iterable[tuple[str, nn.Parameter]], loss: Tensor, mode: str, limit: float) -> Clipped:
    """Clip the gradients of named parameters in place, by their common "norm" or each "value", unless one is not finite.

    Pascanu et al. 2013 (norm), Graves et al. 2014, section 4.6 (values within +-10). With an offender the gradients are
    left as they are and must not be used.
    """
    named = [(name, p) for name, p in parameters if p.grad is not None]
    gradients = [p.grad for _, p in named]
    norm = get_total_norm(gradients)
    if not (torch.isfinite(loss) and torch.isfinite(norm)):
        return Clipped(norm.item(), 0.0, first_offender(named, loss))
    if mode == "norm":
        clip_grads_with_norm_([p for _, p in named], limit, norm)
        fraction = float(norm > limit)
    else:
        beyond = sum(int((g.abs() > limit).sum()) for g in gradients)
        fraction = beyond / sum(g.numel() for g in gradients)
        clip_grad_value_([p for _, p in named], limit)
    return Clipped(norm.item(), fraction, None)


def first_offender(named: list[tuple[str, nn.Parameter]], loss: Tensor) -> str:
    """Name of what is not finite: the loss, else a gradient, else the norm that overflowed."""
    if not torch.isfinite(loss):
        return "loss"
    return next((f"gradient of {name}" for name, p in named if not torch.isfinite(p.grad).all()), "gradient norm")
