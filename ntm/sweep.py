"""Several runs of a sweep at once: each is the command line that starts it alone, in a process of its own.

So each has the results that it has alone, and none takes another with it, however it ends.
"""

import os
import shlex
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from queue import Empty, Queue
from typing import Any, NamedTuple

from ntm import ends, sizes
from ntm.errors import UserError

KEY = "at_once"


class Run(NamedTuple):
    """One of a sweep."""

    name: str  # the words that it does not share with all others
    words: list[str]  # of its command line


class Child(NamedTuple):
    """A run that goes on in a process of its own."""

    run: Run
    process: "subprocess.Popen[str]"
    began: float  # seconds of the monotonic clock


def check(asked: Any) -> None:
    """Raise UserError where `at_once` is neither auto nor a number of runs."""
    if asked != "auto" and (type(asked) is not int or asked < 1):
        raise UserError(f"{KEY}={asked}: allowed: auto, or an integer from 1")


def at_once(asked: Any, needs: Sequence[int], threads: int, gpu: bool) -> int:
    """How many runs of a sweep go at once: what is asked for, or as many as there are free cores for, and memory.

    `needs` are the bytes of each run. Raises UserError where what is asked for does not fit.
    """
    costs = sorted((sizes.PROCESS + need for need in needs), reverse=True)
    if asked != "auto":
        number = min(asked, len(costs))
        if number > 1:
            sizes.refuse(f"{KEY}={asked}", f"{number} of these runs together need", sum(costs[:number]))
        return number
    free, most = sizes.available(), 1 if gpu else min(len(costs), cores() // threads)
    return next((number for number in range(most, 1, -1) if sum(costs[:number]) <= free), 1)


def cores() -> int:
    """Cores that this process may use: its affinity's, and its control group's (a container's, a job's)."""
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    try:
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text().split()
        return max(1, min(usable, int(quota) // int(period)))
    except (OSError, ValueError):  # no Linux, or no limit ("max")
        return usable


def named(lines: list[list[str]]) -> list[Run]:
    """Runs from their words: each is called by those that not all of them have."""
    shared = set(lines[0]).intersection(*lines)
    return [Run(" ".join(word for word in words if word not in shared) or f"run {n}", words) for n, words in enumerate(lines)]


def together(command: str, runs: list[Run], number: int) -> None:
    """Run `python -m ntm.<command>` for each, `number` at once, and print their lines under their names.

    Leaves with exit code 1 where one has failed; raises Ended where somebody asks, when each run has ended as it does alone.
    """
    said: Queue[tuple[Child, str | None]] = Queue()  # None: it says no more
    waiting, going, last, failed = list(runs), list[Child](), dict[str, str](), list[str]()
    ends.watch.held, told = True, False
    try:
        while going or (waiting and ends.watch.asked is None):
            while waiting and len(going) < number and ends.watch.asked is None:
                going.append(begin(command, waiting.pop(0), said))
            if ends.watch.asked is not None and not told:
                told = True
                for child in going:
                    child.process.send_signal(ends.watch.asked.code - 128)
            try:
                child, line = said.get(timeout=0.2)  # a signal is only remembered
            except Empty:
                continue
            name = child.run.name
            if line is not None:
                last[name] = line
                print(f"{name} | {line}", flush=True)
                continue
            going.remove(child)
            code, stopped = child.process.wait(), ends.watch.asked
            print(f"{name} | {how_it_ended(code)} after {time.monotonic() - child.began:.0f} s", flush=True)
            if stopped is not None and code == stopped.code:
                if " goes on" not in last.get(name, ""):  # it had not begun to train
                    waiting.append(child.run)
            elif code != 0:
                failed.append(f"{name} ({last.get(name, how_it_ended(code)).removeprefix(f'ntm.{command}: ')})")
    finally:
        for child in going:  # somebody is in a hurry: this ends them, see ends.with_parent
            assert child.process.stdin is not None
            child.process.stdin.close()
    for run in waiting:
        words = [word for word in run.words if not word.startswith(f"{KEY}=")]
        print(f"{run.name} | not begun; python -m ntm.{command} {shlex.join(words)} begins it", flush=True)
    if failed:
        print(f"ntm.{command}: {len(failed)} of {len(runs)} runs failed: {'; '.join(failed)}", file=sys.stderr)
    if ends.watch.asked is not None and (told or waiting):
        ends.watch.leave()
    if failed:
        sys.exit(1)


def begin(command: str, run: Run, said: "Queue[tuple[Child, str | None]]") -> Child:
    """Start a run, in a group of its own: a terminal's Ctrl-C is ours to hand on, once. What it says goes into the queue."""
    process = subprocess.Popen(
        [sys.executable, "-m", f"ntm.{command}", *run.words],
        stdin=subprocess.PIPE,  # of which nobody else holds the other end
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        process_group=0,
        env={**os.environ, ends.PARENT: "1"},
    )
    child = Child(run, process, time.monotonic())

    def follow() -> None:
        assert process.stdout is not None
        for line in process.stdout:
            said.put((child, line.rstrip()))
        said.put((child, None))

    threading.Thread(target=follow, daemon=True).start()
    return child


def how_it_ended(code: int) -> str:
    """An exit code for people."""
    return "done" if code == 0 else f"killed by {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
