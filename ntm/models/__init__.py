"""Who learns: every model behind the same door. MODELS is the whole list, by the key `model.name`."""

from ntm.models.base import Channel, Learned, Model, ModelConfig, Output, Shown, Signal
from ntm.models.machine import MachineConfig
from ntm.models.recurrent import Cell, Recurrent, Tick
from ntm.models.rnn import RNNConfig
from ntm.models.transformer import TransformerConfig
from ntm.models.turing.learn import TableConfig

MODELS: dict[str, type[ModelConfig]] = {
    "machine": MachineConfig,
    "rnn": RNNConfig,
    "transformer": TransformerConfig,
    "turing": TableConfig,
}

__all__ = ["MODELS", "Cell", "Channel", "Learned", "Model", "ModelConfig", "Output", "Recurrent", "Shown", "Signal", "Tick"]
