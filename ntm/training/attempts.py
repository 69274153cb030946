"""An attempt that reaches nothing new for `curriculum.patience_updates` is given up, and another one begun with fresh weights.

So is one that ends with a machine that cannot be proved right, where `curriculum.proof` asks for that.

A rule that a machine finds early can be one that nothing better follows from, as local search knows it; to begin again there is
the oldest remedy (random restarts: Luby, Sinclair & Zuckerman 1993). It is counted, and shown.
"""

import numpy as np
import torch
from torch.optim import Optimizer

from ntm.config import Config, build
from ntm.models import Model
from ntm.training.curriculum import Progress


def stuck(patience: int, progress: Progress) -> bool:
    """Whether an attempt has reached nothing new for `patience` updates (0: for ever), or its end without the proof asked for."""
    return progress.unproved or 0 < patience <= progress.updates - progress.reached


def begin_anew(config: Config, model: Model, optimizer: Optimizer, progress: Progress) -> Progress:
    """Fresh weights, a pure function of (seed, attempts before), no moments, the first stage; batches go on where they are."""
    updates = progress.updates
    anew = Progress(updates=updates, given_up=(*progress.given_up, updates), reached=updates)
    drawn = np.random.SeedSequence([config.seed, len(anew.given_up)]).generate_state(1, np.uint64)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(int(drawn[0]))
        model.load_state_dict(build(config).state_dict())
    optimizer.state.clear()
    return anew
