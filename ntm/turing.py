"""python -m ntm.turing machine=bb4 [input=<symbols>] [max_steps=N]: run a Turing machine as a network, and see where it ends."""

from ntm import ends

if __name__ == "__main__":
    ends.leave_at_once("turing")  # the imports below take seconds

import json
import sys
import time
from typing import Any, Literal

import numpy as np
import torch
from rich.console import Console
from torch.utils.tensorboard import SummaryWriter

from ntm import named, runs
from ntm.command import command, defaults
from ntm.config import validate
from ntm.errors import UserError
from ntm.models.turing.decisions import Decisions, NotDiscreteError
from ntm.models.turing.free import record
from ntm.models.turing.run import Final, Snapshot, run_dense, run_discrete
from ntm.models.turing.universal import encode_machine
from ntm.views.lines import tell
from ntm.views.render import as_png, pictures
from ntm.views.spacetime import space_time
from tasks.fields import Natural
from tasks.turing import Table, Word, read_word

LONGEST = 400
"""Symbols of a tape that are printed."""


@command("turing")
def main(values: dict[str, Any], overrides: list[str]) -> None:
    """Check every key, run, and tell the end; files are written only then."""
    max_steps = validate(Natural, values["max_steps"], "max_steps")
    path = validate(Literal["discrete", "dense"], values["path"], "path")
    outputs = runs.outputs(values)
    torch.set_num_threads(1)
    found = named.find("machine", str(values["machine"]))
    table, machine = found.task.table, found.machine
    word = words(table, str(values["input"]), values["simulate"])
    folder = None
    if values["run_dir"] is not None:
        if found.task.supervision != "compiled":
            raise UserError(f"run_dir={values['run_dir']}: machine={values['machine']} is a run already; allowed: null")
        folder = runs.new_folder("turing", str(values["run_dir"]))

    console = Console()
    decisions = Decisions(machine, table)
    start = time.perf_counter()
    try:
        with console.status("running") as status:

            def watch(snapshot: Snapshot) -> None:
                rate = snapshot.steps / (time.perf_counter() - start) / 1e6
                status.update(f"running: {snapshot.steps:,} of at most {max_steps:,} steps, {rate:.1f} million a second")

            if path == "dense":
                final = run_dense(machine, table, word, max_steps)
            else:
                final = run_discrete(decisions, word, max_steps, watch)
    except NotDiscreteError as error:
        print(f"ntm.turing: stopped: not a discrete machine: {error}", file=sys.stderr)
        sys.exit(1)
    seconds = time.perf_counter() - start
    for line in summary(found.where, table, final, seconds):
        tell(console, line)
    if "json" in outputs:
        runs.put("json", outputs["json"], (json.dumps(end_of(table, final, seconds), indent=2) + "\n").encode())
    if "png" in outputs:
        runs.put("png", outputs["png"], as_png(space_time(decisions, word, final)))
    if folder is not None:
        named.save_compiled(folder, found, defaults("train", ["task=turing"]))
        with SummaryWriter(str(folder)) as writer:
            for name, image in pictures(found.task, *record(machine, found.task, word)).items():
                writer.add_image(f"images/{name}", np.asarray(image), 0, dataformats="HWC")
        console.print(f"saved       {folder}", highlight=False, soft_wrap=True)


def words(table: Table, text: str, simulate: Any) -> Word:
    """What is on the tapes at the start; raises UserError."""
    if simulate is None:
        try:
            return read_word(text, table.symbols, table.tapes)
        except ValueError as error:
            raise UserError(f"input={text}: {error}") from None
    if table.name != "universal":
        raise UserError(f"simulate={simulate}: only machine=universal simulates; allowed: null")
    inner = named.table_of("simulate", str(simulate))
    try:
        return encode_machine("simulate", inner, read_word(text, inner.symbols, 1))
    except ValueError as error:
        raise UserError(f"input={text}: {error}") from None


def tape_text(table: Table, tape: dict[int, str]) -> tuple[str, int]:
    """A tape from its first to its last symbol that is not blank, and the cell of the first."""
    if not tape:
        return "", 0
    low, high = min(tape), max(tape)
    between = "" if all(len(symbol) == 1 for symbol in table.symbols) else " "
    return between.join(tape.get(cell, table.blank) for cell in range(low, high + 1)), low


def end_of(table: Table, final: Final, seconds: float) -> dict[str, Any]:
    """The end of a run for json=; `head` and `tape` are lists where there are several tapes."""
    tapes = [tape_text(table, tape)[0] for tape in final.tapes]
    return {
        "halted": final.halted,
        "steps": final.steps,
        "nonblanks": sum(len(tape) for tape in final.tapes),
        "state": final.state,
        "head": final.heads[0] if table.tapes == 1 else list(final.heads),
        "tape": tapes[0] if table.tapes == 1 else tapes,
        "seconds": round(seconds, 3),
    }


def summary(where: str, table: Table, final: Final, seconds: float) -> list[str]:
    """The end of a run for people."""
    about = f": {table.about}" if table.about else ""
    lines = [f"machine     {where}{about}", *(f"note        {note}" for note in table.notes)]
    lines += [f"{'halted' if final.halted else 'running':<12}in state {final.state} after {final.steps:,} steps, {seconds:.2f} s"]
    lines += [f"nonblanks   {sum(len(tape) for tape in final.tapes):,}"]
    for number, (tape, head) in enumerate(zip(final.tapes, final.heads), start=1):
        text, low = tape_text(table, tape)
        shown = text if len(text) <= LONGEST else f"{text[:LONGEST]}... ({len(text):,} symbols)"
        lines.append(f"{'tape' if table.tapes == 1 else f'tape {number}':<12}{shown}")
        lines.append(f"            from cell {low}, the head on cell {head}")
    return lines


if __name__ == "__main__":
    main()
    ends.too_late()
