"""Turing machines for tests: random tables, patterns and damage, and a dense run followed beside the reference."""

from typing import NamedTuple

import numpy as np
import torch

from ntm.models.turing.compiler import compile_table, shape_of, shaped
from ntm.models.turing.decisions import Decision, code_of, name_of
from ntm.models.turing.run import Tape, read_off, ticks_dense, written
from ntm.named import Named
from ntm.proofs.margins import DRIFT, FUNCTION
from tasks import Turing
from tasks.turing import begin, execute, read_table

MOST = torch.finfo(torch.float32).max


def compiled(table):
    """A table, or the shipped one of this name, as the commands would take it."""
    table = read_table(table) if isinstance(table, str) else table
    return Named(table.name, compile_table(table), Turing(table=table, supervision="compiled"))


def random_table(seed, states, symbols, tapes, words=None):
    """A table with random rows, some of them missing."""
    random = np.random.default_rng(seed)
    names, alphabet = [f"q{n}" for n in range(states)], [*"_abcd"[:symbols]]

    def row():
        if random.random() < 0.05:
            return None
        pick = [" ".join(random.choice(of, tapes)) for of in (alphabet, list("LSR"))]
        return [*pick, str(random.choice([*names, "halt"], p=[0.97 / states] * states + [0.03]))]

    every = np.stack(np.meshgrid(*[alphabet] * tapes), -1).reshape(-1, tapes)
    table = {name: {" ".join(seen): row() for seen in every} for name in names}
    return read_table({"symbols": alphabet, "table": table, **({"input": words} if words else {})})


def random_words(random, symbols):
    """A pattern for one tape: one to four parts, each a symbol or a run."""

    def part():
        some = "".join(random.choice(list(symbols), random.integers(1, 3)))
        return f"[{some}]+" if random.random() < 0.5 else some[0]

    return "".join(part() for _ in range(random.integers(1, 5)))


class Rows(dict):
    """Decisions as a table's own rows: what a compiled machine decides, without asking it."""

    def __init__(self, table):
        super().__init__()
        self.table = table

    def __missing__(self, key):
        code, seen = key
        row = self.table.rows[name_of(self.table, code), seen]
        still = Decision(seen, (0,) * self.table.tapes, code, running=False)
        self[key] = still if row is None else Decision(row.write, row.move, code_of(self.table, row.state), running=True)
        return self[key]


def wider(machine, table):
    """The same machine with one hidden unit more, all of whose weights are 0."""
    larger, units = shaped(table, [len(table.rows) + 1]), len(table.rows)
    with torch.no_grad():
        for new, old in zip(larger.parameters(), machine.parameters()):
            new.zero_()
            if new is larger.output.weight:  # the hidden units first, then what is read
                new[:, :units], new[:, units + 1 :] = old[:, :units], old[:, units:]
            else:
                new[tuple(map(slice, old.shape))] = old
    return larger.eval()


def damaged(machine, table, random):
    """A compiled machine with something done to its weights; now and then to no avail."""
    machine = wider(machine, table)
    parts = shape_of(machine)
    kind = random.integers(7)
    some = [parameter for parameter in machine.parameters() if parameter.any()]
    flat = some[random.integers(len(some))].data.view(-1)
    at = int(random.integers(len(flat)))
    with torch.no_grad():
        if kind == 0:
            strength = float(random.choice([0.03, 0.3, 1.0, 3.0]))
            for parameter in machine.parameters():
                parameter += strength * torch.from_numpy(random.standard_normal(tuple(parameter.shape))).float()
        elif kind == 1:
            flat[at] *= -1
        elif kind == 2:
            flat[at] = float(random.choice([-1, 1])) * float(10 ** random.uniform(-45, 38))
        elif kind == 3:
            tail = machine.output.weight[:, parts.controller.width :]
            tail.copy_(torch.from_numpy(random.uniform(-12, 12, tuple(tail.shape))))
        elif kind == 4:
            see = parts.controller.layers[0]
            see.weight[-1], see.bias[-1] = float(random.choice([1, 1 / 2, 1 / 3, -1])) * MOST, -8
        elif kind == 5:
            for layer in (parts.feedback, parts.heads.writing, parts.heads.addressing, machine.output):
                strength = float(random.uniform(0.02, 1.2))
                layer.weight *= strength
                layer.bias *= strength
        else:
            parts.heads.addressing.bias.view(table.tapes, 5)[:, int(random.integers(5))] = float(random.uniform(-20, 20))
    return machine


class Followed(NamedTuple):
    """A dense run beside the reference."""

    right: bool  # at every tick it said that it runs when the table does, and at every look it held what the table had
    register: float  # how far values were from 0 and 1, at most
    slot: float
    off_head: float

    def within(self, errors):
        """Whether all was right and no further off than a certificate says."""
        slots, heads = errors.slot + DRIFT, errors.off_head + FUNCTION
        return self.right and self.register <= errors.register and self.slot <= slots and self.off_head <= heads


def follow(named, word, ticks):
    """A dense run of so many ticks, looked at every 64, on after a halt, too; raises NotDiscreteError."""
    table, register, slot, off = named.task.table, 0.0, 0.0, 0.0
    rows, now, steps, halted = execute(table, word, ticks), begin(table, word), 0, False
    for before, output in ticks_dense(named.machine, table, word, ticks):
        for logit in output.logits[0, :, 0].tolist():
            row = next(rows, None)
            halted = row is None
            if (logit > 0) == halted:
                return Followed(False, register, slot, off)
            now, steps = now if row is None else row[1], steps + (row is not None)
        final = read_off(Tape(output.state, before.origin), table, halted, steps)
        if final != (halted, steps, now.state, now.heads, written(now.tapes, table.blank)):
            return Followed(False, register, slot, off)
        (bits,), (memory, weights, _) = output.state.controller, output.state.access
        register, slot = (max(a, float((b - b.round()).abs().max())) for a, b in ((register, bits), (slot, memory)))
        off = max(off, float(1 - weights.amax(-1).min()))
    return Followed(True, register, slot, off)
