"""Run a machine on a Turing machine's tape, two ways that must agree: densely, slot by slot, or by decisions.

The tape has no ends: the dense path adds blank slots at either end before a head can reach it, and the slots' ring never
closes. A tick of the dense path touches every slot; a tick of the discrete path looks one decision up.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from ntm.models.base import Output
from ntm.models.machine.access import HeadsState
from ntm.models.machine.controllers import RegisterState
from ntm.models.machine.machine import MachineState
from ntm.models.recurrent import Recurrent
from ntm.models.turing.compiler import shape_of
from ntm.models.turing.decisions import Decisions, bits, code_of, encode, name_of
from tasks.turing import Table, Word

CHUNK = 64
"""Ticks of the dense path between two looks at the ends of its tape."""


class Final(NamedTuple):
    """Where a run stands."""

    halted: bool
    steps: int  # rows executed
    state: str
    heads: tuple[int, ...]  # cells, 0 is where the heads started
    tapes: tuple[dict[int, str], ...]  # blanks left out


class Snapshot(NamedTuple):
    """A configuration on the way, for pictures."""

    steps: int
    heads: list[int]
    tapes: list[dict[int, str]]  # the live ones: copy what you keep


def run_discrete(
    decisions: Decisions, word: Word, max_steps: int, watch: Callable[[Snapshot], None] | None = None, every: int = 1 << 16
) -> Final:
    """Run on a word by looking decisions up; `watch` sees every `every`-th configuration. Raises NotDiscreteError."""
    table = decisions.table
    blank = table.blank
    code, heads, tapes = code_of(table, table.start), [0] * table.tapes, [dict(enumerate(symbols)) for symbols in word]
    steps, halted = 0, False
    while True:
        if watch is not None and steps % every == 0:
            watch(Snapshot(steps, heads, tapes))
        write, move, following, running = decisions[code, tuple([tape.get(at, blank) for tape, at in zip(tapes, heads)])]
        if not running:
            halted = True
            break
        if steps == max_steps:
            break
        for tape, symbol in enumerate(write):
            tapes[tape][heads[tape]] = symbol
            heads[tape] += move[tape]
        code = following
        steps += 1
    return Final(halted, steps, name_of(table, code), tuple(heads), written(tapes, blank))


def written(tapes: Iterable[dict[int, str]], blank: str) -> tuple[dict[int, str], ...]:
    """Tapes with their blanks left out."""
    return tuple({cell: symbol for cell, symbol in tape.items() if symbol != blank} for tape in tapes)


class Tape(NamedTuple):
    """A dense state and the slot that is cell 0."""

    state: MachineState
    origin: int


def begin_dense(machine: Recurrent, table: Table, word: Word) -> Tape:
    """The state [B=1] at the start: the word on the tape, the heads on its first cell, the start state in the register."""
    length = max(1, *(len(symbols) for symbols in word))
    padded = [(*symbols, *(table.blank,) * (length - len(symbols))) for symbols in word]
    memory = torch.stack([encode(table, seen) for seen in zip(*padded)]).unsqueeze(0)
    weights = F.one_hot(torch.zeros(1, table.tapes, dtype=torch.long), length).to(memory)
    register = RegisterState(torch.tensor([code_of(table, table.start)], dtype=memory.dtype))
    access = HeadsState(memory, weights, weights)
    return Tape(MachineState(register, access, shape_of(machine).heads.read(access)), 0)


def grow(tape: Tape, table: Table, reach: int) -> Tape:
    """The same tape, with blank slots added where a head is within `reach` slots of an end."""
    slots = tape.state.access.memory.shape[1]
    at = tape.state.access.weights[0].argmax(-1)
    # At least as many slots again as there are, so that a growing tape is copied rarely.
    left = max(slots, reach) if int(at.min()) < reach else 0
    right = max(slots, reach) if int(at.max()) >= slots - reach else 0
    return pad(tape, table, left, right)


def pad(tape: Tape, table: Table, left: int, right: int) -> Tape:
    """The same tape with this many blank slots more at its ends; no value is touched."""
    access = tape.state.access
    blank = encode(table, (table.blank,) * table.tapes)
    memory = torch.cat([blank.expand(1, left, -1), access.memory, blank.expand(1, right, -1)], dim=1)
    weights, home = (F.pad(part, (left, right)) for part in (access.weights, access.home))
    return Tape(tape.state._replace(access=HeadsState(memory, weights, home)), tape.origin + left)


def ticks_dense(machine: Recurrent, table: Table, word: Word, ticks: int) -> Iterator[tuple[Tape, Output]]:
    """Chunks of a dense run: the tape before a chunk and what the machine made of it."""
    tape = begin_dense(machine, table, word)
    with torch.inference_mode():
        for done in range(0, ticks, CHUNK):
            chunk = min(CHUNK, ticks - done)
            tape = grow(tape, table, chunk + 1)
            output = machine(tape.state.reads.new_zeros(1, chunk, 0), state=tape.state)
            yield tape, output
            tape = Tape(output.state, tape.origin)


def run_dense(machine: Recurrent, table: Table, word: Word, max_steps: int) -> Final:
    """Run on a word with the whole tape in memory, every value soft until the end. Raises NotDiscreteError."""
    steps, halted = 0, False
    tape = begin_dense(machine, table, word)
    for before, output in ticks_dense(machine, table, word, max_steps):
        executed = int((output.logits[0, :, 0] > 0).long().cumprod(0).sum())
        steps, tape = steps + executed, Tape(output.state, before.origin)
        halted = executed < output.logits.shape[1]
        if halted:
            break
    if not halted:
        with torch.inference_mode():
            halted = bool(machine(tape.state.reads.new_zeros(1, 1, 0), state=tape.state).logits <= 0)
    return read_off(tape, table, halted, steps)


def read_off(tape: Tape, table: Table, halted: bool, steps: int) -> Final:
    """A dense state as symbols and cells; raises NotDiscreteError."""
    state = tape.state
    memory = bits(state.access.memory[0], "a slot").unflatten(-1, (table.tapes, -1))
    symbols = memory.argmax(-1).T.tolist()
    heads: Tensor = bits(state.access.weights[0], "a head").argmax(-1) - tape.origin
    code = tuple(bits(state.controller.register[0], "the register").int().tolist())
    tapes = tuple(
        {cell - tape.origin: table.symbols[n] for cell, n in enumerate(row) if table.symbols[n] != table.blank} for row in symbols
    )
    return Final(halted, steps, name_of(table, code), tuple(heads.tolist()), tapes)
