"""NaN-safe gradient clipping: a non-finite loss or gradient is found before it can touch a weight or a moment."""

from collections.abc import Iterable
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.utils import clip_grad_value_, clip_grads_with_norm_


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
    named = [(name, p, p.grad) for name, p in parameters if p.grad is not None]
    weights, gradients = [p for _, p, _ in named], [gradient for _, _, gradient in named]
    norm = torch.linalg.vector_norm(torch.cat([gradient.reshape(-1) for gradient in gradients]))  # faster than many norms
    if not torch.isfinite(loss):
        return Clipped(norm.item(), 0.0, "loss")
    if not torch.isfinite(norm):
        offenders = (f"gradient of {name}" for name, _, gradient in named if not torch.isfinite(gradient).all())
        return Clipped(norm.item(), 0.0, next(offenders, "gradient norm"))
    if mode == "norm":
        clip_grads_with_norm_(weights, limit, norm)
        return Clipped(norm.item(), float(norm > limit), None)
    beyond = torch.stack([(gradient.abs() > limit).sum() for gradient in gradients]).sum()
    fraction = beyond.item() / sum(gradient.numel() for gradient in gradients)
    clip_grad_value_(weights, limit)
    return Clipped(norm.item(), fraction, None)
