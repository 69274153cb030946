"""Commands in processes of their own that need not import torch and Lightning first, which takes seconds: each is a fork of one."""

import importlib
import multiprocessing
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing.process import BaseProcess
from pathlib import Path

LONG = 180
"""Seconds that a process may take on a slow machine with other work: three times what one there took."""

context = multiprocessing.get_context("forkserver")
context.set_forkserver_preload(["ntm.train", "torch._dynamo"])  # the second is imported by the first update


def call(folder: str, env: dict[str, str], out: str, prepare: Callable[[], None] | None, command: str, *words: str) -> None:
    """What happens in the process: a command, with what it says in a file."""
    os.chdir(folder)
    os.environ.update(env)
    file = os.open(out, os.O_CREAT | os.O_WRONLY | os.O_TRUNC)
    for standard in (1, 2):
        os.dup2(file, standard)
    if prepare is not None:
        prepare()
    sys.argv = [f"ntm-{command}", *words]
    importlib.import_module(f"ntm.{command}").main()


@contextmanager
def apart(command: str, *words: str, env=None, out="out", prepare=None) -> Iterator[BaseProcess]:
    """`python -m ntm.<command> words...` in this folder; `prepare` is called before it. It is gone when the block is over."""
    process = context.Process(target=call, args=(str(Path.cwd()), env or {}, out, prepare, command, *words))
    process.start()
    try:
        yield process
    finally:
        process.kill()
        process.join()
        process.close()


def code_of(process: BaseProcess) -> int | None:
    """How a process has ended, when it has."""
    process.join(LONG)
    return process.exitcode
