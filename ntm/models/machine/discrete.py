"""A machine of tape heads, all that it holds rounded after every tick: a tick is then a decision, made once and looked up.

A value above a half is 1, any other 0, and a head stands on its heaviest slot. What heads read is rounded, so what the output
hears of it is.

A tick depends on its inputs, the register, the slots that heads see and stand on, which heads share a slot, and how far a head
is from home where it is so near that going home and staying may lead to one slot. A decision is one real tick of the machine on
a small ring of slots with just that in it.

Letters: B batch, T ticks, H heads, N slots, M slot width, R all read vectors, C controller width, O outputs.
"""

import copy
import time
from array import array
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ntm.models.base import Model, Output, device_of
from ntm.models.machine import abreast
from ntm.models.machine.access import HeadsState
from ntm.models.machine.controllers import RegisterState
from ntm.models.machine.lookup import Code, Configuration, Decision, Key, Ring, Shape, loop_of, pairs, ring_of, small
from ntm.models.machine.tape_heads import TapeHeads

TIE = 1e-6
"""Weights that differ by less than this part are equally heavy: of them a head takes the first, from where it stands upwards."""

CHUNK = 16_384
"""Ticks of a sequence that are kept as more than inputs and logits."""


class Decisions(dict[tuple, Decision]):
    """What a tick does, made when first asked for, on a ring of so many slots."""

    def __init__(self, machine: Any, output: nn.Linear, slots: int):
        super().__init__()
        self.machine, self.output, self.shape = machine, output, shape_of(machine.access)
        self.start = machine.initial_state(1, slots)
        self.furthest, self.lightest = 0.0, 1.0  # of a value from its bit, of a head on its slot
        self.adds = output.weight.new_empty(0, 2, output.out_features)  # to logits, by each decision and by what it saw
        self.fresh: list[Tensor] = []  # those that are not yet in it, as they were made
        self.abreast = abreast.Abreast(self.shape, self.of)

    def __missing__(self, flat: tuple) -> Decision:
        self.make([flat])
        return self[flat]

    def of(self, flats: list[tuple]) -> list[Decision]:
        """Decisions on several keys, each there once; those that are new are made together."""
        fresh = [flat for flat in flats if flat not in self]
        if fresh:
            self.make(fresh)
        return [self[flat] for flat in flats]

    @torch.no_grad()
    def make(self, flats: list[tuple]) -> None:
        """Decide on keys that are not there yet, each a row of one tick."""
        keys, heads = [Key.of(self.shape, flat) for flat in flats], self.machine.access
        count, slots = len(keys), self.start.access.memory.shape[1]
        start = self.machine.initial_state(count, slots)
        memory = torch.zeros_like(start.access.memory).unflatten(-1, (heads.tapes, -1))
        seen = values(b"".join(code for key in keys for code in key.seen)).view(count, heads.heads, -1, heads.slot_width)
        places = {met: self.standing(met) for met in {key.met for key in keys}}
        at = torch.stack([places[key.met] for key in keys])
        row, tape = torch.arange(count)[:, None], torch.arange(heads.heads) % heads.tapes
        memory[row, at, tape] = seen[:, :, self.shape.offsets.index(0)]
        away = torch.tensor([key.away for key in keys])
        where, home = (F.one_hot(places % slots, slots).float() for places in (at, at + away))
        reads = seen[:, :, : len(heads.window)].reshape(count, -1)
        register = values(b"".join(key.register for key in keys)).view(count, self.machine.controller.register)
        access = HeadsState(memory.flatten(2), where, home)
        state = start._replace(controller=RegisterState(register), access=access, reads=reads)
        inputs = torch.from_numpy(np.stack([np.frombuffer(key.inputs, np.float32) for key in keys]))
        hidden, after, _ = self.machine(inputs, state)

        self.fresh.append(torch.stack([self.said(hidden), self.heard(reads)], 1))
        left = after.access.memory.view_as(memory)[row, at, tape]
        steps, weights = heaviest(after.access.weights.flatten(0, 1), at.flatten())
        self.measure(weights, left, after.controller.register)
        moves = range(-self.shape.reach, self.shape.reach + 1)
        written, registers = codes(left.flatten(0, 1)), codes(after.controller.register)
        for n, (flat, key) in enumerate(zip(flats, keys)):
            acts: list[Code | int] = []
            for h, far in enumerate(key.away, n * heads.heads):
                leads = [(begun + move) % slots for begun in (0, far) for move in moves]
                acts += [written[h], leads.index(steps[h])]
            self[flat] = (len(self), registers[n], *acts)

    def standing(self, met: tuple[bool, ...]) -> Tensor:
        """Slots [H] that heads may be put on, those that have met on one; on tapes of their own they cannot meet."""
        first = [0] * self.shape.heads if self.shape.tapes > 1 else [*range(self.shape.heads)]
        for (a, b), together in zip(pairs(self.shape), met):
            first[b] = first[a] if together else first[b]
        return torch.tensor([sorted(set(first)).index(head) for head in first])

    def measure(self, weights: Tensor, *bits: Tensor) -> None:
        """Remember how far these were from being discrete."""
        self.lightest = min(self.lightest, weights.min().item())
        for part in bits:
            self.furthest = max([self.furthest, *(part - part.gt(0.5).float()).abs().flatten().tolist()])

    def said(self, hidden: Tensor) -> Tensor:
        """What a tick's controller adds to its logits [K O]."""
        width = self.machine.controller.width
        return F.linear(hidden[:, :width], self.output.weight[:, :width], self.output.bias)

    def heard(self, reads: Tensor) -> Tensor:
        """What reads [K R] add to the logits [K O] of the tick that they end."""
        return F.linear(reads, self.output.weight[:, self.machine.controller.width :])

    def logits(self, path: Tensor, last: Tensor) -> Tensor:
        """Logits [B T O] of decisions [B T] in a row, where `last` [B R] is read in the end."""
        if self.fresh:
            self.adds, self.fresh = torch.cat([self.adds, *self.fresh]), []
        said, heard = self.adds[path].unbind(2)
        return said + torch.cat([heard[:, 1:], self.heard(last)[:, None]], 1)


