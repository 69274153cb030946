"""How a command ends when it is asked to, by Ctrl-C or SIGTERM: one line, exit code 130 or 143, at a moment that loses nothing.

Signals belong to the whole process, so this is the one module with a state of its own.
"""

import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import NoReturn

NAMES = {signal.SIGINT: "Ctrl-C", signal.SIGTERM: "SIGTERM"}

PARENT = "NTM_STDIN_IS_PARENT"
"""Variable of the environment by which a sweep tells its runs that the other end of their stdin is its own."""


class Ended(BaseException):
    """Somebody asked for the end; not an Exception, so that nothing on the way takes it for a mistake."""

    def __init__(self, number: int, safe: bool = False):
        super().__init__(NAMES[signal.Signals(number)])
        self.code = 128 + number  # as shells count it
        self.safe = safe  # raised where nothing was half done


class Watch:
    """What a signal does: raise Ended at once, or, while somebody holds it, only be remembered; a second one never waits."""

    def __init__(self) -> None:
        self.held = False
        self.asked: Ended | None = None

    def __call__(self, number: int, frame: FrameType | None) -> None:
        again, self.asked = self.asked is not None, Ended(number, safe=not self.held)
        if again or not self.held:
            raise self.asked

    def __enter__(self) -> "Watch":
        self.held, self.asked = False, None
        self.before = {number: signal.getsignal(number) for number in NAMES}
        self.install()
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self.before.items():
            signal.signal(number, handler)

    def install(self) -> None:
        """From now on signals are ours; again, where another library has taken them."""
        for number in NAMES:
            signal.signal(number, self)

    @contextmanager
    def free(self) -> Iterator[None]:
        """While it lasts nobody holds it: what is done here is done again, or was never asked for."""
        if self.asked is not None:
            self.leave()
        held, self.held = self.held, False
        try:
            yield
        finally:
            self.held = held

    def leave(self) -> NoReturn:
        """End at a moment that loses nothing, as this process was asked to, or another one that it works with."""
        ended = self.asked or Ended(signal.SIGTERM)
        ended.safe = True
        raise ended


watch = Watch()


def leave_at_once(name: str) -> None:
    """While a command's imports take their seconds: nothing is made yet, and nothing lost."""

    def leave(number: int, frame: FrameType | None) -> None:
        print(f"ntm.{name}: stopped by {Ended(number)}", file=sys.stderr, flush=True)
        os._exit(128 + number)

    for number in NAMES:
        signal.signal(number, leave)
    if PARENT in os.environ:
        threading.Thread(target=with_parent, daemon=True).start()


def with_parent() -> None:
    """When the sweep is gone that this run is one of, even by kill -9, end as by SIGTERM."""
    with suppress(OSError):
        os.read(0, 1)  # nothing is ever written to it; sys.stdin would have a lock, and an interpreter that ends wants it
    os.kill(os.getpid(), signal.SIGTERM)


def too_late() -> None:
    """A command that has done everything ends as one that has: its interpreter takes down its libraries undisturbed.

    Ignored, not blocked: a block is one thread's, and an interpreter that ends gives all but ignored signals back to the system.
    """
    for number in NAMES:
        signal.signal(number, signal.SIG_IGN)
