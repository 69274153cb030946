"""Machines that learn algorithms: Neural Turing Machines and their relatives.

from ntm import NTM, load
layer = NTM(8)                                    # a layer like torch.nn.LSTM: outputs, state = layer(x, state)
model, task = load("checkpoints/copy/<date>")     # what python -m ntm.train has trained
"""

import importlib
import os
from typing import TYPE_CHECKING, Any

# Threads of torch that have nothing to do would otherwise turn in circles, on the cores that the fused step's threads need.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")

if TYPE_CHECKING:
    from ntm.errors import UserError
    from ntm.models import MODELS, Cell, Model, ModelConfig, Output, Recurrent, Signal
    from ntm.models.machine import NTM, Tape
    from ntm.runs import load

WHERE = {"UserError": "ntm.errors", "NTM": "ntm.models.machine", "Tape": "ntm.models.machine", "load": "ntm.runs"}

__all__ = ["MODELS", "NTM", "Cell", "Model", "ModelConfig", "Output", "Recurrent", "Signal", "Tape", "UserError", "load"]


def __getattr__(name: str) -> Any:
    """Fetched when first asked for: torch takes seconds to import, and a command can be ended before that."""
    if name not in __all__:
        raise AttributeError(f"module 'ntm' has no attribute '{name}'")
    return getattr(importlib.import_module(WHERE.get(name, "ntm.models")), name)
