"""How a training step grows: with ticks T, slots N, rows B, heads H; and the memory that it takes.

The machine is copy's, as shipped but for what grows, on random bits.
"""

import math
import os
import statistics
import subprocess
import sys
from collections.abc import Sequence
from typing import Any

from ntm.benches import ours
from ntm.benches.timing import Asked, Case, Measured, in_turns

BASE = {"T": 41, "N": 32, "B": 64, "H": 2}
"""What does not grow."""

AXES = {
    "T": (41, 82, 164, 328, 656, 1312),
    "N": (32, 64, 128, 256, 512, 1024),
    "B": (16, 32, 64, 128, 256, 512),
    "H": (2, 4, 8, 16, 32),
}
"""What grows, and where it is measured; half of the heads read, half write."""

MEMORY = (41, 164, 656, 2624)
"""Ticks at which the memory is measured, each in a process of its own."""


def words_of(point: dict[str, int]) -> list[str]:
    """The machine of a point."""
    half = point["H"] // 2
    return ["task=copy", f"model.slots={point['N']}", f"model.heads.read={half}", f"model.heads.write={half}"]


def measure(asked: Asked) -> Measured:
    """Every point in turns; the exponent of each axis is fitted to the upper half of its points."""
    cases = [case_of(axis, value) for axis, values in AXES.items() for value in values]
    flops, lines = in_turns(cases, asked.repeats)
    exponents = []
    for axis, values in AXES.items():
        own = [line for line in lines if line["grows"] == axis]
        took, least = (exponent(values, [line[key] for line in own]) for key in ("ms", "floor_ms"))
        exponents.append({"grows": axis, "from": upper(values)[0], "to": values[-1], "exponent": took, "floor_exponent": least})
    memory = [{"T": ticks, "MB": taken_by(ticks) / 1e6} for ticks in MEMORY]
    exponents.append(
        {
            "grows": "memory with T",
            "from": upper(MEMORY)[0],
            "to": MEMORY[-1],
            "exponent": exponent(MEMORY, [m["MB"] for m in memory]),
            "floor_exponent": None,
        }
    )
    return Measured(flops, {"growth": lines, "memory": memory, "exponents": exponents})


def case_of(axis: str, value: int) -> Case:
    """A point: everything as in BASE but one."""
    point = {**BASE, axis: value}
    config = ours.config_of(*words_of(point))
    step = ours.step_of(config, ours.noise(config, point["B"], point["T"]))
    return Case({"grows": axis, "at": value}, step.multiply_adds, step.take)


def upper(points: Sequence[Any]) -> Sequence[Any]:
    """The upper half, two points at least."""
    return points[min(len(points) // 2, len(points) - 2) :]


def exponent(sizes: Sequence[float], values: Sequence[float]) -> float:
    """The slope of the logarithms by least squares, over the upper half."""
    x, y = ([math.log(number) for number in upper(numbers)] for numbers in (sizes, values))
    return statistics.linear_regression(x, y).slope


def taken_by(ticks: int) -> int:
    """Bytes that a step of so many ticks takes at its peak, in a fresh process; raises MemoryError where it does not come back."""
    command = [sys.executable, "-m", "ntm.benches.peak", str(ticks)]
    there = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(command, env=there, capture_output=True, text=True, check=False, start_new_session=True)
    if done.returncode:
        raise MemoryError(f"{ticks} ticks: {done.stderr[-500:]}")
    return int(done.stdout)
