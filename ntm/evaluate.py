"""python -m ntm.evaluate run=<run or file> lengths=[8,16]: count errors at any length, with the weights as they are."""

from ntm import ends

if __name__ == "__main__":
    ends.leave_at_once("evaluate")  # the imports below take seconds

import json
import math
import time
from itertools import product
from typing import Annotated, Any, NamedTuple

import torch
from pydantic import Field
from rich.console import Console
from rich.table import Table

from ntm import runs, sizes
from ntm.command import command
from ntm.config import spoken, validate
from ntm.errors import UserError
from ntm.models import Model
from ntm.views.lines import tell
from ntm.views.render import as_png, pictures
from tasks import Task
from tasks.fields import Count, Counts, Seed
from tasks.operands import SETS, Arithmetic, Operands

MOST_ROWS, MOST_TICKS = 32, 20_000
"""Sequences run at once, and ticks of all of them together: long sequences are run one by one, in the memory of short ones."""


class Result(NamedTuple):
    """Errors at one length, and on one set of operands where these were asked for."""

    length: int
    sequences: int
    bit_errors: int
    bits: int
    wrong_sequences: int
    seconds: float
    operands: str | None = None


def evaluate(model: Model, task: Task, length: int, sequences: int, seed: int = 0, room: int | None = None) -> Result:
    """Errors on `sequences` test sequences of one length; `room` defaults to what the model takes for the length."""
    start = time.perf_counter()
    errors = due = wrong = 0
    at_once = rows_of(task, length, sequences)
    with torch.inference_mode():
        for first in range(0, sequences, at_once):
            score = model.examine(task, seed, first, min(at_once, sequences - first), length, room)
            errors += int(score.errors.sum())
            due += int(score.due.sum())
            wrong += score.wrong_sequences
    return Result(length, sequences, errors, due, wrong, round(time.perf_counter() - start, 3))


def rows_of(task: Task, length: int, sequences: int) -> int:
    """How many sequences of a length are run at once."""
    return max(1, min(MOST_ROWS, sequences, MOST_TICKS // task.ticks(length)))


def table(title: str, results: list[Result]) -> Table:
    """Results as a table for the terminal."""
    shown = Table(title=title, title_justify="left")
    sets = any(r.operands is not None for r in results)
    for column in ("length", *["operands"] * sets, "sequences", "wrong sequences", "bit errors", "bits", "seconds"):
        shown.add_column(column, justify="left" if column == "operands" else "right")
    for r in results:
        style = "green" if r.bit_errors == 0 else "red"
        row = (r.length, *[r.operands] * sets, r.sequences, r.wrong_sequences, r.bit_errors, r.bits, f"{r.seconds:.1f}")
        shown.add_row(*(str(value) for value in row), style=style)
    return shown


def sets_of(task: Task, asked: Any) -> dict[str | None, Task]:
    """The task on each set of operands that is asked for, by its name (null: its own, without one); raises UserError."""
    if asked is None:
        return {None: task}
    if not isinstance(task, Arithmetic):
        raise UserError(f"operands={asked}: a run of a task without sets of operands; allowed: null")
    if asked == "all":
        names = tuple(SETS)
    elif isinstance(asked, list):
        names = validate(Annotated[tuple[Operands, ...], Field(min_length=1)], [str(name) for name in asked], "operands")
    else:
        names = (validate(Operands, str(asked), "operands"),)
    return {name: task.of(name) for name in names}


def none_wrong_at(results: list[Result]) -> int | None:
    """The largest length up to which no sequence of any set was wrong, of those that were judged."""
    wrong = min((r.length for r in results if r.wrong_sequences), default=math.inf)
    return max((r.length for r in results if r.length < wrong), default=None)


def by_lookup(model: Model, asked: Any) -> bool:
    """Whether `discrete` asks for decisions that are looked up; raises UserError."""
    if asked not in ("auto", True, False):
        raise UserError(f"discrete={asked}: allowed: auto, true or false")
    return model.rounded if asked == "auto" else bool(asked)


def tell_damaged(console: Console, loaded: runs.Loaded) -> None:
    """A line for each file that was passed over."""
    for reason in loaded.damaged:
        tell(console, f"damaged: {reason}")


@command("evaluate")
def main(values: dict[str, Any], overrides: list[str]) -> None:
    """Check every key, then evaluate length by length; files are written only at the end."""
    sequences, seed = validate(Count, values["sequences"], "sequences"), validate(Seed, values["seed"], "seed")
    asked = None if values["lengths"] is None else validate(Counts, values["lengths"], "lengths")
    room_key = spoken("room", overrides)
    room = None if values["room"] == "auto" else validate(Count, values["room"], room_key)
    outputs = runs.outputs(values)
    loaded = runs.read("run", runs.find("run", str(values["run"]), prefer=runs.BEST))
    model, task, raw = loaded.model, loaded.config.task, loaded.raw
    lengths, sets = asked or task.test_lengths, sets_of(task, values["operands"])
    for length in lengths:
        if room is not None and model.room_for(task.room(length)) is None:
            raise UserError(f"{room_key}={room}: this model has no memory to give room to; allowed: auto")
        if room is not None and room < task.room(length):
            needed = f"too few for length {length} of this task, which needs at least {task.room(length)}"
            raise UserError(f"{room_key}={room}: {needed}")
    longest = max(lengths)
    key = f"lengths={longest}" if room is None else f"lengths={longest}, {room_key}={room}"
    sizes.check_run(model, task, key, rows_of(task, longest, sequences), longest, room)
    discrete = by_lookup(model, values["discrete"])
    if discrete:
        model = model.discrete()
    torch.set_num_threads(loaded.config.trainer.threads)

    results = []
    console = Console()
    tell_damaged(console, loaded)
    name = raw["task"]["name"]
    with console.status("evaluating") as status:
        for length, (operands, drawn) in product(lengths, sets.items()):
            status.update(f"evaluating length {length}{f', operands {operands}' if operands else ''}")
            results.append(evaluate(model, drawn, length, sequences, seed, room)._replace(operands=operands))
    judged = "looked up" if discrete else "dense"
    console.print(table(f"{name}, {judged}, supervision {task.claim}, {loaded.path} (update {loaded.updates})", results))
    figures = model.figures()
    if figures:
        line = "; ".join(f"{name} {figure:,}" for name, figure in figures.items())
        tell(console, line)
    longest_right = none_wrong_at(results)
    if values["operands"] is not None:
        at = "none" if longest_right is None else f"{longest_right:,}"
        told = f"largest length up to which no sequence was wrong: {at} ({sequences:,} of each of {len(sets)} sets of operands)"
        tell(console, told)
    if "json" in outputs:
        report = {"run": str(loaded.path), "task": name, "model": raw["model"], "supervision": task.claim}
        report["discrete"], report["figures"] = discrete, figures
        report["none_wrong_at"] = longest_right
        report["results"] = [{key: value for key, value in r._asdict().items() if value is not None} for r in results]
        runs.put("json", outputs["json"], (json.dumps(report, indent=2) + "\n").encode())
    if "png" in outputs:
        drawer = loaded.model if values["discrete"] == "auto" else model  # the same run, with all that it holds to be seen
        probe, output, _ = drawer.show(next(iter(sets.values())), "test", seed, lengths[0], room)
        runs.put("png", outputs["png"], as_png(pictures(task, probe, output)["trace"]))


if __name__ == "__main__":
    main()
    ends.too_late()
