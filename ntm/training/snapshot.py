"""Weights and moments as they were after the latest good update, to go back to when the next one spoils them."""

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from ntm.training.curriculum import Progress

NEVER_NEGATIVE = {"exp_avg_sq", "square", "step"}
"""Moments that are means of squares, or a count: one below zero is as spoilt as one that is no number, and for ever."""


class Snapshot:
    """Copies of a module's weights and of what its optimiser remembers of them, in one tensor: one copy is faster than many."""

    def __init__(self, module: nn.Module, optimizer: Optimizer, progress: Progress):
        self.module, self.optimizer = module, optimizer
        self.parameters = list(module.parameters())
        self.keep(self.copy(), progress)

    def live(self) -> list[Tensor]:
        """Every weight and moment, as they are."""
        moments = [value for state in self.optimizer.state.values() for value in state.values() if isinstance(value, Tensor)]
        return [p.detach() for p in self.parameters] + moments

    def copy(self) -> Tensor:
        """All of their numbers."""
        return torch.cat([value.reshape(-1) for value in self.live()])

    def spoilt(self, copy: Tensor) -> str | None:
        """What is not finite of what was copied right after an update; a negative second moment has made a weight no number."""
        if bool(torch.isfinite(torch.linalg.vector_norm(copy))):
            return None
        return spoilt(self.module, self.optimizer)  # squares may overflow, and all be well

    def keep(self, copy: Tensor, progress: Progress) -> None:
        """Keep a copy of what is there."""
        self.numbers, self.progress = copy, progress
        self.known = {p: dict(state) for p, state in self.optimizer.state.items()}

    def plain(self) -> dict[str, Any]:
        """It, for a checkpoint."""
        return {"numbers": self.numbers, "progress": self.progress._asdict()}

    def take(self, saved: dict[str, Any]) -> None:
        """Become what `plain` said; raises ValueError where it was none of the same module and optimiser."""
        numbers: Tensor = saved["numbers"]
        if (numbers.shape, numbers.dtype) != (self.numbers.shape, self.numbers.dtype) or not torch.isfinite(numbers).all():
            raise ValueError("none of these weights and moments")
        self.numbers, self.progress = numbers.to(self.numbers), Progress(**saved["progress"])

    def restore(self) -> None:
        """Go back, bit by bit."""
        self.optimizer.state.clear()
        self.optimizer.state.update({p: dict(state) for p, state in self.known.items()})
        live = self.live()
        with torch.no_grad():
            for value, copy in zip(live, self.numbers.split([value.numel() for value in live]), strict=True):
                value.copy_(copy.view_as(value))


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


def miscounted(optimizer: Optimizer) -> bool:
    """Whether a count of updates is below zero: torch's Adam would not even make NaN of it, but raise."""
    counts = [state["step"] for state in optimizer.state.values() if "step" in state]
    return bool(counts) and bool((torch.stack(counts) < 0).any())


def numbers(module: nn.Module, optimizer: Optimizer) -> Iterator[tuple[str, str, Tensor]]:
    """Every moment and weight: whose it is, what it is, and the tensor."""
    for name, p in module.named_parameters():
        for kind, value in optimizer.state.get(p, {}).items():
            if isinstance(value, Tensor):
                yield name, kind, value
        yield name, "weight", p.detach()
