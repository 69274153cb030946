"""A machine with its table from whatever a user names: a run, a checkpoint, a shipped table, a text, a YAML file."""

import json
from pathlib import Path
from typing import Any, NamedTuple

import torch

from ntm import runs
from ntm.config import UserError
from ntm.machine import Machine
from ntm.turing.compiler import SLOTS, compile_table
from tasks import Turing
from tasks.turing import Table, read_table, shipped


class Named(NamedTuple):
    """What a key of the command line meant."""

    where: str  # for people
    machine: Machine
    task: Turing


def load(key: str, value: str) -> Named:
    """The machine and its task; raises UserError, naming `key`."""
    path = Path(value)
    file = path.suffix == ".ckpt" or (path.is_file() and path.suffix not in (".yaml", ".yml"))
    if value not in shipped() and (value == "last" or (value and path.is_dir()) or file):
        loaded = runs.load(key, runs.find(key, value, prefer="best.ckpt", task="turing" if value == "last" else None))
        if not isinstance(loaded.config.task, Turing):
            name = loaded.raw["task"]["name"]
            raise UserError(f"{key}={value}: a run of task {name}; allowed: runs of task turing, whose table is known")
        return Named(str(loaded.path), loaded.machine, loaded.config.task)
    table = table_of(key, value)
    return Named(f"{table.name}, compiled", compile_table(table), Turing(table=table, supervision="compiled"))


def table_of(key: str, value: str) -> Table:
    """The table that a name, a text or a YAML file means; raises UserError, naming `key`."""
    if not value:
        raise UserError(f"{key}=: must be given; allowed: {', '.join(shipped())}, a text as 1RB1LB_1LA1RZ, a YAML file, or a run")
    try:
        return read_table(value)
    except ValueError as error:
        raise UserError(f"{key}={value}: {error}") from None


def plain(table: Table) -> Any:
    """What a table was read from, and its name, as dicts, lists and texts only: as checkpoints hold it."""
    return table.source if isinstance(table.source, str) else json.loads(json.dumps({"name": table.name, **table.source}))


def save_compiled(folder: Path, named: Named, defaults: dict[str, Any]) -> None:
    """Write a compiled machine into a run's folder, as a run that needed no update; `defaults` are those of task=turing."""
    table, machine = named.task.table, named.machine
    sizes: dict[str, Any] = {"controller": {"kind": "feedforward", "hidden": [machine.controller.width]}}
    sizes["controller"]["register"] = len(table.states)
    sizes["heads"] = {**defaults["machine"]["heads"], "count": table.tapes}
    sizes |= {"slots": max(SLOTS, table.tapes), "slot_width": len(table.symbols)}
    raw = {key: defaults[key] for key in ("task", "machine", "optimizer", "curriculum", "trainer", "seed")}
    raw["machine"] = {**raw["machine"], **sizes}
    raw["task"] = {**raw["task"], "table": plain(table), "supervision": "compiled"}
    weights = {f"machine.{name}": value for name, value in machine.state_dict().items()}
    runs.save_config(folder, raw)
    saved = {"config": raw, "updates": 0}
    torch.save({"ntm": saved, "state_dict": weights}, folder / "last.ckpt")
