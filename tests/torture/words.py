"""python tests/torture/words.py [--lines 400] [--seed 0]: wrong command lines; each gets one line and code 2, or is a valid run.

Every key of every command is given values that somebody might type, sizes that cannot be and hostile files (odd.py). Wrong: a
traceback, more than one line on stderr, a file or folder made or changed by a refused command, a refusal that says no "allowed",
over 10 s, over 1 GB, unless all checks were passed and the run itself had begun. Runs in forks of one process, each in an empty
folder, told that there are 4 GB of memory; ends with 1 if any line was answered wrongly.
"""

import argparse
import os
import random
import resource
import signal
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, NamedTuple

import torch
from odd import EVALUATED, LINES, OTHERS, POWERS, PREFIXES, SIZES, VALUES

from ntm import certify, evaluate, sizes, train, turing
from ntm.command import defaults

SMALL = ["task.lengths=[1,2]", "task.val_lengths=[2]", "task.test_lengths=[2]", "task.probe_length=2"]
SMALL += ["trainer.max_steps=2", "trainer.batch_size=2", "trainer.val_sequences=2", "trainer.val_every=1"]
TINY = ["task=copy", *SMALL, "model.slots=12", "model.controller.hidden=[4]"]
MAINS = {"train": train.main, "evaluate": evaluate.main, "turing": turing.main, "certify": certify.main}
MEMORY = 4 * 10**9
"""Bytes that a command is told to be free; one that is bigger than this and not refused is answered wrongly."""

BEGINS = {
    "train": (train, "train"),
    "evaluate": (evaluate, "evaluate"),
    "turing": (turing, "Decisions"),
    "certify": (certify, "search"),
}
"""What each command calls once all is checked."""


class Answer(NamedTuple):
    """What came of a command line."""

    code: int
    said: str  # on stderr
    seconds: float
    kilobytes: int  # beyond ours
    began: bool


def leaves(values: dict[str, Any], path: str = "") -> list[str]:
    """The dotted keys of nested values."""
    below = [leaf for key, part in values.items() if isinstance(part, dict) for leaf in leaves(part, f"{path}{key}.")]
    return [f"{path}{key}" for key in values] + below


def hostile(folder: Path) -> list[str]:
    """Files that should not be read too trustingly: their paths."""
    nested, bomb = "[" * 3000 + "]" * 3000, "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 12))
    texts = {
        "control.yaml": "states: \x07\x00\n",
        "nested.yaml": nested,
        "bomb.yaml": "a0: &a0 [x, x]\n" + bomb,
        "empty.yaml": "",
        "list.yaml": "- 1\n",
    }
    texts |= {"surrogate.yaml": "a: \udfff", "twice.yaml": "table: 1\ntable: 2\n", "deep.yaml": "{a: " * 3000 + "}" * 3000}
    texts |= {"text.ckpt": "hello", "empty.ckpt": "", "numbers.yaml": "1: {2: 3}\n", "binary.yaml": "\ud800"}
    for name, text in texts.items():
        (folder / name).write_bytes(text.encode(errors="surrogatepass"))
    torch.save({"ntm": 3, "state_dict": 4}, folder / "liar.ckpt")
    torch.save([1, 2, 3], folder / "list.ckpt")
    torch.save(torch.tensor(float("nan")), folder / "nan.ckpt")
    with (folder / "huge.ckpt").open("wb") as file:
        file.truncate(10**11)
    return [str(path) for path in sorted(folder.iterdir())] + [str(folder), "/dev/zero", "/dev/stdin", "last", "nowhere"]


