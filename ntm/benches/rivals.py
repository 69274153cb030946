"""Other people's machines, run as they are: pytorch-ntm from the user's checkout, and the dnc package.

Letters: B batch, I inputs, L vectors of a copy, T ticks.
"""

import importlib
import re
import shutil
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ntm.errors import UserError

NAME = "pytorch_ntm"
"""What its copy is imported as: its own packages bear the names of ours."""

TODAY = {r"\bconvert=": "converter=", r"^from (ntm|tasks)\b": rf"from {NAME}.\1"}
"""What is changed in the copy: attrs has renamed a word, and NAME."""


class Sizes(NamedTuple):
    """A machine with one LSTM layer, one reading and one writing head, and its copy of L vectors of 8 bits."""

    width: int
    slots: int
    slot_width: int
    length: int
    rows: int


class PytorchNTM(NamedTuple):
    """What is used of loudinthecloud/pytorch-ntm."""

    machine: Callable[..., Any]  # EncapsulatedNTM
    training: Callable[..., Any]  # CopyTaskModelTraining, with its own settings

    def step(self, sizes: Sizes) -> Callable[[], None]:
        """One update on one batch, with its own loss and optimiser."""
        net = self.machine(9, 8, sizes.width, 1, 1, sizes.slots, sizes.slot_width)
        own, vectors = self.training(), vectors_of(sizes)
        optimizer = type(own.optimizer)(net.parameters(), **own.optimizer.defaults)
        return lambda: update(net, optimizer, asked(vectors), vectors, own.criterion)


def load(folder: Path) -> PytorchNTM:
    """pytorch-ntm, imported from a temporary copy of a checkout; raises UserError where the folder is none."""
    allowed = "allowed: a checkout of github.com/loudinthecloud/pytorch-ntm"
    for name in ("ntm/aio.py", "tasks/copytask.py"):
        if not (folder / name).is_file():
            raise UserError(f"pytorch_ntm={folder}: there is no {name} in it; {allowed}")
    with tempfile.TemporaryDirectory() as place:
        sys.path.insert(0, place)
        try:
            copy_of(folder, Path(place) / NAME)
            forget()
            aio, copytask = (importlib.import_module(f"{NAME}.{name}") for name in ("ntm.aio", "tasks.copytask"))
            return PytorchNTM(aio.EncapsulatedNTM, copytask.CopyTaskModelTraining)
        except Exception as error:  # whatever somebody's code trips over
            raise UserError(f"pytorch_ntm={folder}: cannot be imported ({error}); {allowed}") from None
        finally:
            sys.path.remove(place)


def copy_of(folder: Path, place: Path) -> None:
    """Its two packages, as TODAY wants them."""
    for package in ("ntm", "tasks"):
        shutil.copytree(folder / package, place / package, ignore=lambda _, names: [n for n in names if n.startswith("__pyc")])
    for path in place.rglob("*.py"):
        text = path.read_text(encoding="utf-8")
        for old, new in TODAY.items():
            text = re.sub(old, new, text, flags=re.MULTILINE)
        path.write_text(text, encoding="utf-8")


def forget() -> None:
    """An earlier copy is another one."""
    importlib.invalidate_caches()
    for name in [name for name in sys.modules if name.partition(".")[0] == NAME]:
        del sys.modules[name]


def vectors_of(sizes: Sizes) -> Tensor:
    """Random bits [L B 8]."""
    return torch.randint(0, 2, (sizes.length, sizes.rows, 8)).float()


def asked(vectors: Tensor) -> Tensor:
    """What the machine sees before it answers, [L+1 B 9]: the vectors, then the flag."""
    flag = F.one_hot(torch.full((1, vectors.shape[1]), 8), 9).float()
    return torch.cat([F.pad(vectors, (0, 1)), flag])


def answer(net: Any, inputs: Tensor, length: int) -> Tensor:
    """What pytorch-ntm's machine says [L B 8] after inputs [T B I]."""
    net.init_sequence(inputs.shape[1])
    for x in inputs:
        net(x)
    return torch.stack([net()[0] for _ in range(length)])


def update(net: Any, optimizer: Any, inputs: Tensor, targets: Tensor, loss: Any, clip: float | None = None) -> None:
    """One update of pytorch-ntm's machine, gradients held within +-clip."""
    optimizer.zero_grad()
    loss(answer(net, inputs, len(targets)), targets).backward()
    if clip is not None:
        nn.utils.clip_grad_value_(net.parameters(), clip)
    optimizer.step()


def dnc_step(sizes: Sizes) -> Callable[[], None] | None:
    """One update of the dnc package's machine of the same sizes by Adam, or None where it is not installed."""
    try:
        dnc = importlib.import_module("dnc")
    except ImportError:
        return None
    counts = {"num_hidden_layers": 1, "nr_cells": sizes.slots, "cell_size": sizes.slot_width, "read_heads": 1}
    net = dnc.DNC(9, sizes.width, **counts)
    optimizer, vectors = torch.optim.Adam(net.parameters()), vectors_of(sizes).transpose(0, 1)
    silent = vectors.new_zeros(sizes.rows, sizes.length, 9)
    inputs = torch.cat([asked(vectors.transpose(0, 1)).transpose(0, 1), silent], dim=1)

    def take() -> None:
        optimizer.zero_grad()
        said, _ = net(inputs, (None, None, None), reset_experience=True)
        F.binary_cross_entropy_with_logits(said[:, -sizes.length :, :8], vectors).backward()
        optimizer.step()

    return take
