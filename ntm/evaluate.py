"""python -m ntm.evaluate run=<run or file> lengths=[8,16]: count errors at any length, with the weights as they are."""

import json
import time
from typing import Any, NamedTuple

import torch
from rich.console import Console
from rich.table import Table

from ntm import runs
from ntm.command import command
from ntm.config import spoken, validate
from ntm.errors import UserError
from ntm.models import Model
from ntm.views.render import pictures
from tasks import Task
from tasks.fields import Count, Counts, Seed

CHUNK = 32
"""Sequences run at once."""


class Result(NamedTuple):
    """Errors at one length."""

    length: int
    sequences: int
    bit_errors: int
    bits: int
    wrong_sequences: int
    seconds: float


def evaluate(model: Model, task: Task, length: int, sequences: int, seed: int = 0, room: int | None = None) -> Result:
    """Errors on `sequences` test sequences of one length; `room` defaults to what the model takes for the length."""
    start = time.perf_counter()
    errors = due = wrong = 0
    with torch.inference_mode():
        for chunk in range(0, sequences, CHUNK):
            score = model.examine(task, seed, chunk, min(CHUNK, sequences - chunk), length, room)
            errors += int(score.errors.sum())
            due += int(score.due.sum())
            wrong += score.wrong_sequences
    return Result(length, sequences, errors, due, wrong, round(time.perf_counter() - start, 3))


def table(title: str, results: list[Result]) -> Table:
    """Results as a table for the terminal."""
    shown = Table(title=title, title_justify="left")
    for column in ("length", "sequences", "wrong sequences", "bit errors", "bits", "seconds"):
        shown.add_column(column, justify="right")
    for r in results:
        style = "green" if r.bit_errors == 0 else "red"
        row = (r.length, r.sequences, r.wrong_sequences, r.bit_errors, r.bits, f"{r.seconds:.1f}")
        shown.add_row(*(str(value) for value in row), style=style)
    return shown


@command("evaluate")
def main(values: dict[str, Any], overrides: list[str]) -> None:
    """Check every key, then evaluate length by length; files are written only at the end."""
    sequences, seed = validate(Count, values["sequences"], "sequences"), validate(Seed, values["seed"], "seed")
    asked = None if values["lengths"] is None else validate(Counts, values["lengths"], "lengths")
    room_key = spoken("room", overrides)
    room = None if values["room"] == "auto" else validate(Count, values["room"], room_key)
    outputs = {key: runs.writable(key, values[key]) for key in ("json", "png") if values[key] is not None}
    loaded = runs.read("run", runs.find("run", str(values["run"]), prefer="best.ckpt"))
    model, task, raw = loaded.model, loaded.config.task, loaded.raw
    lengths = asked or task.test_lengths
    for length in lengths:
        if room is not None and model.room_for(task.room(length)) is None:
            raise UserError(f"{room_key}={room}: this model has no memory to give room to; allowed: auto")
        if room is not None and room < task.room(length):
            needed = f"too few for length {length} of this task, which needs at least {task.room(length)}"
            raise UserError(f"{room_key}={room}: {needed}")
    torch.set_num_threads(loaded.config.trainer.threads)

    results = []
    console = Console()
    name = raw["task"]["name"]
    with console.status("evaluating") as status:
        for length in lengths:
            status.update(f"evaluating length {length}")
            results.append(evaluate(model, task, length, sequences, seed, room))
    console.print(table(f"{name}, supervision {task.claim}, {loaded.path} (update {loaded.updates})", results))
    if "json" in outputs:
        report = {"run": str(loaded.path), "task": name, "model": raw["model"], "supervision": task.claim}
        report["results"] = [r._asdict() for r in results]
        outputs["json"].write_text(json.dumps(report, indent=2) + "\n")
    if "png" in outputs:
        probe, output, _ = model.show(task, "test", seed, lengths[0], room)
        pictures(task, probe, output)["trace"].save(outputs["png"], format="PNG")


if __name__ == "__main__":
    main()
