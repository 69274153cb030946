"""Losses of tasks whose answers are bits, in bits per output bit that is due.

Letters: B batch, T ticks, O outputs.
"""

import math
from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F


def masked_nats(logits: Tensor, targets: Tensor, mask: Tensor) -> Tensor:
    """Cross-entropy of each output bit in nats, from logits to [B T O], zero where mask [B T] says that none is due.

    Taken from logits, never probabilities, so a saturated output has a finite loss and gradient.
    """
    return F.binary_cross_entropy_with_logits(logits, targets, reduction="none") * mask.unsqueeze(-1)


def masked_bits(logits: Tensor, targets: Tensor, mask: Tensor) -> Tensor:
    """Mean cross-entropy in bits per output bit that is due, from logits [B T O], as a scalar."""
    return masked_nats(logits, targets, mask).sum() / (mask.sum() * logits.shape[-1] * math.log(2))


def masked_bits_by_sequence(logits: Tensor, targets: Tensor, mask: Tensor) -> Tensor:
    """Like `masked_bits`, but the mean over sequences of each one's mean: a short sequence counts as much as a long one."""
    sums = masked_nats(logits, targets, mask).sum((1, 2))
    return torch.mean(sums / mask.sum(1)) / (logits.shape[-1] * math.log(2))


BIT_LOSSES: dict[str, Callable[[Tensor, Tensor, Tensor], Tensor]] = {"bits": masked_bits, "sequences": masked_bits_by_sequence}
"""By `trainer.mean_over`: what training takes the mean over."""
