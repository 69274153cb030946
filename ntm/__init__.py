"""Machines that learn algorithms: Neural Turing Machines and their relatives.

from ntm import load
machine, task = load("checkpoints/copy/2026-11-21_10-00-00")
output = machine(task.batch(seed=0, split="test", index=0, size=1).inputs, record=True)
"""

from pathlib import Path

from ntm.controllers import LSTM, FeedForward
from ntm.heads import NTMHeads, TapeHeads
from ntm.machine import Machine, Output, State, Trace
from tasks import Task


def load(run: str | Path) -> tuple[Machine, Task]:
    """The trained machine and its task from a run's folder (its best checkpoint) or a checkpoint file.

    Raises `ntm.config.UserError` where there is none. No code from the file is run.
    """
    from ntm import runs  # here, for runs needs the machines that this package is made of

    loaded = runs.load("run", runs.find("run", str(run), prefer="best.ckpt"))
    return loaded.machine, loaded.config.task


__all__ = ["LSTM", "FeedForward", "Machine", "NTMHeads", "Output", "State", "TapeHeads", "Trace", "load"]
