"""Compile a Turing machine's table into the weights of a machine with tape heads: nothing is learned, nothing simulated.

The register holds the state as one-hot bits, a slot holds a symbol as one-hot channels, and each tape has a head of its own.
One hidden ReLU unit stands for one row of the table. It is 1 where the register shows its state and every head reads its
symbol, else 0; everything a row does, the next state, the symbols written and the moves, is then one column of weights.

Why it is exact in float32 at any number of steps. A matching unit is 2(k + 1) - (2k + 1) = 1 on k tapes, any other at most -1
before its ReLU, so an error of less than 1/(2k + 2) in what it sees cannot wake it: exactly one unit is on. Every logit is
then within rounding of +-20 (access.CLIP), and in float32
  * sigmoid(20) is exactly 1, so a slot under a head keeps (1 - 1) of what it held: what is written does not depend on what
    was there, and an error under a head is forgotten at once;
  * the two moves not taken get exp(-40) = 4e-18 of the shift, and raised to the sharpening of 21 that is exactly 0: after
    every tick the weights are exactly one-hot, and a slot under no head is multiplied by exactly 1 and has exactly 0 added;
  * sigmoid(-20) = 2e-9 where a bit is 0 is all that is left, and it is the same at every tick: nothing accumulates.
A state that halts does nothing for ever; the one output is above 0 at a tick that executed a row. `ntm.certify` proves all of
this from the weights themselves.
"""

from typing import NamedTuple

import torch
from torch import nn

from ntm.models.machine import FeedForward, Machine, TapeHeads
from ntm.models.machine.access import CLIP, Start
from ntm.models.recurrent import Recurrent
from tasks.turing import Table

SLOTS = 8
"""Slots a machine is built with; a run adds as many as it needs at either end."""


class Shape(NamedTuple):
    """The parts of a machine that runs a table."""

    controller: FeedForward
    feedback: nn.Linear  # of the register
    heads: TapeHeads
    output: nn.Linear


def shape_of(machine: Recurrent) -> Shape:
    """The parts of a machine that has the shape of a compiled one."""
    cell = machine.cell
    assert isinstance(cell, Machine), "a machine"
    assert isinstance(cell.controller, FeedForward), "with a feed-forward controller"
    assert isinstance(cell.controller.feedback, nn.Linear), "with a register"
    assert isinstance(cell.access, TapeHeads), "and tape heads"
    return Shape(cell.controller, cell.controller.feedback, cell.access, machine.output)


def shaped(table: Table, hidden: list[int]) -> Recurrent:
    """A fresh machine with the register, heads and tapes that a table asks for, and hidden layers of these sizes."""
    tapes, symbols = table.tapes, len(table.symbols)
    heads = TapeHeads(hidden[-1], symbols, 3, tapes, separate=True, start=Start(max(SLOTS, tapes), value=0.0))
    controller = FeedForward(tapes * symbols, hidden, register=len(table.states))
    return Recurrent(Machine(controller, heads), outputs=1)


def compile_table(table: Table) -> Recurrent:
    """The machine whose weights are the table."""
    tapes, symbols, rows = table.tapes, len(table.symbols), table.rows
    machine = shaped(table, [len(rows)])
    controller, feedback, heads, output = shape_of(machine)
    see = controller.layers[0]
    assert isinstance(see, nn.Linear)
    with torch.no_grad():
        for parameter in machine.parameters():
            parameter.zero_()
        feedback.bias.fill_(-CLIP)
        output.bias.fill_(-CLIP)
        values, erase = heads.writing.bias.view(tapes, 2, symbols).unbind(1)
        values.fill_(-CLIP)
        erase.fill_(CLIP)
        gate, sharpening, moves = heads.addressing.bias.view(tapes, 5).split([1, 1, 3], dim=1)
        for part, value in ((gate, -CLIP), (sharpening, CLIP), (moves, -CLIP)):
            part.fill_(value)
        written = heads.writing.weight.view(tapes, 2, symbols, len(rows))[:, 0]
        moved = heads.addressing.weight.view(tapes, 5, len(rows))[:, 2:]
        for unit, ((state, seen), row) in enumerate(rows.items()):
            see.weight[unit, tapes * symbols + table.states.index(state)] = 2
            see.bias[unit] = -(2 * tapes + 1)
            next_state, write, move = (state, seen, (0,) * tapes) if row is None else (row.state, row.write, row.move)
            feedback.weight[table.states.index(next_state), unit] = 2 * CLIP
            output.weight[0, unit] = 0 if row is None else 2 * CLIP
            for tape in range(tapes):
                see.weight[unit, tape * symbols + table.symbols.index(seen[tape])] = 2
                written[tape, table.symbols.index(write[tape]), unit] = 2 * CLIP
                moved[tape, 1 + move[tape], unit] = 2 * CLIP
    return machine.eval()
