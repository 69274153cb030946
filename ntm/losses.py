"""What is minimised. Error counts are the task's own (`tasks.base.Task.score`).

Letters: B batch, T ticks, O outputs.
"""

import math

import torch
from torch import Tensor
from torch.nn import functional as F

from tasks import Batch


def masked_bits(logits: Tensor, batch: Batch) -> Tensor:
    """Mean cross-entropy in bits per output bit that is due, from logits [B T O], as a scalar.

    Taken from logits, never probabilities, so a saturated output has a finite loss and gradient.
    """
    mask = batch.mask.unsqueeze(-1)
    each = F.binary_cross_entropy_with_logits(logits, batch.targets, reduction="none")
    return torch.sum(each * mask) / (mask.sum() * logits.shape[-1] * math.log(2))
