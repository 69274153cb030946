"""Files that are none of ours, and checkpoints that somebody has written himself: what damage.py gives to the commands."""

import copy
import io
import os
import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from ntm import files


class Runs:
    """A pickle that would run a command when it is read."""

    def __init__(self, command: str):
        self.command = command

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, (self.command,)


def layers(checkpoint: dict[str, Any], sizes: list[int]) -> None:
    """The configuration speaks of other layers than the weights."""
    checkpoint["ntm"]["config"]["model"]["controller"]["hidden"] = sizes


def every(change: Callable[[torch.Tensor], Any], part: str = "weight") -> Callable[[dict[str, Any]], None]:
    """Change every weight, or every moment."""

    def changed(checkpoint: dict[str, Any]) -> None:
        if part == "weight":
            checkpoint["state_dict"] = {name: change(value) for name, value in checkpoint["state_dict"].items()}
        for state in checkpoint["optimizer_states"][0]["state"].values() if part == "moment" else ():
            state.update({key: change(value) for key, value in state.items()})

    return changed


def put(*path: Any) -> Callable[[dict[str, Any]], None]:
    """Put the last at the place that the others name."""

    def changed(checkpoint: dict[str, Any]) -> None:
        inside: Any = checkpoint
        for key in path[:-2]:
            inside = inside[key]
        inside[path[-2]] = path[-1]

    return changed


def rotated(checkpoint: dict[str, Any]) -> None:
    """Moments of other weights."""
    state = checkpoint["optimizer_states"][0]["state"]
    checkpoint["optimizer_states"][0]["state"] = dict(zip(state, [*list(state.values())[1:], state[0]]))


Taken = tuple[str, ...]
NOBODY: Taken = ()
EVALUATE: Taken = ("evaluate",)
BOTH: Taken = ("evaluate", "train")

OURS: dict[str, tuple[Callable[[dict[str, Any]], Any], Taken]] = {  # what is changed, and who may take the file still
    "nothing": (lambda c: None, BOTH),
    "3,000,000 layers": (put("ntm", "config", "model", {"name": "lstm", "width": 4, "layers": 3_000_000}), NOBODY),
    "300,000 sizes of layers": (lambda c: layers(c, [4] * 300_000), NOBODY),
    "1,000 layers": (lambda c: layers(c, [40] * 1000), NOBODY),
    "layers of 10**9": (lambda c: layers(c, [10**9]), NOBODY),
    "layers of 10**18": (lambda c: layers(c, [10**18]), NOBODY),
    "slots of 2**31 - 1": (put("ntm", "config", "model", "slots", 2**31 - 1), NOBODY),
    "lengths of 2**31 - 1": (put("ntm", "config", "task", "lengths", [1, 2**31 - 1]), NOBODY),
    "a configuration of texts": (put("ntm", "config", "no"), NOBODY),
    "no configuration": (lambda c: c["ntm"].pop("config"), NOBODY),
    "no counters": (lambda c: [c["ntm"].pop(key) for key in list(c["ntm"]) if key not in ("config", "updates")], EVALUATE),
    "updates as text": (put("ntm", "updates", "30"), NOBODY),
    "updates true": (put("ntm", "updates", True), NOBODY),
    "updates negative": (put("ntm", "updates", -3), NOBODY),
    "updates of two kinds": (put("ntm", "updates", 7), EVALUATE),
    "progress.updates negative": (put("ntm", "progress", "updates", -3), EVALUATE),
    "progress.updates 10**30": (put("ntm", "progress", "updates", 10**30), EVALUATE),
    "progress.stage 7": (put("ntm", "progress", "stage", 7), EVALUATE),
    "progress.stage -7": (put("ntm", "progress", "stage", -7), EVALUATE),
    "progress.error nan": (put("ntm", "progress", "error", float("nan")), EVALUATE),
    "progress.error nested": (put("ntm", "progress", "error", [[1, [2]]]), EVALUATE),
    "progress.noise nan": (put("ntm", "progress", "noise", float("nan")), EVALUATE),
    "progress.noise -1": (put("ntm", "progress", "noise", -1.0), EVALUATE),
    "progress.noise 1e300": (put("ntm", "progress", "noise", 1e300), BOTH),
    "progress.learned_at -10**9": (put("ntm", "progress", "learned_at", -(10**9)), EVALUATE),
    "progress.learned_at 10**9": (put("ntm", "progress", "learned_at", 10**9), EVALUATE),
    "progress a list": (put("ntm", "progress", [1, 2]), EVALUATE),
    "best nan": (put("ntm", "best", float("nan")), EVALUATE),
    "best a text": (put("ntm", "best", "good"), EVALUATE),
    "skips negative": (put("ntm", "skips", "in_a_row", -5), EVALUATE),
    "solved a number": (put("ntm", "solved", 3), EVALUATE),
    "validated a tensor": (put("ntm", "validated", torch.zeros(3)), EVALUATE),
    "an unknown counter": (put("ntm", "new", 3), EVALUATE),
    "weights of another shape": (every(lambda value: value[None]), NOBODY),
    "weights in float64": (every(lambda value: value.double()), BOTH),
    "weights in float16": (every(lambda value: value.half()), BOTH),
    "weights in int64": (every(lambda value: value.long()), NOBODY),
    "weights in complex": (every(lambda value: value.to(torch.complex64)), NOBODY),
    "weights as lists": (every(lambda value: value.tolist()), NOBODY),
    "weights nan": (every(lambda value: value * float("nan")), NOBODY),
    "weights sparse": (every(lambda value: value.to_sparse()), NOBODY),
    "weights of numbers as names": (lambda c: c.update(state_dict=dict(enumerate(c["state_dict"].values()))), NOBODY),
    "weights a list": (put("state_dict", [1, 2]), NOBODY),
    "one weight less": (lambda c: c["state_dict"].pop(next(iter(c["state_dict"]))), NOBODY),
    "a weight of 10**11 equal numbers": (put("more", torch.zeros(1).expand(10**11)), NOBODY),
    "weights of 10**18 equal numbers": (every(lambda value: torch.zeros(1).expand(10**9, 10**9)), NOBODY),
    "no moments": (lambda c: c.pop("optimizer_states"), EVALUATE),
    "moments a list of numbers": (put("optimizer_states", [1, 2]), EVALUATE),
    "moments a list of one number": (put("optimizer_states", [1]), EVALUATE),
    "moments of no state": (put("optimizer_states", 0, "state", {}), BOTH),
    "moments' state a list": (put("optimizer_states", 0, "state", [1]), EVALUATE),
    "moments of another shape": (every(lambda value: value[None], "moment"), EVALUATE),
    "moments of one number": (every(lambda value: torch.zeros(()), "moment"), EVALUATE),
    "moments in int64": (every(lambda value: value.long(), "moment"), EVALUATE),
    "moments in float16": (every(lambda value: value.half(), "moment"), BOTH),
    "moments as numbers": (every(lambda value: 1.0, "moment"), EVALUATE),
    "moments negative": (every(lambda value: -value - 1, "moment"), EVALUATE),
    "moments of other weights": (rotated, EVALUATE),
    "moments of unknown weights": (
        lambda c: c["optimizer_states"][0].update(state={99: c["optimizer_states"][0]["state"][0]}),
        EVALUATE,
    ),
}


