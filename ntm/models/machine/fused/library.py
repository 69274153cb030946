"""The fused step's C++, built on first use with whatever compiler is there, and kept for the next time.

No torch headers and no build system: one command, some seconds, and a plain C interface. A library is built beside its name and
renamed, so that a kill leaves nothing that a later run would trip over or wait for.
"""

import ctypes
import hashlib
import os
import platform
import shutil
import subprocess
import tempfile
import time
from functools import cache
from pathlib import Path
from typing import NamedTuple

SOURCES = Path(__file__).parent
FLAGS = ("-std=c++17", "-O3", "-march=native", "-fno-math-errno", "-fPIC", "-shared", "-pthread", "-w")
LONGEST = 120.0
"""Seconds that a compiler may take."""


class NoLibraryError(Exception):
    """There is no fused step on this machine, and why."""


class Library(NamedTuple):
    """What was loaded."""

    functions: ctypes.CDLL
    told: str  # for people


@cache
def load() -> Library:
    """The library, built where it is not there yet; raises NoLibraryError where it cannot be."""
    path, start, told = place(), time.monotonic(), "fused step"
    try:
        if not path.exists():
            path = built(path)
            told += f" (built in {time.monotonic() - start:.0f} s: {path})"
        return Library(ctypes.CDLL(str(path)), told)
    except OSError as error:
        raise NoLibraryError(str(error).splitlines()[0]) from None


def compiler() -> str:
    """The C++ compiler: $CXX, or the first one found; raises NoLibraryError."""
    asked = os.environ.get("CXX", "").split()
    for name in asked[:1] or ["c++", "g++", "clang++"]:
        found = shutil.which(name)
        if found is not None:
            return found
    raise NoLibraryError(f"no C++ compiler: {' '.join(asked) or 'c++, g++ and clang++ are not there'}")


def place() -> Path:
    """Where the library is kept: its name tells sources, flags, compiler and processor, any of which makes another one."""
    told = [" ".join(FLAGS), compiler(), platform.platform(), platform.machine(), processor()]
    told += [path.read_text() for path in sorted(SOURCES.iterdir()) if path.suffix in (".h", ".cpp")]
    name = hashlib.sha256("\n".join(told).encode()).hexdigest()[:16]
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "ntm" / f"step-{name}.so"


def processor() -> str:
    """What the processor can do, where that is told."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return next((line for line in lines if line.startswith(("flags", "Features"))), "")


def built(path: Path) -> Path:
    """Build the library at its place, or for this process alone where nothing can be kept; raises NoLibraryError."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        folder = Path(tempfile.mkdtemp(dir=path.parent))
    except OSError:
        folder = Path(tempfile.mkdtemp())
    try:
        made = folder / path.name
        command = [compiler(), *FLAGS, str(SOURCES / "step.cpp"), "-o", str(made)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=LONGEST, check=False)
        if done.returncode:
            raise NoLibraryError(f"{command[0]} fails: {(done.stderr.splitlines() or ['it says nothing'])[0]}")
        if folder.parent != path.parent:
            return made
        made.replace(path)
        return path
    except subprocess.TimeoutExpired:
        raise NoLibraryError(f"{command[0]} takes over {LONGEST:.0f} s") from None
    finally:
        if folder.parent == path.parent:
            shutil.rmtree(folder, ignore_errors=True)
