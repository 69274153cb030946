"""The search for operands that a machine multiplies wrongly: all small ones, then drawn ones of many shapes and lengths.

Products are those of the task, run as `ntm.evaluate discrete=true` runs them.
"""

import time
from collections.abc import Iterable
from dataclasses import replace
from itertools import chain, islice
from typing import NamedTuple

import numpy as np
import torch

from ntm.models.base import Model
from tasks import BinaryMul
from tasks.binary_add import number
from tasks.operands import SETS, Pair

AT_ONCE = 1024
"""Pairs of one batch, at most."""

LONGEST = 64
"""Bits of drawn operands."""


class Wrong(NamedTuple):
    """Operands whose product is wrong."""

    length: int  # bits that they are written with
    a: int
    b: int
    said: int


def wrong_of(discrete: Model, task: BinaryMul, length: int, pairs: Iterable[Pair]) -> Wrong | None:
    """The first pair of this length that is multiplied wrongly."""
    task, left = replace(task, sweeps=None), iter(pairs)
    room = discrete.room_for(task.room(length))
    while some := list(islice(left, AT_ONCE)):
        batch = task.posed(some, length, "test")
        with torch.inference_mode():
            answers = task.answer(discrete(batch.inputs, batch.ticks, room=room).logits)
        for (a, b), answer, due in zip(some, answers, batch.mask > 0):
            said = number(answer[due][:, 0])
            if said != a * b:
                return Wrong(length, a, b, said)
    return None


def small(discrete: Model, task: BinaryMul, lengths: Iterable[int], seconds: float) -> Wrong | None:
    """The shortest operands that are multiplied wrongly, of all that there are of these lengths; until the time is up."""
    end = time.monotonic() + seconds
    for length in lengths:
        for a in range(1 << length):
            wrong = wrong_of(discrete, task, length, ((a, b) for b in range(1 << length)))
            if wrong is not None or time.monotonic() > end:
                return wrong
    return None


def drawn(discrete: Model, task: BinaryMul, seconds: float) -> Wrong | None:
    """Operands of every set, longer and longer ones and over again, until the time is up."""
    random, end = np.random.default_rng(0), time.monotonic() + seconds
    kinds = [task.of(name) for name in SETS]
    for length in chain.from_iterable(iter(lambda: range(1, LONGEST + 1), None)):
        wrong = wrong_of(discrete, task, length, [kind.pair(random, length, "test") for kind in kinds])
        if wrong is not None or time.monotonic() > end:
            return wrong
    raise AssertionError
