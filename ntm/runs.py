"""Runs on disk: one folder under `checkpoints/<task>/` with config.yaml, last.ckpt, best.ckpt and TensorBoard's events."""

import hashlib
import itertools
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

import filelock
import torch
import yaml

from ntm import files
from ntm.config import Config, build, parse
from ntm.errors import UserError
from ntm.models import Model
from tasks import Task

ROOT = Path("checkpoints")

SHIPPED = Path("pretrained")
"""Weights that come with the project: `pretrained/<task>` is a file below ROOT."""

PLACES = ("run_dir", "resume")
RUN_KEYS = (*PLACES, "at_once")
"""Keys of ntm.train that say where a run is, and with how many others, not what it is."""

LAST, BEST = "last.ckpt", "best.ckpt"
NAMES = {
    name: [Path(name), files.before(Path(name)), Path(other), files.before(Path(other))]
    for name, other in ((LAST, BEST), (BEST, LAST))
}
"""In which order a run's checkpoints stand in for one another."""

UNFINISHED = {".lock", ".trial", ".last.ckpt.part", ".config.yaml.part"}
"""What a run that was killed within its first moment may have left."""

CHECKSUM = "# For reading: checkpoints carry a configuration of their own, and resume= takes changes. sha256 "


class Loaded(NamedTuple):
    """A checkpoint from disk."""

    path: Path
    raw: dict[str, Any]  # the configuration as plain values
    config: Config
    model: Model  # with its trained weights
    updates: int  # that it was trained for
    checkpoint: dict[str, Any]  # all that was saved
    damaged: tuple[str, ...] = ()  # what is wrong with the files that this one stands in for, in words

    @property
    def where(self) -> str:
        """The file, and what is wrong with those that it stands in for."""
        return " ".join([str(self.path), *(f"[{reason}]" for reason in self.damaged)])


def new_folder(task: str, run_dir: str | None) -> Path:
    """The folder of a new run, made now; a run that is already there is never overwritten. Raises UserError."""
    if run_dir is not None:
        return take("run_dir", Path(run_dir), f"a new folder, or resume={run_dir} to continue")
    dated = ROOT / task / datetime.now().strftime("%Y-%m-%d_%H-%M-%S")
    while True:
        folder = unused(dated)
        try:
            return take("run_dir", folder, "a new folder", new=True)
        except UserError:
            if not folder.exists():  # otherwise a run that began in the same second was quicker
                raise


def take(key: str, folder: Path, allowed: str, new: bool = False) -> Path:
    """The folder, made if it is not there; raises UserError, naming `key`, where it is not empty or cannot be written to.

    Of several processes that want a `new` one, one gets it.
    """
    check_free(key, folder, allowed)
    folder = Path(os.path.normpath(folder))  # a/../b would make a as well
    made = [path for path in (folder, *folder.parents) if not path.exists()]
    try:
        folder.mkdir(parents=True, exist_ok=not made and not new)
        trial = folder / ".trial"
        trial.touch()
        trial.unlink()
    except OSError as error:
        for path in [] if isinstance(error, FileExistsError) else made:  # the deepest first; another process's is not ours
            with suppress(OSError):
                path.rmdir()
        raise UserError(f"{key}={folder}: cannot be written ({error.strerror}); allowed: a folder you may write") from None
    return folder


def check_free(key: str, folder: Path, allowed: str) -> None:
    """Raise UserError, naming `key`, where the folder is no name, a file, or not empty; makes nothing."""
    folder = Path(os.path.normpath(folder))
    try:
        if folder.absolute() == Path.cwd():
            told = ": must be given" if folder == Path() else f"{folder}: is the folder you are in"
            raise UserError(f"{key}={told}; allowed: {allowed}")
        if folder.is_dir() and any(path.name not in UNFINISHED for path in folder.iterdir()):
            raise UserError(f"{key}={folder}: not empty; allowed: {allowed}")
        if folder.exists() and not folder.is_dir():
            raise UserError(f"{key}={folder}: is a file and cannot be written to as a folder; allowed: a new folder")
    except OSError as error:
        raise UserError(f"{key}={folder}: cannot be written ({error.strerror}); allowed: a folder you may write") from None


