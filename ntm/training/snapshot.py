"""Weights and moments as they were after the latest good update, to go back to when the next one spoils them."""

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from ntm.training.curriculum import Progress


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
    """The name of the first weight, or moment of one, that is not finite."""
    named = list(module.named_parameters())
    tensors = [p.detach() for _, p in named]
    tensors += [value for _, p in named for value in optimizer.state.get(p, {}).values() if isinstance(value, Tensor)]
    if bool(torch.isfinite(torch.nn.utils.get_total_norm(tensors))):
        return None  # one number tells it, unless squares overflow
    for name, p in named:
        moments = {key: value for key, value in optimizer.state.get(p, {}).items() if isinstance(value, Tensor)}
        for kind, value in {"weight": p, **moments}.items():
            if not torch.isfinite(value).all():
                return f"{kind} {name}"
    return None
