"""Where a head looks: the four steps of Graves et al. 2014 (arXiv 1410.5401), equations 5-9, as pure functions.

Letters: B batch, H heads, N slots, M slot width, S shift width. A weighting is non-negative and sums to one over N.
"""

import torch
from torch import Tensor
from torch.nn import functional as F

NORM_EPSILON = 1e-6
"""Added to the squared norm, inside the root: the gradient stays finite on an all-zero slot."""

WEIGHT_EPSILON = 1e-12
"""Smallest weight whose logarithm is taken: small enough that a million empty slots together weigh nothing in float32."""


def cosine_similarity(key: Tensor, memory: Tensor) -> Tensor:
    """Cosine of each head's key [B H M] with each slot of memory [B N M], as [B H N].

    Graves et al. 2014, eq. 6, with the epsilon of the DNC inside each root, so an empty slot is similar to nothing.
    """
    key = key * torch.rsqrt(key.square().sum(-1, keepdim=True) + NORM_EPSILON)
    norms = torch.rsqrt(memory.square().sum(-1) + NORM_EPSILON)
    return (key @ memory.transpose(-1, -2)) * norms.unsqueeze(-2)


def content(key: Tensor, strength: Tensor, memory: Tensor) -> Tensor:
    """Weighting [B H N] by likeness of key [B H M] to memory [B N M], focused by strength [B H].

    Graves et al. 2014, eq. 5; torch's softmax subtracts the maximum, so no strength overflows.
    """
    return F.softmax(strength.unsqueeze(-1) * cosine_similarity(key, memory), dim=-1)


def interpolate(candidate: Tensor, previous: Tensor, gate: Tensor) -> Tensor:
    """Blend candidate and previous weighting, both [B H N], by gate [B H]: 1 takes the candidate, 0 the previous.

    Graves et al. 2014, eq. 7. The candidate is the content weighting of an NTM head, the home slot of a tape head.
    """
    return torch.lerp(previous, candidate, gate.unsqueeze(-1))


def shift(weights: Tensor, kernel: Tensor) -> Tensor:
    """Circular convolution of weights [B H N] with a kernel [B H S] over moves -(S//2) .. S//2, S odd.

    Graves et al. 2014, eq. 8, summed directly: an FFT would leave small negative weights. Positive moves go to higher
    slots, and the last slot's neighbour is the first.
    """
    width = kernel.shape[-1]
    assert width % 2 == 1, f"shift width must be odd, is {width}"
    moves = range(-(width // 2), width // 2 + 1)
    parts = [weights.roll(move, -1) * part for move, part in zip(moves, kernel.split(1, dim=-1))]
    return sum(parts[1:], start=parts[0])


def sharpen(weights: Tensor, sharpening: Tensor) -> Tensor:
    """Raise weights [B H N] to the power sharpening [B H] (at least 1) and normalise.

    Graves et al. 2014, eq. 9, as softmax(sharpening * log(weights)): the power alone underflows to 0/0 when every
    weight is small, and is not a number for a weight that rounding has made negative.
    """
    return F.softmax(sharpening.unsqueeze(-1) * F.threshold(weights, WEIGHT_EPSILON, WEIGHT_EPSILON).log(), dim=-1)