def foreign(trained: Path, work: Path) -> dict[str, tuple[Path, Taken]]:
    """The files by what they are, each alone in a folder, and which commands may take them."""
    made: dict[str, tuple[Path, Taken]] = {}

    def new(name: str, taken: Taken = NOBODY) -> Path:
        path = work / "foreign" / str(len(made)) / "x.ckpt"
        path.parent.mkdir(parents=True)
        made[name] = (path, taken)
        return path

    png = b"\x89PNG\r\n\x1a\n" + bytes(100)
    contents = {
        "text": b"hello\n",
        "empty": b"",
        "a PNG": png,
        "a seal alone": b"sha256 " + b"0" * 64,
        "an end": files.END + bytes(18),
    }
    contents |= {"a pickle that runs": pickle.dumps(Runs(f"touch {work}/ran")), "PK": b"PK\x03\x04", "a sealed end": b""}
    contents["a sealed end"] = files.sealed(b"PK\x03\x04" + files.END + bytes(18))
    for name, content in contents.items():
        new(name).write_bytes(content)
    with zipfile.ZipFile(new("a zip of texts"), "w") as archive:
        archive.writestr("a.txt", "hello")
    things = {"a list": [1, 2], "a dict": {"ntm": 3}, "nan": torch.tensor(float("nan")), "a module": torch.nn.Linear(2, 2)}
    for name, thing in {**things, "a torch.save that runs": Runs(f"touch {work}/ran")}.items():
        torch.save(thing, new(f"torch.save of {name}"))
        torch.save(thing, new(f"old torch.save of {name}"), _use_new_zipfile_serialization=False)
    for name, first, last in (
        ("a hole", b"", b""),
        ("a hole that looks like torch's", b"PK\x03\x04", files.END + bytes(18)),
        ("a hole that looks sealed", b"PK\x03\x04", files.sealed(files.END + bytes(18))),
    ):
        with new(name).open("wb") as file:
            file.write(first)
            file.truncate(10**11)
            file.seek(0, os.SEEK_END)
            file.write(last)
    new("a folder").mkdir()
    os.mkfifo(new("a fifo"))
    new("a device").symlink_to("/dev/zero")
    new("a loop").symlink_to("x.ckpt")
    new("a link to nothing").symlink_to("nothing")
    whole = torch.load(trained / "last.ckpt", weights_only=True)
    for name, (change, taken) in OURS.items():
        checkpoint = copy.deepcopy(whole)
        change(checkpoint)
        written = io.BytesIO()
        torch.save(checkpoint, written)
        new(f"ours, {name}", taken).write_bytes(files.sealed(written.getvalue()))
    packed = io.BytesIO()  # zeros packed a thousandfold, as torch never writes them
    torch.save({**whole, "more": torch.zeros(5 * 10**8 // 4)}, packed)
    with zipfile.ZipFile(packed) as old, zipfile.ZipFile(new("ours, packed zeros"), "w", zipfile.ZIP_DEFLATED) as archive:
        for item in old.namelist():
            archive.writestr(item, old.read(item))
    return made