class Discrete(Model):
    """A machine of a feed-forward controller and tape heads, rounded after every tick."""

    goes_on = True
    piece = CHUNK

    def __init__(self, machine: Any, output: nn.Linear):
        super().__init__()
        self.machine, self.output = on_cpu(machine, output)
        self.shape = shape_of(machine.access)
        self.loop = loop_of(self.shape)
        self.decisions: dict[int, Decisions] = {}  # by the slots of their ring
        self.beginnings: dict[int | None, tuple[Decisions, Ring, Configuration]] = {}  # by the room, of the last one
        self.ticks, self.seconds = 0, 0.0

    @torch.no_grad()
    def forward(self, inputs, ticks=None, *, room=None, state=None, noise=None, record=False) -> Output:
        """As every model's; its state is a configuration for each row, and there are no signals."""
        assert state is None or room is None, "room belongs to the beginning"
        assert noise is None, "it does not learn"
        begun = time.perf_counter()
        slots = room if state is None else len(state[0].tapes[0])
        if slots not in self.beginnings:
            self.beginnings = {slots: self.begin(slots)}
        decisions, ring, first = self.beginnings[slots]
        logits = inputs.new_zeros(*inputs.shape[:2], self.output.out_features)
        lasts = [inputs.shape[1]] * len(inputs) if ticks is None else ticks.tolist()
        begins = [first] * len(inputs) if state is None else state
        ends = self.run_abreast(inputs, lasts, decisions, ring, begins, logits)
        if ends is None:
            rows = zip(inputs, logits, lasts, begins)
            ends = [self.run(x[:last], decisions, ring, now, row) for x, row, last, now in rows]
        self.ticks, self.seconds = self.ticks + sum(lasts), self.seconds + time.perf_counter() - begun
        return Output(logits, ends)

    def begin(self, room: int | None) -> tuple[Decisions, Ring, Configuration]:
        """All that sequences with this room have in common."""
        state = self.machine.initial_state(1, room)
        memory = state.access.memory[0]
        homes, weights = heaviest(state.access.home[0], torch.zeros(self.shape.heads, dtype=torch.long))
        few = small(self.shape, len(memory))
        if few not in self.decisions:
            self.decisions[few] = Decisions(self.machine, self.output, few)
        self.decisions[few].measure(weights, memory)
        tapes = []
        for tape in memory.unflatten(-1, (self.shape.tapes, -1)).unbind(1):
            tapes.append([bytes(tape.shape[-1])] * len(tape))
            written = tape.gt(0.5).any(1).nonzero().flatten()
            for slot, code in zip(written.tolist(), codes(tape[written])):
                tapes[-1][slot] = code
        register = bytes(self.machine.controller.register)
        return self.decisions[few], ring_of(self.shape, len(memory), homes), Configuration(register, homes, tapes)

    def run(self, inputs: Tensor, decisions: Decisions, ring: Ring, first: Configuration, logits: Tensor) -> Configuration:
        """Fill logits [T O] for inputs [T I]; returns where it ends."""
        now = first._replace(tapes=[tape.copy() for tape in first.tapes])
        for start in range(0, len(inputs), CHUNK):
            rows = np.ascontiguousarray(inputs[start : start + CHUNK].numpy())
            path = array("q")  # a list's numbers would be taken over one by one
            now = self.loop(rows.view(f"V{rows[0].nbytes}").ravel().tolist(), decisions, ring, now, path.append)
            numbers = torch.frombuffer(path, dtype=torch.int64)[None]
            logits[start : start + len(path)] = decisions.logits(numbers, self.read([now], ring))[0]
        return now

    def run_abreast(
        self, inputs: Tensor, lasts: list[int], decisions: Decisions, ring: Ring, begins: list[Configuration], logits: Tensor
    ) -> list[Configuration] | None:
        """Fill logits [B T O] of all rows at once; None where they cannot be run so."""
        rows = inputs.numpy()
        if not abreast.fits(self.shape, rows, lasts):
            return None
        try:
            path, ends = decisions.abreast.run(rows, ring, begins)
        except OverflowError:
            return None
        logits[:] = decisions.logits(torch.from_numpy(path), self.read(ends, ring))
        return ends

    def read(self, ends: list[Configuration], ring: Ring) -> Tensor:
        """What the heads of configurations read, [B R]."""
        window, times = ring.beside[: len(self.machine.access.window)], self.shape.heads // self.shape.tapes
        heads = ((at, tape) for end in ends for at, tape in zip(end.at, end.tapes * times))
        seen = b"".join([tape[beside[at]] for at, tape in heads for beside in window])
        return torch.from_numpy(np.frombuffer(seen, np.uint8).astype(np.float32)).view(len(ends), -1)

    def room_for(self, need: int) -> int:
        return self.machine.room_for(need)

    def figures(self) -> dict[str, float]:
        """How much of the machine was reached, how discrete that was by itself, and how fast."""
        every = list(self.decisions.values())
        keys = [Key.of(self.shape, flat) for decisions in every for flat in decisions]
        return {
            "combinations": len(keys),
            "slot contents": len({code for key in keys for code in key.seen}),
            "register contents": len({key.register for key in keys}),
            "furthest from rounded": max(decisions.furthest for decisions in every),
            "least weight on a head's slot": min(decisions.lightest for decisions in every),
            "ticks a second": round(self.ticks / self.seconds),
        }