def lines_of(draw: random.Random, count: int, files: Path) -> list[tuple[str, list[str]]]:
    """Commands and their words: a quarter of whole lines, a quarter of files, a quarter of sizes, the rest keys with odd values."""
    keys = {name: [key for key in leaves(defaults(name, [])) if not key.startswith("hydra")] for name in MAINS}
    named = hostile(files)
    whole = [(line.partition("|")[0], line.partition("|")[2].split(" ")) for line in LINES]
    given = [
        (name, [*([] if key != "turing" else ["task=turing", *SMALL]), f"{key}={file}"]) for name, key in READ for file in named
    ]
    lines = draw.sample(whole, min(count // 3, len(whole))) + draw.sample(given, min(count // 6, len(given)))
    lines += [sized(draw) for _ in range(count // 4)]
    while len(lines) < count:
        name = draw.choice(["train", "train", "train", "evaluate", "turing", "certify"])
        lines.append((name, [f"{draw.choice(PREFIXES)}{draw.choice(keys[name])}={draw.choice(VALUES)}"]))
    draw.shuffle(lines)
    return [(name, completed(name, words, files)) for name, words in lines]


def sized(draw: random.Random) -> tuple[str, list[str]]:
    """A line with one or two sizes that are likely too large."""

    def one(patterns: list[str]) -> str:
        return draw.choice(patterns).replace("{n}", str(10 ** draw.choice(POWERS)))

    kind = draw.random()
    if kind < 0.2:
        return "evaluate", [one(EVALUATED) for _ in range(draw.choice([1, 2]))]
    if kind < 0.5:
        choice = draw.choice(list(OTHERS))
        return "train", [choice, *SMALL, *(one(OTHERS[choice]) for _ in range(draw.choice([1, 2])))]
    return "train", [*TINY, *(one(SIZES) for _ in range(draw.choice([1, 1, 2])))]


READ = [("turing", "machine"), ("certify", "run"), ("evaluate", "run"), ("certify", "reference"), ("turing", "simulate")]
READ += [("train", "resume"), ("train", "turing"), ("train", "run_dir")]
"""Keys that name files to be read."""


def completed(name: str, words: list[str], files: Path) -> list[str]:
    """The words with those before them that let a command come as far as the words themselves."""
    beside = {"train": TINY, "evaluate": [f"run={files}/run", "lengths=[2]"], "turing": ["machine=bb2"], "certify": ["run=bb2"]}[
        name
    ]
    keys = {word.lstrip("+~").partition("=")[0] for word in words}
    if name == "train" and any(word.startswith(("task=", "resume")) for word in words):
        return words
    if any(word.startswith("model=") for word in words):
        beside = [word for word in beside if not word.startswith("model.")]
    if any(word.startswith("simulate=") for word in words) and "machine" not in keys:
        beside = ["machine=universal"]
    return [*(word for word in beside if word.partition("=")[0] not in keys), *words]


def prepare(work: Path) -> None:
    """Runs to be read: a trained one, one of a table, one that has not finished, a folder that was moved."""
    files = work / "files"
    files.mkdir()
    for name, words in (("train", [*TINY, f"run_dir={files}/run"]), ("turing", ["machine=bb2", f"run_dir={files}/bb2"])):
        assert run(name, words, work, work / "first").code == 0
    for path in (files / "run").iterdir():
        for other in ("unfinished", "moved"):
            (files / other).mkdir(exist_ok=True)
            if other == "moved" or path.name == "config.yaml":
                (files / other / path.name).write_bytes(path.read_bytes())


def state_of(folder: Path) -> dict[str, tuple[int, int]]:
    """Names, sizes and times of all files below a folder; locks left out."""
    found = [path for path in sorted(folder.rglob("*")) if path.name not in (".lock", "made")]
    return {
        str(path.relative_to(folder)): (path.stat().st_size, path.stat().st_mtime_ns) for path in found if not path.is_dir()
    } | {str(path.relative_to(folder)): (0, 0) for path in found if path.is_dir()}


def act(name: str, words: list[str], folder: Path, beside: Path) -> None:
    """What a fork does: the command, its streams in files `beside` the folder; never returns."""
    code = 70
    try:
        os.chdir(folder)
        for stream, ending in ((1, ".out"), (2, ".err")):
            os.dup2(os.open(beside.with_suffix(ending), os.O_WRONLY | os.O_CREAT | os.O_TRUNC), stream)
        os.dup2(os.open("/dev/null", os.O_RDONLY), 0)
        module, called = BEGINS[name]
        inner, free = getattr(module, called), sizes.available
        setattr(module, called, lambda *a, **k: (beside.with_suffix(".began").touch(), inner(*a, **k))[1])
        sizes.available = lambda: min(MEMORY, free())
        sys.argv = [f"ntm-{name}", *words]
        MAINS[name]()
        code = 0
    except SystemExit as ended:
        code = ended.code if isinstance(ended.code, int) else 0 if ended.code is None else 71
    except BaseException:
        sys.excepthook(*sys.exc_info())
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def run(name: str, words: list[str], folder: Path, beside: Path) -> Answer:
    """One command in a fork of this process, ended after 12 s or where it grows beyond what there is."""
    start = time.monotonic()
    child = os.fork()
    if child == 0:
        act(name, words, folder, beside)
    mine = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    while True:
        ended, status, used = os.wait4(child, os.WNOHANG)
        if ended:
            break
        if time.monotonic() - start > 12 or resident(child) > MEMORY * 2:
            os.kill(child, signal.SIGKILL)
        time.sleep(0.01)
    seconds, size = time.monotonic() - start, max(0, used.ru_maxrss - mine)
    said = beside.with_suffix(".err").read_text(errors="replace")
    return Answer(os.waitstatus_to_exitcode(status), said, seconds, size, beside.with_suffix(".began").exists())


def resident(child: int) -> int:
    """Bytes of memory that a process has."""
    try:
        return int(Path(f"/proc/{child}/statm").read_text().split()[1]) * resource.getpagesize()
    except (OSError, IndexError):
        return 0


def faults_of(answer: Answer, changed: list[str]) -> list[str]:
    """What is wrong with an answer, in words."""
    code, said, seconds, size, began = answer
    slow = code == -signal.SIGKILL and began and size * 1000 < MEMORY * 1.5  # a valid run that takes its time
    tests = {
        f"code {code}: {said[-300:]!r}": code not in (0, 1, 2) and not slow,
        f"code 1: {said[-300:]!r}": code == 1 and said.count("\n") > 1,
        f"{said.count(chr(10))} lines: {said[-300:]!r}": code == 2 and said.count("\n") != 1,
        f"nothing is allowed: {said!r}": code == 2 and not any(word in said for word in SAYS),
        f"said {said[-300:]!r}": code == 0 and bool(said),
        f"left {changed}": code == 2 and bool(changed),
        f"{seconds:.1f} s": seconds > 10 and not began,
        f"{size / 1e6:.1f} GB": size > 10**6 and not began,
    }
    return [fault for fault, there in tests.items() if there]


SAYS = ("allowed", "must", "should", "too few", "at most", "at least", "need", "expected", "no such", "choose from", "cannot")
"""Words of which a refusal has one."""


def main() -> None:
    """All lines, and what was wrong."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--lines", type=int, default=400)
    options.add_argument("--seed", type=int, default=0)
    options.add_argument("--all", action="store_true", help="print every line and its answer")
    options.add_argument("--only", choices=["lines"], help="all whole lines of odd.py and nothing else")
    chosen = options.parse_args()
    torch.set_num_threads(1)
    work = Path(tempfile.mkdtemp(prefix="words"))
    prepare(work)
    draw = random.Random(chosen.seed)
    lines = lines_of(draw, chosen.lines, work / "files")
    if chosen.only:
        whole = [(line.partition("|")[0], line.partition("|")[2].split(" ")) for line in LINES]
        lines = [(name, completed(name, words, work / "files")) for name, words in whole]
    wrong = refused = 0
    for number, (name, words) in enumerate(lines):
        folder = work / "lines" / str(number) / "here"
        folder.mkdir(parents=True)
        before = state_of(work / "files")
        answer = run(name, words, folder, work / f"said{number}")
        changed = [path for path in state_of(folder.parent) if path != "here"]
        changed += [path for path, state in state_of(work / "files").items() if before.get(path) != state]
        refused += answer.code == 2
        faults = faults_of(answer, changed)
        wrong += bool(faults)
        told = ascii(f"ntm.{name} {' '.join(word for word in words if word not in TINY)}")[:200]
        if faults or chosen.all:
            print(f"{number} {told}: {'; '.join(faults) or answer.said.strip()[:1000] or 'valid'}", flush=True)
    print(f"{len(lines) - wrong} of {len(lines)} answered rightly, {refused} of them refused")
    sys.exit(wrong > 0)


if __name__ == "__main__":
    main()