@contextmanager
def locked(key: str, folder: Path) -> Iterator[None]:
    """Nobody else trains in the folder meanwhile; raises UserError, naming `key`, where somebody does or it cannot be written to.

    The lock is the operating system's: it goes with the process, however that ends.
    """
    lock = filelock.FileLock(folder / ".lock")
    try:
        lock.acquire(timeout=0)
    except filelock.Timeout:
        raise UserError(f"{key}={folder}: another process is training this run; allowed: run_dir=<a new folder> as well") from None
    except OSError as error:
        why = f"cannot be written ({error.strerror})"
        raise UserError(f"{key}={folder}: {why}; allowed: a folder you may write, or run_dir=<a new folder> as well") from None
    try:
        yield
    finally:
        lock.release()


def unused(folder: Path) -> Path:
    """`folder`, or the first of folder_1, folder_2, ... that does not exist."""
    numbered = (folder.with_name(f"{folder.name}_{n}") for n in itertools.count(1))
    return next(path for path in itertools.chain([folder], numbered) if not path.exists())


def save_config(folder: Path, raw: dict[str, Any]) -> None:
    """Write the run's configuration for people to read; checkpoints carry their own copy."""
    text = yaml.safe_dump(raw, sort_keys=False)
    files.write(folder / "config.yaml", f"{CHECKSUM}{hashlib.sha256(text.encode()).hexdigest()}\n{text}".encode())


def check_config(key: str, folder: Path) -> None:
    """Raise UserError, naming `key`, where somebody has edited the run's config.yaml, which would change nothing."""
    path = folder / "config.yaml"
    if path.is_file():
        try:
            first, _, text = path.read_text(errors="replace").partition("\n")
        except OSError as error:
            raise UserError(
                f"{key}={folder}: its {path.name} cannot be read ({error.strerror}); allowed: one you may read"
            ) from None
        if first != CHECKSUM + hashlib.sha256(text.encode()).hexdigest():
            told = f"its {path.name} was edited, which changes nothing"
            raise UserError(f"{key}={folder}: {told}; allowed: changes as words on the command line, and no {path.name}")


def find(key: str, value: str, prefer: str, task: str | None = None) -> Path:
    """The checkpoint file that `last`, a run's folder or a file means; in a folder `prefer` comes first.

    `last` is the run, of `task` if given, that was saved to most recently. Raises UserError, naming `key`.
    """
    allowed = "last, a run's folder or a checkpoint file"
    try:
        if value == "last":
            saved = [path for name in NAMES[LAST][:2] for path in ROOT.glob(f"{task or '*'}/*/{name}")]
            if not saved:
                raise UserError(f"{key}=last: no run under {ROOT}/{task or ''}; allowed: a run's folder or a checkpoint file")
            value = str(max(saved, key=lambda path: path.stat().st_mtime).parent)
        path = Path(value)
        shipped = ROOT / SHIPPED / f"{path.name}.ckpt"
        if prefer == BEST and path.parent == SHIPPED and shipped.is_file():  # to be looked at; a run is gone on from a copy
            return shipped
        if path.is_dir() and value:
            inside = [path / name for name in NAMES[prefer] if (path / name).exists()]
            if not inside:
                raise UserError(f"{key}={value}: no checkpoint in this folder; allowed: {allowed}")
            return inside[0]
        if path.parent == SHIPPED and shipped.is_file():
            raise UserError(f"{key}={value}: weights alone, there is nothing to go on from; allowed: {allowed} of a run")
        if not path.is_file():
            raise UserError(f"{key}={value}: no such file; allowed: {allowed}")
    except (OSError, ValueError) as error:  # a name that is too long, or has a null in it
        raise UserError(f"{key}={value[:80]}: no file's name ({error.args[-1]}); allowed: {allowed}") from None
    return path


