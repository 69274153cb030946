"""Machines that learn algorithms: Neural Turing Machines and their relatives.

from ntm import NTM, load
layer = NTM(8)                                    # a layer like torch.nn.LSTM: outputs, state = layer(x, state)
model, task = load("checkpoints/copy/<date>")     # what python -m ntm.train has trained
"""

from ntm.errors import UserError
from ntm.models import MODELS, Cell, Model, ModelConfig, Output, Recurrent, Signal
from ntm.models.machine import NTM, Tape
from ntm.runs import load

__all__ = ["MODELS", "NTM", "Cell", "Model", "ModelConfig", "Output", "Recurrent", "Signal", "Tape", "UserError", "load"]
