"""Weights and moments as they were after the latest good update, to go back to when the next one spoils them."""

from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from ntm.training.curriculum import Progress

NEVER_NEGATIVE = {"exp_avg_sq", "square", "step"}
"""Moments that are means of squares, or a count: one below zero is as spoilt as one that is no number, and for ever."""


class Snapshot:
    """Copies of a module's weights and of what its optimiser remembers of them."""

    def __init__(self, module: nn.Module, optimizer: Optimizer, progress: Progress):
        self.module, self.optimizer = module, optimizer
        self.take(progress)

    def take(self, progress: Progress) -> None:
        """Copy what is there."""
        self.progress = progress
        self.weights = [p.detach().clone() for p in self.module.parameters()]
        self.moments = {
            p: {key: value.clone() if isinstance(value, Tensor) else value for key, value in state.items()}
            for p, state in self.optimizer.state.items()
        }

    def restore(self) -> None:
        """Go back, bit by bit."""
        with torch.no_grad():
            for p, copy in zip(self.module.parameters(), self.weights):
                p.copy_(copy)
        self.optimizer.state.clear()
        self.optimizer.state.update(self.moments)
        self.take(self.progress)  # or the optimiser would go on in the copies


def spoilt(module: nn.Module, optimizer: Optimizer) -> str | None:
    """The name of the first weight, or moment of one, that is not finite, or a moment that is negative and never should be.

    Moments come first: an update makes weights of them.
    """
    for name, kind, value in numbers(module, optimizer):
        if not torch.isfinite(value).all():
            return f"{kind} {name}"
        if kind in NEVER_NEGATIVE and (value < 0).any():
            return f"negative {kind} {name}"
    return None


def spoilt_by_update(module: nn.Module, optimizer: Optimizer) -> str | None:
    """As `spoilt`, right after an update, and fast: a negative second moment has made Adam's weight no number then."""
    norm = torch.nn.utils.get_total_norm([value for _, _, value in numbers(module, optimizer)])
    return None if bool(torch.isfinite(norm)) else spoilt(module, optimizer)  # squares may overflow, and all be well


def miscounted(optimizer: Optimizer) -> bool:
    """Whether a count of updates is below zero: torch's Adam would not even make NaN of it, but raise."""
    return any(bool(state["step"] < 0) for state in optimizer.state.values() if "step" in state)


def numbers(module: nn.Module, optimizer: Optimizer) -> Iterator[tuple[str, str, Tensor]]:
    """Every moment and weight: whose it is, what it is, and the tensor."""
    for name, p in module.named_parameters():
        for kind, value in optimizer.state.get(p, {}).items():
            if isinstance(value, Tensor):
                yield name, kind, value
        yield name, "weight", p.detach()
