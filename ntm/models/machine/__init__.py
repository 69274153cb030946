"""The machine that this project is named for: a controller wired to a memory through heads."""

from ntm.models.machine.config import MachineConfig
from ntm.models.machine.controllers import LSTM, FeedForward
from ntm.models.machine.layers import NTM, Tape
from ntm.models.machine.machine import Machine, MachineState
from ntm.models.machine.ntm_heads import NTMHeads
from ntm.models.machine.tape_heads import TapeHeads

__all__ = ["LSTM", "NTM", "FeedForward", "Machine", "MachineConfig", "MachineState", "NTMHeads", "Tape", "TapeHeads"]
