"""Cases measured in turns, so that a machine's slow minute falls on all of them alike; the median counts."""

import statistics
import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from ntm.benches import floor

LEAST = 0.03
"""Seconds that a quick case is repeated for, within its turn."""


class Case(NamedTuple):
    """What is measured: a step, and the multiply-adds of the machine that it is a step of."""

    about: dict[str, Any]  # the first columns of its line
    multiply_adds: int  # of all its ticks and sequences, forth
    step: Callable[[], object]


class Asked(NamedTuple):
    """What the command line asks for."""

    repeats: int  # turns of every case
    limit: float  # seconds
    seed: int
    pytorch_ntm: Any  # rivals.PytorchNTM, where there is one
    dnc: bool


class Measured(NamedTuple):
    """Tables by their names, and the matrix product's operations a second while they were made."""

    flops: float
    tables: dict[str, list[dict[str, Any]]]
    notes: tuple[str, ...] = ()  # what is missing, and why


def line(about: dict[str, Any], taken: float, multiply_adds: float, flops: float) -> dict[str, Any]:
    """A line of a table: milliseconds beside their floor."""
    least = floor.seconds(multiply_adds, flops)
    return {**about, "ms": 1e3 * taken, "floor_ms": 1e3 * least, "ratio": taken / least}


def in_turns(cases: Sequence[Case], repeats: int) -> tuple[float, list[dict[str, Any]]]:
    """Operations a second of the matrix product and a line for each case, medians of `repeats` turns."""
    product, speeds = floor.Product(), []
    samples: list[list[float]] = [[] for _ in cases]
    for _ in range(repeats):
        speeds.append(product())
        for sample, case in zip(samples, cases):
            sample += taken(case.step)
    flops = statistics.median(speeds)
    lines = [line(case.about, statistics.median(of), case.multiply_adds, flops) for case, of in zip(cases, samples)]
    return flops, [{**told, "samples": len(of)} for told, of in zip(lines, samples)]


def taken(step: Callable[[], object]) -> list[float]:
    """Seconds of each of the steps that were taken in `LEAST` seconds, one at least, after one for nothing.

    In training a step follows one of its kind, not one by another side that has taken the cache.
    """
    step()
    times: list[float] = []
    while not times or sum(times) < LEAST:
        start = time.perf_counter()
        step()
        times.append(time.perf_counter() - start)
    return times
