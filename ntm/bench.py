"""python -m ntm.bench rows=[steps]: how fast machines train here, beside others and beside their arithmetic alone."""

from ntm import ends

if __name__ == "__main__":
    ends.leave_at_once("bench")  # the imports below take seconds

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Literal

import torch
from pydantic import Field
from rich import box
from rich.console import Console
from rich.table import Table

from ntm import runs
from ntm.benches import growth, rivals, solved, steps
from ntm.benches.timing import Asked, Measured
from ntm.command import command
from ntm.config import validate
from ntm.models.machine.fused.library import processor
from tasks.fields import Many, Positive, Seed

KINDS: dict[str, Callable[[Asked], Measured]] = {"steps": steps.measure, "solved": solved.measure, "growth": growth.measure}
"""Every kind of row: a new one is a file in ntm/benches and a row here."""

Rows = Annotated[tuple[Literal["steps", "solved", "growth"], ...], Field(min_length=1, max_length=len(KINDS))]


def table(title: str, lines: list[dict[str, Any]]) -> Table:
    """Lines with the same keys as a table for the terminal."""
    shown = Table(title=title, title_justify="left", box=box.SIMPLE, pad_edge=False, padding=(0, 1))
    for key, value in lines[0].items():
        shown.add_column(key.replace("_", "\n"), justify="left" if isinstance(value, str) else "right", no_wrap=True)
    for line in lines:
        shown.add_row(*(text(value) for value in line.values()))
    return shown


def text(value: Any) -> str:
    """A value as a person reads it, three digits of a number that was measured."""
    if isinstance(value, float):
        return f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}"
    return "-" if value is None else str(value)


@command("bench")
def main(values: dict[str, Any], overrides: list[str]) -> None:
    """Check every key, measure kind by kind and print each; the file is written at the end."""
    asked_rows = validate(Rows, values["rows"], "rows")
    threads, repeats = validate(Many, values["threads"], "threads"), validate(Many, values["repeats"], "repeats")
    limit, seed = validate(Positive, values["seconds"], "seconds"), validate(Seed, values["seed"], "seed")
    dnc = validate(bool, values["dnc"], "dnc")
    output = None if values["json"] is None else runs.writable("json", values["json"])
    checkout = values["pytorch_ntm"]
    rival = None if checkout is None else rivals.load(Path(str(checkout)))
    torch.set_num_threads(threads)
    asked = Asked(repeats, limit, seed, rival, dnc)

    console = Console(highlight=False, soft_wrap=True)
    here = {"processor": processor("model name"), "cores": os.cpu_count(), "torch": torch.__version__, "threads": threads}
    report: dict[str, Any] = {"machine": here, "gflops": {}, "load": {}}
    for name in (name for name in KINDS if name in asked_rows):
        with console.status(f"measuring {name}"):
            measured = KINDS[name](asked)
        gflops, load = measured.flops / 1e9, os.getloadavg()[0] if hasattr(os, "getloadavg") else None
        report["gflops"][name], report["load"][name] = gflops, load
        told = f"{threads} thread(s) of {here['cores']} cores, load {text(load)}, floor at {gflops:.0f} GFlop/s"
        for title, lines in measured.tables.items():
            console.print(table(f"{title}: {told}", lines))
            report[title] = lines
        for note in measured.notes:
            console.print(f"left out: {note}", markup=False)
    if output is not None:
        runs.put("json", output, (json.dumps(report, indent=2) + "\n").encode())


if __name__ == "__main__":
    main()
    ends.too_late()
