"""The fused step's C++, built on first use with whatever compiler is there, and kept for the next time.

No torch headers and no build system: one command, some seconds, and a plain C interface. A library is built beside its place and
renamed, and its name ends in its checksum: nothing that a kill or a full disk left behind is loaded, or waited for.
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
LANES = {
    "float_1": "Rows<float, 1>",
    "float_4": "Rows<float, 4>",
    "float_8": "Rows<float, 8>",
    "float_16": "Rows<float, 16>",
    "double_4": "Rows<double, 4>",
}
"""Kinds of lanes (lanes.h), a library each, by their number and the rows of a chunk."""

USUAL = "float_16"

LONGEST = 120.0
"""Seconds that a compiler may take."""


class NoLibraryError(Exception):
    """There is no fused step on this machine, and why."""


class Library(NamedTuple):
    """What was loaded."""

    functions: ctypes.CDLL
    told: str  # for people


@cache
def load(lanes: str = USUAL) -> Library:
    """The library of some lanes, built where it is not there yet; raises NoLibraryError where it cannot be."""
    command, folder = [*compiler(), f"-DCHOSEN={LANES[lanes]}"], kept_in()
    name = name_of(command)
    try:
        for path in [] if folder is None else sorted(folder.glob(f"{name}-*.so")):
            if path.name == f"{name}-{checksum(path)}.so":
                return Library(ctypes.CDLL(str(path)), "fused step")
        return built(command, folder, name)
    except OSError as error:
        raise NoLibraryError(str(error).splitlines()[0]) from None


def compiler() -> list[str]:
    """The C++ compiler, as the words of a command: $CXX, or the first one found; raises NoLibraryError."""
    asked = os.environ.get("CXX", "").split()
    for name, *words in [asked] if asked else [["c++"], ["g++"], ["clang++"]]:
        found = shutil.which(name)
        if found is not None:
            return [found, *words]
    raise NoLibraryError(f"no C++ compiler: {' '.join(asked) or 'c++, g++ and clang++ are not there'}")


def kept_in() -> Path | None:
    """The folder where libraries are kept; None: there is no home to keep one in."""
    asked = Path(os.environ.get("XDG_CACHE_HOME", ""))
    try:
        return (asked if asked.is_absolute() else Path.home() / ".cache") / "ntm"
    except RuntimeError:
        return None


def name_of(command: list[str]) -> str:
    """How a library's name begins: it tells sources, flags, compiler and processor, any of which makes another one."""
    told = [*FLAGS, *command, platform.platform(), platform.machine(), processor("flags", "Features")]
    told += [path.read_text() for path in sorted(SOURCES.iterdir()) if path.suffix in (".h", ".cpp")]
    return "step-" + hashlib.sha256("\n".join(told).encode()).hexdigest()[:16]


def processor(*names: str) -> str:
    """What Linux says of the processor under the first of these names that it knows, or what Python does."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return next((line.partition(": ")[2] for line in lines if line.startswith(names)), platform.processor())


def checksum(path: Path) -> str:
    """Of a file's bytes."""
    return hashlib.sha256(path.read_bytes()).hexdigest()[:16]


def built(command: list[str], folder: Path | None, name: str) -> Library:
    """Build the library and keep it where that can be; raises NoLibraryError, OSError."""
    start = time.monotonic()
    try:
        if folder is not None:
            folder.mkdir(parents=True, exist_ok=True)
        workplace = Path(tempfile.mkdtemp(dir=folder))
    except OSError:
        folder, workplace = None, Path(tempfile.mkdtemp())
    try:
        made = workplace / "step.so"
        build(command, made)
        told = f"fused step (built in {time.monotonic() - start:.0f} s, for this run alone)"
        if folder is not None:
            made = made.replace(folder / f"{name}-{checksum(made)}.so")
            told = f"fused step (built in {time.monotonic() - start:.0f} s: {made})"
        return Library(ctypes.CDLL(str(made)), told)
    finally:
        shutil.rmtree(workplace, ignore_errors=True)


def build(command: list[str], made: Path) -> None:
    """Compile the sources; raises NoLibraryError."""
    words = [*command, *FLAGS, str(SOURCES / "step.cpp"), "-o", str(made)]
    try:
        done = subprocess.run(words, capture_output=True, text=True, errors="replace", timeout=LONGEST, check=False)
    except subprocess.TimeoutExpired:
        raise NoLibraryError(f"{command[0]} takes over {LONGEST:.0f} s") from None
    if done.returncode:
        lines = done.stderr.splitlines() or ["it says nothing"]
        raise NoLibraryError(f"{command[0]} fails: {next((line for line in lines if 'error' in line), lines[0])}")
