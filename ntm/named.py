"""A Turing machine from whatever a user names: a run, a checkpoint, a shipped table, a text, a YAML file."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from ntm import files, runs
from ntm.config import parse, plain
from ntm.errors import UserError
from ntm.models.recurrent import Recurrent
from ntm.models.turing.compiler import compile_table, shape_of
from ntm.models.turing.learn import TableMachine
from tasks import Turing
from tasks.turing import NoTableError, Table, read_table, shipped


class Named(NamedTuple):
    """What a key of the command line meant."""

    where: str  # for people
    machine: Recurrent
    task: Turing


def find(key: str, value: str) -> Named:
    """The machine and its task; raises UserError, naming `key`."""
    loaded = saved(key, value, "turing")
    return compiled(key, value) if loaded is None else learned(key, value, loaded)


def saved(key: str, value: str, task: str | None = None) -> runs.Loaded | None:
    """The run or checkpoint that a value names (`last`: of `task` if given); None where it is a table.

    Raises UserError, naming `key`.
    """
    suffix = Path(value).suffix  # os.path: for pathlib it is an error that a table's text is too long for a file's name
    file = suffix == ".ckpt" or (os.path.isfile(value) and suffix not in (".yaml", ".yml"))
    named = value == "last" or Path(value).parent == runs.SHIPPED
    if value in shipped() or not (named or os.path.isdir(value) or file):
        return None
    return runs.read(key, runs.find(key, value, prefer=runs.BEST, task=task if value == "last" else None))


def learned(key: str, value: str, loaded: runs.Loaded) -> Named:
    """The machine of a run that learned a table; raises UserError, naming `key`, where it is of another kind."""
    if not isinstance(loaded.model, TableMachine):
        what = f"task {loaded.raw['task']['name']}, model {loaded.raw['model']['name']}"
        raise UserError(f"{key}={value}: a run of {what}; allowed: runs of task turing, model turing, whose table is known")
    return Named(loaded.where, loaded.model.machine, loaded.config.task)  # type: ignore[arg-type]  # a TableMachine has no other task


def compiled(key: str, value: str) -> Named:
    """The machine that a table is compiled into; raises UserError, naming `key`."""
    table = table_of(key, value, ", a run's folder, or a checkpoint file")
    return Named(f"{table.name}, compiled", compile_table(table), Turing(table=table, supervision="compiled"))


def table_of(key: str, value: str | Mapping[str, Any], beside: str = "") -> Table:
    """The table that a name, a text, a YAML file or its content means; raises UserError, naming `key` and what else it may be."""
    try:
        return read_table(value)
    except NoTableError as error:
        raise UserError(f"{key}={value}: {error}{beside}") from None
    except ValueError as error:
        raise UserError(f"{key}={value}: {error}") from None


def save_compiled(folder: Path, named: Named, defaults: dict[str, Any]) -> None:
    """Write a compiled machine into a run's folder, as a run that needed no update; `defaults` are those of task=turing."""
    task = {**defaults["task"], "table": named.task.table, "supervision": "compiled"}
    model = {**defaults["model"], "hidden": [shape_of(named.machine).controller.width]}
    raw = plain(
        parse({**{key: value for key, value in defaults.items() if key not in runs.RUN_KEYS}, "task": task, "model": model})
    )
    weights = {f"model.{name}": value for name, value in TableMachine(named.machine).state_dict().items()}
    runs.save_config(folder, raw)
    files.save(folder / runs.LAST, {"ntm": {"config": raw, "updates": 0}, "state_dict": weights})
