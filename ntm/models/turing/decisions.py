"""What a machine decides for a register and the symbols under its heads: one real tick of the network, read as symbols.

A tick of a machine whose values are all near 0 or 1 depends on the register and on what the heads see, nothing else. So a
decision is made once, by one tick of `Machine` on a tape of seven slots, and remembered: the discrete path of run.py.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from ntm.models.machine.access import HeadsState
from ntm.models.machine.controllers import RegisterState
from ntm.models.machine.machine import MachineState
from ntm.models.recurrent import Recurrent
from ntm.models.turing.compiler import shape_of
from tasks.turing import Table

TOLERANCE = 0.01
"""How far from 0 or 1 a value may be and still count as a bit."""

HERE = 3
"""Slot of the head in the tape that a decision is made on; home is slot 0, out of reach of a move."""

Code = tuple[int, ...]
"""The bits of a register."""


class NotDiscreteError(RuntimeError):
    """A value that should be a bit, or a head that should stand on one slot, is between."""


class Decision(NamedTuple):
    """What one tick does."""

    write: tuple[str, ...]  # a symbol for each tape
    move: tuple[int, ...]  # -1, 0 or +1 for each tape
    code: Code  # the register after it
    running: bool  # False: nothing was executed, the machine has halted


class Decisions(dict[tuple[Code, tuple[str, ...]], Decision]):
    """Decisions of one machine for a table's symbols, made when first asked for; raises NotDiscreteError."""

    def __init__(self, machine: Recurrent, table: Table):
        super().__init__()
        self.machine, self.table = machine, table

    def __missing__(self, key: tuple[Code, tuple[str, ...]]) -> Decision:
        self[key] = decision = decide(self.machine, self.table, *key)
        return decision


def decide(machine: Recurrent, table: Table, code: Code, seen: tuple[str, ...]) -> Decision:
    """One tick from a register and the symbols seen; raises NotDiscreteError where the outcome is not one of symbols."""
    where = f"register {name_of(table, code)}, symbols {' '.join(seen)}"
    blank = encode(table, (table.blank,) * table.tapes)
    memory = torch.stack([*[blank] * HERE, encode(table, seen), *[blank] * HERE]).unsqueeze(0)
    home, weights = torch.eye(2 * HERE + 1)[[0, HERE]].unsqueeze(1).expand(-1, table.tapes, -1).unsqueeze(1)
    register = RegisterState(torch.tensor([code], dtype=torch.float32))
    with torch.inference_mode():
        access = HeadsState(memory, weights, home)
        state = MachineState(register, access, shape_of(machine).heads.read(access))
        hidden, after, _ = machine.cell(memory.new_zeros(1, 0), state)
        logits = machine.output(hidden)
    written = bits(after.access.memory[0, HERE], f"{where}: what is written").view(table.tapes, -1)
    if not written.sum(-1).eq(1).all():
        raise NotDiscreteError(f"{where}: what is written is no symbol")
    move = [slot - HERE for slot in bits(after.access.weights[0], f"{where}: where a head goes").argmax(-1).tolist()]
    if max(move, key=abs) not in (-1, 0, 1):
        raise NotDiscreteError(f"{where}: a head goes home, or further than one cell")
    return Decision(
        write=tuple(table.symbols[n] for n in written.argmax(-1).tolist()),
        move=tuple(move),
        code=tuple(bits(after.controller.register[0], f"{where}: the next register").int().tolist()),
        running=bool(bits(logits[0].sigmoid(), f"{where}: the output")[0]),
    )


def bits(values: Tensor, what: str) -> Tensor:
    """Values rounded to 0 or 1; raises NotDiscreteError where one is further than TOLERANCE from both."""
    rounded = values.round()
    if not (values - rounded).abs().le(TOLERANCE).all() or not ((rounded == 0) | (rounded == 1)).all():
        raise NotDiscreteError(f"{what} is not near 0 or 1: {' '.join(f'{value:.3g}' for value in values.flatten().tolist())}")
    return rounded


def encode(table: Table, seen: tuple[str, ...]) -> Tensor:
    """One slot [H*M] holding a symbol for each tape, one-hot."""
    one_hot = torch.zeros(table.tapes, len(table.symbols))
    one_hot[range(table.tapes), [table.symbols.index(symbol) for symbol in seen]] = 1
    return one_hot.flatten()


def code_of(table: Table, state: str) -> Code:
    """The register of a state: one-hot, in the order of the table's states."""
    return tuple(int(state == other) for other in table.states)


def name_of(table: Table, code: Code) -> str:
    """The state that a register shows, or its bits where it shows none."""
    return table.states[code.index(1)] if sum(code) == 1 else "".join(map(str, code))
