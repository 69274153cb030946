"""A command in a process of its own that has imported everything already: Python's fork server, asked once, waits with it.

Importing torch and Lightning takes longer than training many a small model.
"""

import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Callable
from pathlib import Path

from ntm import ends, train
from ntm.studies import seeds

COMMANDS: dict[str, Callable[[], None]] = {"train": train.main, "studies.seeds": seeds.main}

CONTEXT = multiprocessing.get_context("forkserver")
CONTEXT.set_forkserver_preload(["__main__", "ntm.studies.apart"])


class StoppedError(Exception):
    """Somebody has asked for the end; the command has ended as it does alone."""


def ended(words: list[str], log: Path) -> int:
    """The exit code of a command and its words, whose lines go into a file. Raises StoppedError where somebody asks for the end."""
    if multiprocessing.current_process().daemon:
        log.write_text("a Dask worker may not start processes; allowed: workers with DASK_DISTRIBUTED__WORKER__DAEMON=False")
        return 1
    process = CONTEXT.Process(target=run, args=(words, str(log)))
    process.start()
    while process.exitcode is None:
        process.join(0.2)
        if ends.watch.asked is not None and process.pid is not None:
            os.kill(process.pid, ends.watch.asked.code - 128)
            process.join()
            raise StoppedError
    return process.exitcode


def run(words: list[str], log: str) -> None:
    """The command, in its own process; it ends when the one that asked for it is gone."""
    os.setpgrp()  # a terminal's Ctrl-C is the asking process's to hand on, once
    command, *rest = words
    ends.leave_at_once(command)
    threading.Thread(target=with_parent, daemon=True).start()
    with open(log, "w", buffering=1) as said:
        sys.stdout = sys.stderr = said
        sys.argv = [f"ntm.{command}", *rest]
        COMMANDS[command]()


def with_parent() -> None:
    """When the process that asked is gone, even by kill -9, end as by SIGTERM."""
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os.kill(os.getpid(), signal.SIGTERM)
