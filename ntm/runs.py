"""Runs on disk: one folder under `checkpoints/<task>/` with config.yaml, last.ckpt, best.ckpt and TensorBoard's events."""

import itertools
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

import torch
import yaml

from ntm.config import Config, build, parse
from ntm.errors import UserError
from ntm.models import Model
from tasks import Task

ROOT = Path("checkpoints")

RUN_KEYS = ("run_dir", "resume")
"""Keys of ntm.train that say where a run is, not what it is."""


class Loaded(NamedTuple):
    """A checkpoint from disk."""

    path: Path
    raw: dict[str, Any]  # the configuration as plain values
    config: Config
    model: Model  # with its trained weights
    updates: int  # that it was trained for


def new_folder(task: str, run_dir: str | None) -> Path:
    """The folder of a new run, made now; a run that is already there is never overwritten. Raises UserError."""
    if run_dir == "":
        raise UserError("run_dir=: must be given; allowed: a new folder, or null for one of its own")
    folder = Path(run_dir) if run_dir is not None else unused(ROOT / task / datetime.now().strftime("%Y-%m-%d_%H-%M-%S"))
    return take("run_dir", folder, "config.yaml", f"a new folder, or resume={folder} to continue")


def take(key: str, folder: Path, first: str, allowed: str) -> Path:
    """The folder, made if it is not there, with an empty file `first` in it; raises UserError, naming `key`, if not empty."""
    existed = folder.is_dir()
    if existed and any(folder.iterdir()):
        raise UserError(f"{key}={folder}: not empty; allowed: {allowed}")
    try:
        folder.mkdir(parents=True, exist_ok=existed)
        (folder / first).touch()
    except OSError as error:
        raise UserError(f"{key}={folder}: cannot be written ({error.strerror}); allowed: a folder you may write") from None
    return folder


def unused(folder: Path) -> Path:
    """`folder`, or the first of folder_1, folder_2, ... that does not exist."""
    numbered = (folder.with_name(f"{folder.name}_{n}") for n in itertools.count(1))
    return next(path for path in itertools.chain([folder], numbered) if not path.exists())


def save_config(folder: Path, raw: dict[str, Any]) -> None:
    """Write the run's configuration for people to read; checkpoints carry their own copy."""
    (folder / "config.yaml").write_text(yaml.safe_dump(raw, sort_keys=False))


def find(key: str, value: str, prefer: str, task: str | None = None) -> Path:
    """The checkpoint file that `last`, a run's folder or a file means; in a folder `prefer` comes first.

    `last` is the run, of `task` if given, that was saved to most recently. Raises UserError, naming `key`.
    """
    if value == "last":
        saved = list(ROOT.glob(f"{task or '*'}/*/last.ckpt"))
        if not saved:
            raise UserError(f"{key}=last: no run under {ROOT}/{task or ''}; allowed: a run's folder or a checkpoint file")
        value = str(max(saved, key=lambda path: path.stat().st_mtime).parent)
    path = Path(value)
    if path.is_dir():
        inside = [path / name for name in (prefer, "last.ckpt", "best.ckpt") if (path / name).exists()]
        if not inside:
            raise UserError(f"{key}={value}: no checkpoint in this folder; allowed: last, a run's folder or a checkpoint file")
        return inside[0]
    if not path.exists():
        raise UserError(f"{key}={value}: no such file; allowed: last, a run's folder or a checkpoint file")
    return path


def read(key: str, path: Path) -> Loaded:
    """A checkpoint of ours, loaded without running any code from it; raises UserError, naming `key`, for anything else."""
    allowed = "allowed: a checkpoint that this version of ntm.train wrote"
    try:
        checkpoint = torch.load(path, map_location="cpu", weights_only=True)
    except OSError as error:
        raise UserError(f"{key}={path}: cannot be read ({error.strerror}); {allowed}") from None
    except Exception:  # torch raises whatever the bytes make it trip over
        raise UserError(f"{key}={path}: truncated, or not a checkpoint; {allowed}") from None
    try:
        saved, weights = checkpoint["ntm"], checkpoint["state_dict"]
        config = parse(saved["config"])
        model = build(config)
        model.load_state_dict({name.removeprefix("model."): value for name, value in weights.items()})
        return Loaded(path, saved["config"], config, model.eval(), saved["updates"])
    except (UserError, KeyError, TypeError, AttributeError, RuntimeError):
        what = "version 0.1, whose machine= is model= now" if is_of_version_0_1(checkpoint) else "another program or version"
        raise UserError(f"{key}={path}: a checkpoint of {what}; {allowed}") from None


def is_of_version_0_1(checkpoint: Any) -> bool:
    """Whether a checkpoint's configuration speaks of a machine, not of a model."""
    try:
        return "machine" in checkpoint["ntm"]["config"]
    except (KeyError, TypeError):
        return False


def load(run: str | Path) -> tuple[Model, Task]:
    """The trained model and its task from a run's folder (its best checkpoint) or a checkpoint file.

    Raises UserError where there is none. No code from the file is run.
    """
    loaded = read("run", find("run", str(run), prefer="best.ckpt"))
    return loaded.model, loaded.config.task


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
