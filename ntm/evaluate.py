"""python -m ntm.evaluate run=<run or file> lengths=[8,16]: count errors at any length, with the weights as they are."""

import json
import time
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from rich.console import Console
from rich.table import Table

from ntm import render, runs
from ntm.command import command
from ntm.config import Seed, UserError, auto_slots, check_slots, validate
from ntm.machine import Machine
from ntm.turing.free import record, score_free
from tasks import Task, Turing
from tasks.base import Count, Lengths
from tasks.turing import random_word

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


def evaluate(machine: Machine, task: Task, length: int, sequences: int, seed: int = 0, slots: int | None = None) -> Result:
    """Errors on `sequences` test sequences of one length; `slots` defaults to what the length needs."""
    start = time.perf_counter()
    slots = slots or auto_slots(machine, task, length)
    bit_errors = bits = wrong = 0
    with torch.inference_mode():
        for chunk in range(0, sequences, CHUNK):
            size = min(CHUNK, sequences - chunk)
            if isinstance(task, Turing):
                score = score_free(machine, task, np.random.default_rng([seed, chunk]), length, size)
            else:
                batch = task.batch(seed, "test", chunk, size, (length, length)).to(machine.output.weight.device)
                score = task.score(machine(batch.inputs, slots=slots).logits, batch)
            bit_errors += int(score.bit_errors.sum())
            bits += int(score.bits.sum())
            wrong += score.wrong_sequences
    return Result(length, sequences, bit_errors, bits, wrong, round(time.perf_counter() - start, 3))


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
    asked = None if values["lengths"] is None else validate(Lengths, values["lengths"], "lengths")
    slots = None if values["slots"] == "auto" else validate(Count, values["slots"], "slots")
    outputs = {key: writable(key, values[key]) for key in ("json", "png") if values[key] is not None}
    loaded = runs.load("run", runs.find("run", str(values["run"]), prefer="best.ckpt"))
    machine, task = loaded.machine, loaded.config.task
    lengths = asked or task.test_lengths
    for length in lengths:
        if slots is not None:
            check_slots(task, slots, length, "slots")
    torch.set_num_threads(loaded.config.trainer.threads)

    results = []
    console = Console()
    name = loaded.raw["task"]["name"]
    with console.status("evaluating") as status:
        for length in lengths:
            status.update(f"evaluating length {length}")
            results.append(evaluate(machine, task, length, sequences, seed, slots))
    console.print(table(f"{name}, supervision {task.claim}, {loaded.path} (update {loaded.updates})", results))
    if "json" in outputs:
        report = {
            "run": str(loaded.path),
            "task": name,
            "machine": loaded.raw["machine"],
            "supervision": task.claim,
            "results": [r._asdict() for r in results],
        }
        outputs["json"].write_text(json.dumps(report, indent=2) + "\n")
    if "png" in outputs:
        if isinstance(task, Turing):
            probe, output = record(machine, task, random_word(np.random.default_rng(seed), task.pattern, lengths[0]))
        else:
            probe = task.batch(seed, "test", 0, 1, (lengths[0], lengths[0]))
            with torch.inference_mode():
                output = machine(probe.inputs, slots=slots or auto_slots(machine, task, lengths[0]), record=True)
        render.pictures(probe, output)["trace"].save(outputs["png"], format="PNG")


def writable(key: str, value: Any) -> Path:
    """The path of a file to be written; raises UserError where its folder is not there or cannot be written."""
    path = Path(str(value))
    try:
        existed = path.exists()
        path.open("a").close()
        if not existed:
            path.unlink()
    except OSError as error:
        raise UserError(f"{key}={value}: cannot be written ({error.strerror}); allowed: a file in a folder that exists") from None
    return path


if __name__ == "__main__":
    main()