def read(key: str, path: Path) -> Loaded:
    """A checkpoint of ours, loaded without running any code from it; raises UserError, naming `key`, for anything else.

    One of a run's that is damaged is named in `damaged`, and the one before it read in its place.
    """
    reasons: list[str] = []
    for other in dict.fromkeys([path, files.before(path), *(path.with_name(name.name) for name in NAMES.get(path.name, []))]):
        if other != path and not other.is_file():
            continue
        try:
            loaded = load_file(other)
        except (files.DamagedError, OSError) as error:
            why = f"cannot be read ({error.strerror})" if isinstance(error, OSError) else str(error)
            reasons.append(f"{key}={other}: {why}")
        else:
            return loaded._replace(damaged=tuple(f"{reason}; {other.name}, update {loaded.updates}, is used" for reason in reasons))
    raise UserError(f"{reasons[0]}; allowed: a checkpoint that this version of ntm.train wrote")


def load_file(path: Path) -> Loaded:
    """The checkpoint in one file; raises DamagedError for what is none of ours, and OSError."""
    checkpoint = files.load(path)
    try:
        saved, weights = checkpoint["ntm"], checkpoint["state_dict"]
        config = parse(saved["config"])
        weights = {name.removeprefix("model."): value for name, value in weights.items()}
        with torch.device("meta"):
            shapes = build(config)
            kinds = {name: value.is_floating_point() for name, value in shapes.state_dict().items()}
            shapes.load_state_dict(weights, assign=True)  # compares names and shapes, and takes no memory
        if kinds != {name: value.is_floating_point() for name, value in weights.items()}:
            raise TypeError("numbers of another kind")
        model = build(config)
        model.load_state_dict(weights)
        model.use("eager" if config.trainer.backend == "eager" else "auto")  # who looks at it may have no compiler
        updates = saved["updates"]
        if model.rounds and saved.get("progress", {}).get("rounding"):
            model.round(1)
        if type(updates) is not int or updates < 0:
            raise TypeError("no number of updates")
    except (UserError, KeyError, TypeError, AttributeError, RuntimeError, ValueError):
        what = "version 0.1, whose machine= is model= now" if is_of_version_0_1(checkpoint) else "another program or version"
        raise files.DamagedError(f"a checkpoint of {what}") from None
    return Loaded(path, saved["config"], config, model.eval(), updates, checkpoint)


def is_of_version_0_1(checkpoint: Any) -> bool:
    """Whether a checkpoint's configuration speaks of a machine, not of a model."""
    try:
        return "machine" in checkpoint["ntm"]["config"]
    except (KeyError, TypeError):
        return False


def load(run: str | Path) -> tuple[Model, Task]:
    """The trained model and its task from a run's folder (its best checkpoint) or a checkpoint file.

    Raises UserError where there is none; warns where a damaged one is passed over. No code from the file is run.
    """
    loaded = read("run", find("run", str(run), prefer=BEST))
    for reason in loaded.damaged:
        warnings.warn(reason, stacklevel=2)
    return loaded.model, loaded.config.task


def writable(key: str, value: Any) -> Path:
    """The path of a file to be written; raises UserError where its folder cannot be written, or a checkpoint is there."""
    path = Path(str(value))
    try:
        existed = path.exists()
        if path.is_file() and files.is_torchs(path):
            raise UserError(f"{key}={value}: is a checkpoint; allowed: another file")
        path.open("a").close()
        if not existed:
            path.unlink()
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else error
        raise UserError(f"{key}={str(value)[:80]}: cannot be written ({why}); allowed: a file in a folder that exists") from None
    return path


def outputs(values: dict[str, Any]) -> dict[str, Path]:
    """The files that `json` and `png` ask for, by their keys; raises UserError where one cannot be written, or both are one."""
    paths = {key: writable(key, values[key]) for key in ("json", "png") if values[key] is not None}
    if len(set(paths.values())) < len(paths):
        raise UserError(f"png={values['png']}: json= is to be written there; allowed: another file")
    return paths


def put(key: str, path: Path, content: bytes) -> None:
    """Write what a command made to the file that `key` named; raises UserError, and then an earlier file is still there."""
    try:
        if path.exists() and not path.is_file():
            path.write_bytes(content)  # a pipe or a device is no file to be renamed over
        else:
            files.write(path, content)
    except OSError as error:
        raise UserError(f"{key}={path}: cannot be written ({error.strerror}); allowed: a file with room on its disk") from None
