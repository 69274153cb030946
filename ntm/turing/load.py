"""A machine with its table from whatever a user names: a run, a checkpoint, a shipped table, a text, a YAML file."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import torch

from ntm import runs
from ntm.config import UserError
from ntm.machine import Machine
from ntm.turing.compiler import compile_table
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


def table_of(key: str, value: str | Mapping[str, Any] | None) -> Table:
    """The table that a name, a text, a YAML file or its content means; raises UserError, naming `key`."""
    if not value:
        raise UserError(f"{key}=: must be given; allowed: {', '.join(shipped())}, a text as 1RB1LB_1LA1RZ, a YAML file, or a run")
    try:
        return read_table(value)
    except ValueError as error:
        raise UserError(f"{key}={value}: {error}") from None


def plain(table: Table) -> Any:
    """What a table was read from, and its name, as dicts, lists and texts only: as checkpoints hold it."""
    return table.source if isinstance(table.source, str) else json.loads(json.dumps({"name": table.name, **table.source}))


def fitted(raw: dict[str, Any]) -> dict[str, Any]:
    """The configuration with the table itself instead of its name or file, and with the sizes it asks for instead of `auto`.

    Raises UserError for a table that cannot be read, and for other sizes.
    """
    table = table_of("turing", raw["task"].get("table"))
    asked: Mapping[tuple[str, ...], Any] = {
        ("controller", "kind"): "feedforward",
        ("controller", "register"): len(table.states),
        ("heads", "kind"): "tape",
        ("heads", "count"): table.tapes,
        ("heads", "window"): [0],
        ("heads", "address_from"): "hidden",
        ("heads", "separate"): True,
        ("slot_width",): len(table.symbols),
        ("shift_width",): 3,
    }
    machine = {key: dict(value) if isinstance(value, dict) else value for key, value in raw["machine"].items()}
    for path, value in asked.items():
        part = machine if len(path) == 1 else machine[path[0]]
        given = part.get(path[-1], "auto")
        if given not in ("auto", value):
            raise UserError(f"machine.{'.'.join(path)}={given}: this table needs {value}; allowed: {value}, auto")
        part[path[-1]] = value
    return {**raw, "machine": machine, "task": {**raw["task"], "table": plain(table)}}


def save_compiled(folder: Path, named: Named, defaults: dict[str, Any]) -> None:
    """Write a compiled machine into a run's folder, as a run that needed no update; `defaults` are those of task=turing."""
    table, machine = named.task.table, named.machine
    raw = fitted({**defaults, "task": {**defaults["task"], "table": plain(table), "supervision": "compiled"}})
    raw = {key: value for key, value in raw.items() if key not in runs.RUN_KEYS}
    raw["machine"] |= {"slots": max(machine.slots, table.tapes)}
    raw["machine"]["controller"]["hidden"] = [machine.controller.width]
    weights = {f"machine.{name}": value for name, value in machine.state_dict().items()}
    runs.save_config(folder, raw)
    torch.save({"ntm": {"config": raw, "updates": 0}, "state_dict": weights}, folder / "last.ckpt")
