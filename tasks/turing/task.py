"""The task `turing`: learn a state table from the steps of short executions, to be run free on long ones.

A sequence is one execution of the reference. Tick by tick it shows what the machine sees of itself, the symbol under each
head and the state, one-hot, and asks for everything that the table's row does: the next state, the symbols written, the moves
(left, stay, right) and whether a row was executed at all. binary_increment on the word 1, states right, carry, done:

    tick     inputs: _01 state     targets: state _01 LSR running
    0                001 100                100   001 001 1
    1                100 100                010   100 100 1
    2                001 010                010   010 100 1
    3                100 010                001   001 010 1
    4                001 001                001   001 010 0

That is supervision by trace: the network is told each action, not only the answer.
"""

import json
from functools import cached_property
from itertools import islice
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import BeforeValidator, InstanceOf, PlainSerializer
from pydantic.dataclasses import dataclass
from torch import Tensor

from tasks.base import Task
from tasks.fields import STRICT, Count, Counts, Range
from tasks.turing.reference import begin, execute, read_cells
from tasks.turing.table import Row, Table, read_table
from tasks.turing.words import Part, Word, parts, random_word


def as_table(given: Any) -> Table:
    """A table from whatever says which; raises ValueError."""
    return given if isinstance(given, Table) else read_table(given)


def as_source(table: Table) -> Any:
    """What a table was read from, and its name, as dicts, lists and texts only: as checkpoints hold it."""
    return table.source if isinstance(table.source, str) else json.loads(json.dumps({"name": table.name, **table.source}))


@dataclass(frozen=True, config=STRICT)
class Turing(Task):
    """Executions of `table` on random words whose runs (see words.py) have `lengths` symbols."""

    table: Annotated[InstanceOf[Table], BeforeValidator(as_table), PlainSerializer(as_source)] = read_table("binary_mul")
    lengths: Range = (1, 5)
    val_lengths: Counts = (5, 8)
    test_lengths: Counts = (5, 8, 64)
    probe_length: Count = 2
    supervision: Literal["trace", "compiled"] = "trace"
    most_ticks: Count = 500  # of an execution shown in training; a table may never halt

    @property
    def inputs(self) -> int:
        return self.table.tapes * len(self.table.symbols) + len(self.table.states)

    @property
    def outputs(self) -> int:
        return self.inputs + 3 * self.table.tapes + 1

    @property
    def claim(self) -> str:
        return self.supervision

    @property
    def words(self) -> str:
        """The pattern of the words to run on: the one that the table declares, or any symbols on every tape."""
        return self.table.input or ",".join([f"[ {' '.join(self.table.symbols)} ]+"] * self.table.tapes)

    @property
    def pattern(self) -> list[list[Part]]:
        """The parts of `words`, tape by tape."""
        return parts(self.words, self.table.tapes)

    def ticks(self, length: int) -> int:
        return min(length, self.most_ticks + 1)

    def drawing(self, length: int) -> int:
        cell = 80  # bytes, of a dictionary and its numbers
        return super().drawing(length) + cell * length * sum(part.run for tape in self.pattern for part in tape)

    def room(self, length: int) -> int:
        return self.table.tapes  # the tape grows as it is used

    def sequence(self, random: np.random.Generator, length: int, split: str):
        execution = self.execution(random_word(random, self.pattern, length))
        if split != "train":
            return execution
        # A tick that was there before says nothing new, and the rare ones would drown among them.
        first = np.sort(np.unique(execution[0], axis=0, return_index=True)[1])
        inputs, targets, mask = (part[first] for part in execution)
        return inputs, targets, mask

    def execution(self, word: Word) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The reference's ticks on a word, at most `most_ticks`: inputs [T I], targets [T O], mask [T]."""
        table = self.table
        steps = list(islice(execute(table, word, self.most_ticks), self.most_ticks))
        trace: list[tuple[str, tuple[str, ...], Row | None]] = [tuple(step) for step, _ in steps]  # type: ignore[misc]
        last = steps[-1][1] if steps else begin(table, word)
        seen = read_cells(table, last)
        if table.rows[last.state, seen] is None:
            trace.append((last.state, seen, None))
        inputs, targets = (np.stack(column) for column in zip(*(self.encoded[state, seen] for state, seen, _ in trace)))
        return inputs, targets, np.ones(len(trace))

    @cached_property
    def encoded(self) -> dict[tuple[str, tuple[str, ...]], tuple[np.ndarray, np.ndarray]]:
        """What is shown and what is asked for at every entry of the table."""
        return {key: (self.encode(*key), self.encode_action(*key, row)) for key, row in self.table.rows.items()}

    def encode(self, state: str, symbols: tuple[str, ...]) -> np.ndarray:
        """What the controller sees: the symbol under each head, then the state, one-hot."""
        table = self.table
        parts = [np.eye(len(table.symbols))[table.symbols.index(symbol)] for symbol in symbols]
        return np.concatenate([*parts, np.eye(len(table.states))[table.states.index(state)]])

    def encode_action(self, state: str, seen: tuple[str, ...], row: Row | None) -> np.ndarray:
        """What is asked for: next state, symbols written, moves, running. Where no row is, nothing changes."""
        action = Row(seen, (0,) * self.table.tapes, state) if row is None else row
        written, after = np.split(self.encode(action.state, action.write), [-len(self.table.states)])
        moves = np.eye(3)[[1 + move for move in action.move]].ravel()
        return np.concatenate([after, written, moves, [row is not None]])

    def show(self, inputs: Tensor, outputs: Tensor) -> str:
        states = len(self.table.states)
        asked = inputs.any(-1)
        wrong = 0
        for seen, answer in zip(inputs[asked].numpy(), outputs[asked].numpy()):
            symbols = seen[:-states].reshape(self.table.tapes, -1).argmax(-1)
            key = self.table.states[int(seen[-states:].argmax())], tuple(self.table.symbols[n] for n in symbols)
            wrong += not np.array_equal(self.encode_action(*key, self.table.rows[key]), answer)
        ticks = int(asked.sum())
        return f"{self.table.name}: {ticks - wrong} of {ticks} ticks as the table says, {'wrong' if wrong else 'ok'}"
