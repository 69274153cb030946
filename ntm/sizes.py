"""What a configuration would need in memory, told before anything is allocated; lower bounds, so that nothing that fits is refused.

A batch is counted as if all its rows were as long as they may be.

Shapes are tried out on torch's device "meta", which computes them and holds no numbers. Letters: B batch, T ticks.
"""

import math
import os
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.autograd.graph import saved_tensors_hooks
from torch.utils._pytree import tree_leaves

from ntm.config import Config, build, plain
from ntm.errors import UserError
from ntm.models import Model
from tasks import Task

NUMBER = 4  # bytes
PROCESS = 100_000_000  # bytes of Python, torch and Lightning that no two processes share
NO_UPDATE = ("val_lengths", "test_lengths", "probe_length", "normal_repeats")
"""Keys of tasks that say nothing about an update."""
FEW = 64  # of memory, to see what a state takes
FOREVER = 2**62  # bytes: more than torch can count


def check_training(config: Config) -> int:
    """The bytes that a run needs, at least; raises UserError, naming the largest sizes, where that is more than there is."""
    task, trainer = config.task, config.trainer
    with torch.device("meta"):
        model = counted(lambda: build(config))
        weights = sum(p.numel() for p in model.parameters()) if isinstance(model, Model) else FOREVER
        held = 7 * NUMBER * weights
        refuse(largest(config), "weights, gradients, moments and copies need", held)
        lessons = [config.lesson(stage) for stage in range(config.curriculum.all_stages)]
        asked = max(lessons, key=lambda task: task.ticks(task.lengths[1]))
        longest = asked.lengths[1]
        ticks = asked.ticks(longest)
        kept = trace_bytes(model, task, ticks)
        if model.recomputes:
            kept = min(kept, 2 * math.isqrt(ticks) * state_bytes(model, task, None))
        update = trainer.batch_size * kept + drawn_bytes(task, longest, trainer.batch_size)
        refuse(largest(config), "an update needs", update)
        judged = max(task.val_lengths)
        key = f"trainer.val_sequences={trainer.val_sequences}, task.val_lengths={shortened(task.val_lengths)}"
        validation = run_bytes(model, task, trainer.val_sequences, judged, None)
        refuse(key, "a validation needs", validation)
        if task.probe_length > judged:
            refuse(f"task.probe_length={task.probe_length}", "it needs", run_bytes(model, task, 1, task.probe_length, None))
    refuse(f"trainer.devices={trainer.devices}", "these need", PROCESS * (trainer.devices - 1))
    return held + max(update, validation)


def check_run(model: Model, task: Task, key: str, rows: int, length: int, room: int | None) -> None:
    """Raise UserError, naming `key`, where running `rows` sequences of one length needs more memory than there is."""
    needed = run_bytes(model, task, rows, length, room)
    refuse(key, f"{rows} sequence{'s' * (rows > 1)} at once need{'s' * (rows == 1)}", needed)


def largest(config: Config) -> str:
    """The three largest sizes of a configuration, as keys and values."""
    values = plain(config)
    asked = {key: value for key, value in values["task"].items() if key not in NO_UPDATE}
    parts = {"task": asked, "model": values["model"], "trainer": {"batch_size": config.trainer.batch_size}}
    found = sorted(counts(parts), key=lambda found: -max(found[1]))
    return ", ".join(f"{key}={shortened(value) if len(value) > 1 else value[0]}" for key, value in found[:3])


def shortened(values: Sequence[int]) -> str:
    """A list for people, who need not read all of a long one."""
    return f"[{', '.join(map(str, values[:8]))}{', ...' if len(values) > 8 else ''}]"


def counts(value: Any, key: str = "") -> list[tuple[str, list[int]]]:
    """The numbers of things in nested values, by their dotted keys."""
    if isinstance(value, dict):
        return [found for name, part in value.items() for found in counts(part, f"{key}.{name}" if key else name)]
    numbers = value if isinstance(value, list) else [value]
    return [(key, numbers)] if numbers and all(type(number) is int for number in numbers) else []


