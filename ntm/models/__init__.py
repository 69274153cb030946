"""Who learns: every model behind the same door. MODELS is the whole list, by the key `model.name`."""

from ntm.models.base import Channel, Learned, Model, ModelConfig, Output, Shown, Signal
from ntm.models.bilinear import BilinearConfig
from ntm.models.deep_sets import DeepSetsConfig
from ntm.models.dense import DenseConfig
from ntm.models.machine import MachineConfig
from ntm.models.multiply_cell import MultiplyCellConfig
from ntm.models.nalu import NALUConfig
from ntm.models.neural_gpu import NeuralGPUConfig
from ntm.models.nmu import NMUConfig
from ntm.models.recurrent import Cell, Recurrent, Tick
from ntm.models.rnn import RNNConfig
from ntm.models.squares import SquaresConfig
from ntm.models.stack_rnn import StackRNNConfig
from ntm.models.transformer import TransformerConfig
from ntm.models.turing.learn import TableConfig

MODELS: dict[str, type[ModelConfig]] = {
    "bilinear": BilinearConfig,
    "deep_sets": DeepSetsConfig,
    "dense": DenseConfig,
    "machine": MachineConfig,
    "multiply_cell": MultiplyCellConfig,
    "nalu": NALUConfig,
    "neural_gpu": NeuralGPUConfig,
    "nmu": NMUConfig,
    "rnn": RNNConfig,
    "squares": SquaresConfig,
    "stack_rnn": StackRNNConfig,
    "transformer": TransformerConfig,
    "turing": TableConfig,
}

__all__ = ["MODELS", "Cell", "Channel", "Learned", "Model", "ModelConfig", "Output", "Recurrent", "Shown", "Signal", "Tick"]
