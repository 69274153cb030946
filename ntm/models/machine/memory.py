"""What a head does where it looks: read, erase, add (Graves et al. 2014, equations 2-4), and the memory it starts from.

Letters: B batch, H heads, N slots, M slot width. All functions are pure.
"""

import numpy as np
import torch
from torch import Tensor


def read(memory: Tensor, weights: Tensor) -> Tensor:
    """Read vectors [B H M]: the sum of slots of memory [B N M] under weights [B H N]. Graves et al. 2014, eq. 2."""
    return weights @ memory


def erase(memory: Tensor, weights: Tensor, erase: Tensor) -> Tensor:
    """Memory [B N M] after every head has erased by its vector [B H M] in 0..1 where its weights [B H N] point.

    Graves et al. 2014, eq. 3; with several heads the factors multiply, so their order does not matter.
    """
    for where, what in zip(weights.split(1, dim=1), erase.split(1, dim=1)):
        memory = memory - memory * (where.transpose(1, 2) * what)
    return memory


def add(memory: Tensor, weights: Tensor, add: Tensor) -> Tensor:
    """Memory [B N M] after every head has added its vector [B H M] where its weights [B H N] point.

    Graves et al. 2014, eq. 4.
    """
    return torch.baddbmm(memory, weights.transpose(1, 2), add)


def random_memory(slots: int, width: int) -> Tensor:
    """A fixed memory [N M] of tanh(N(0, 0.5)) values, the "random" scheme of Collier & Beel 2018 (arXiv 1807.08518).

    Drawn slot by slot from a constant seed: the first slots are the same however many slots there are.
    """
    return torch.from_numpy(np.tanh(np.random.default_rng(0).normal(0.0, 0.5, (slots, width)))).float()