def trace_bytes(model: Model, task: Task, ticks: int) -> int:
    """What one sequence leaves behind for the backward pass: counted for 2, 3 and 4 ticks, a parabola through these."""
    first, second, third = (counted(partial(kept_bytes, model, task, t)) for t in (2, 3, 4))
    slope, bend = second - first, third - 2 * second + first
    t = ticks - 2
    return max(0, first + slope * t + bend * t * (t - 1) // 2)


def kept_bytes(model: Model, task: Task, ticks: int) -> int:
    """Bytes that one sequence of some ticks keeps for the backward pass, weights left out."""
    kept: dict[int, Tensor] = {}

    def keep(tensor: Tensor) -> Tensor:
        kept[tensor.untyped_storage()._cdata] = tensor  # held, so that no two have one address
        return tensor

    weights = {p.untyped_storage()._cdata for p in model.parameters()}
    with saved_tensors_hooks(keep, lambda tensor: tensor):
        output = model(torch.zeros(1, ticks, task.inputs), torch.tensor([ticks]))
        output.logits.sum()
    return sum(t.untyped_storage().nbytes() for place, t in kept.items() if place not in weights)


def run_bytes(model: Model, task: Task, rows: int, length: int, room: int | None) -> int:
    """Bytes of sequences of one length that are run and scored: their batch, and a model's state before and after a tick.

    A state is measured with little room, and grows with it by a line through two sizes.
    """
    room = room or model.room_for(task.room(length)) or FEW
    few, more = (counted(partial(state_bytes, model, task, some)) for some in (FEW, 2 * FEW))
    return rows * 2 * (few + (more - few) * max(0, room - FEW) // FEW) + drawn_bytes(task, length, rows)


def state_bytes(model: Model, task: Task, room: int | None) -> int:
    """Bytes of the state of one sequence after a tick with so much room (None: what it was built with)."""
    with torch.no_grad():
        output = model(torch.zeros(1, 1, task.inputs), torch.tensor([1]), room=room)
    return sum(t.numel() * t.element_size() for t in tree_leaves(output.state) if isinstance(t, Tensor))


def drawn_bytes(task: Task, length: int, rows: int) -> int:
    """Bytes of sequences of one length: each as float32, and one that is being drawn."""
    return NUMBER * rows * task.ticks(length) * (task.inputs + task.outputs + 1) + task.drawing(length)


def counted(measure: Callable[[], Any]) -> Any:
    """What is measured, or FOREVER where torch cannot count so far."""
    try:
        return measure()
    except (RuntimeError, OverflowError, MemoryError):  # "storage size calculation overflowed", "invalid size"
        return FOREVER


def refuse(key: str, what: str, needed: int) -> None:
    """Raise UserError where more bytes are needed than there are."""
    free = available()
    if needed > free:
        raise UserError(f"{key}: {what} at least {spoken(needed)}, and {spoken(free)} are free; allowed: what fits")


def available() -> int:
    """Bytes of memory that this process may still use: the machine's, and its control group's (a container's, a job's)."""
    limits = [os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")] if hasattr(os, "sysconf") else [FOREVER]
    try:
        lines = dict(line.split(":") for line in Path("/proc/meminfo").read_text().splitlines())
        limits.append(1024 * int(lines["MemAvailable"].split()[0]))
        group = Path("/sys/fs/cgroup")
        limits.append(int((group / "memory.max").read_text()) - int((group / "memory.current").read_text()))
    except (OSError, ValueError, KeyError):  # no Linux, or no limit ("max")
        pass
    return max(0, min(limits))


def spoken(size: int) -> str:
    """Bytes for people."""
    for unit, name in ((10**15, "PB"), (10**12, "TB"), (10**9, "GB")):
        if size >= unit:
            return f"{size / unit:,.1f} {name}"
    return f"{size / 10**6:,.0f} MB"