def on_cpu(machine: Any, output: nn.Linear) -> tuple[Any, nn.Linear]:
    """Machine and output, or copies of them on the CPU, where decisions are made: they are too small for anything else."""
    if device_of(output).type == "cpu":
        return machine, output
    return copy.deepcopy(machine).cpu(), copy.deepcopy(output).cpu()


def shape_of(heads: TapeHeads) -> Shape:
    """What a loop must know of heads: their window, and the slot that they write."""
    own = () if 0 in heads.window else (0,)
    return Shape(heads.heads, heads.tapes, heads.window + own, heads.shift_width // 2)


def codes(rows: Tensor) -> list[Code]:
    """Rows of values, rounded."""
    return [row.tobytes() for row in rows.gt(0.5).numpy()]


def values(code: Code) -> Tensor:
    """A code's bits as numbers."""
    return torch.from_numpy(np.frombuffer(code, np.uint8).astype(np.float32))


def heaviest(weights: Tensor, at: Tensor) -> tuple[list[int], Tensor]:
    """How many slots above its own `at` [H] each head's heaviest one of weights [H N] is, on the ring, and how heavy."""
    slots = weights.shape[1]
    turned = weights.gather(1, (at[:, None] + torch.arange(slots)) % slots)
    steps = (turned >= turned.amax(1, keepdim=True) * (1 - TIE)).int().argmax(1)
    return steps.tolist(), turned.gather(1, steps[:, None])
