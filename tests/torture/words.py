"""python tests/torture/words.py [--lines 400] [--seed 0]: wrong command lines; each gets one line and code 2, or is a valid run.

Every key of every command is given values that somebody might type, sizes that cannot be and hostile files. Wrong: a traceback,
more than one line on stderr, a file or folder made by a refused command, over 10 s, over 1 GB. Runs in forks of one process, each
in an empty folder; ends with 1 if any line was answered wrongly.
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
from typing import Any

import torch

from ntm import certify, evaluate, train, turing
from ntm.command import defaults

TINY = ["task=copy", "task.lengths=[1,2]", "task.val_lengths=[2]", "task.test_lengths=[2]", "task.probe_length=2", "model.slots=12"]
TINY += [
    "trainer.max_steps=2",
    "trainer.batch_size=2",
    "trainer.val_sequences=2",
    "trainer.val_every=1",
    "model.controller.hidden=[4]",
]
MAINS = {"train": train.main, "evaluate": evaluate.main, "turing": turing.main, "certify": certify.main}
NAME = "x" * 300
VALUES = [
    "1000000000",
    "1000000000000000000000",
    "-1",
    "0",
    "1.5",
    "nan",
    "inf",
    "",
    "null",
    "[]",
    "[1]",
    "[1,[2]]",
    "{a:1}",
    NAME,
    "true",
]
VALUES += [
    "${seed}",
    "${nothing}",
    "${oc.env:HOME}",
    "$",
    "\\",
    "'",
    '"',
    "[1,",
    "1e400",
    "\x1b[31m",
    "a\nb",
    "ü",
    "/",
    ".",
    "..",
    "a b",
    "@",
    "=",
    "1=2",
]
VALUES += [
    "[1000000000]",
    "[1,1000000000]",
    "[[[[[[1]]]]]]",
    "/dev/full",
    "/dev/zero",
    "/dev/null",
    "/proc/self/mem",
    "last",
    "*",
    "-",
    "--help=1",
]
PREFIXES = ["", "", "", "", "+", "++", "~"]
ODD = [
    "trainer=5",
    "trainer=",
    "model=5",
    "model=[lstm]",
    "task=[copy]",
    "-m seed=0,a",
    "-m nonsense=1,2",
    "-m task=copy,bogus",
    "--bogus",
]
ODD += [
    "--cfg",
    "--multirun",
    "=",
    "==",
    "~",
    "+",
    "++",
    "a",
    "model",
    "~model",
    "~task",
    "~trainer",
    "hydra.run.dir=/proc/x",
    "--config-name nothing",
]
ODD += [
    "--config-dir nowhere",
    "+experiment=bogus",
    "experiment=bogus",
    "debug=bogus",
    "recipe=bogus",
    "recipe=[a]",
    "optimizer=[adam,rmsprop]",
]
ODD += [
    "seed=0 seed=1 seed=x",
    "task=binary_mul task.sweeps=0",
    "+task.foo=1",
    "+model.foo=1",
    "+trainer.foo=1",
    "+optimizer.foo=1",
    "+foo=1",
    "+foo.bar=1",
]


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
    texts |= {"text.ckpt": "hello", "empty.ckpt": "", "numbers.yaml": "1: {2: 3}\n", "binary.yaml": "\ud800"}
    for name, text in texts.items():
        (folder / name).write_bytes(text.encode(errors="surrogatepass"))
    torch.save({"ntm": 3, "state_dict": 4}, folder / "liar.ckpt")
    torch.save([1, 2, 3], folder / "list.ckpt")
    torch.save(torch.tensor(float("nan")), folder / "nan.ckpt")
    with (folder / "huge.ckpt").open("wb") as file:
        file.truncate(10**11)
    return [str(path) for path in sorted(folder.iterdir())] + [str(folder), "/dev/zero", "/dev/stdin", "last", "nowhere"]


def lines_of(draw: random.Random, count: int, files: list[str]) -> list[tuple[str, list[str]]]:
    """Commands and their words."""
    keys = {name: [key for key in leaves(defaults(name, [])) if not key.startswith("hydra")] for name in MAINS}
    lines = [("train", word.split()) for word in ODD]
    lines += [
        (name, [f"{key}={file}"])
        for name, key in (("turing", "machine"), ("certify", "run"), ("evaluate", "run"))
        for file in files
    ]
    lines += [("train", [f"{key}={file}"]) for key in ("resume", "turing", "run_dir") for file in files]
    draw.shuffle(lines)
    lines = lines[: count // 2]
    while len(lines) < count:
        name = draw.choice(["train", "train", "train", "evaluate", "turing", "certify"])
        lines.append((name, [f"{draw.choice(PREFIXES)}{draw.choice(keys[name])}={draw.choice(VALUES)}"]))
    return lines


def run(name: str, words: list[str], folder: Path) -> tuple[int, str, str, float, int]:
    """One command in a fork of this process: exit code, what it said on both, seconds, and kilobytes beyond ours."""
    start = time.monotonic()
    out, err = folder.with_suffix(".out"), folder.with_suffix(".err")
    child = os.fork()
    if child == 0:
        code = 70
        try:
            os.chdir(folder)
            for stream, path in ((1, out), (2, err)):
                os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), stream)
            os.dup2(os.open("/dev/null", os.O_RDONLY), 0)
            sys.argv = [
                f"ntm-{name}",
                *(TINY if name == "train" and not any(w.startswith(("task=", "resume")) for w in words) else []),
                *words,
            ]
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
    while True:
        ended, status, used = os.wait4(child, os.WNOHANG)
        if ended:
            break
        if time.monotonic() - start > 12:
            os.kill(child, signal.SIGKILL)
        time.sleep(0.01)
    mine = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return (
        os.waitstatus_to_exitcode(status),
        out.read_text(),
        err.read_text(),
        time.monotonic() - start,
        max(0, used.ru_maxrss - mine),
    )


def main() -> None:
    """All lines, and what was wrong."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--lines", type=int, default=400)
    options.add_argument("--seed", type=int, default=0)
    options.add_argument("--all", action="store_true", help="print every line and its answer")
    chosen = options.parse_args()
    torch.set_num_threads(1)
    work = Path(tempfile.mkdtemp(prefix="words"))
    (work / "files").mkdir()
    wrong = refused = 0
    for number, (name, words) in enumerate(lines_of(random.Random(chosen.seed), chosen.lines, hostile(work / "files"))):
        folder = work / str(number)
        folder.mkdir()
        code, _, said, seconds, size = run(name, words, folder)
        left = [path.name for path in folder.iterdir()]
        refused += code == 2
        told = f"ntm.{name} {words}"[:160]
        faults = [
            fault
            for fault, there in (
                (f"code {code}", code not in (0, 2)),
                (f"{said.count(chr(10))} lines: {said[-300:]!r}", code == 2 and said.count("\n") != 1),
                (f"said {said[-300:]!r}", code == 0 and bool(said)),
                (f"left {left}", code == 2 and bool(left)),
                (f"{seconds:.1f} s", seconds > 10),
                (f"{size / 1e6:.1f} GB", size > 10**6),
            )
            if there
        ]
        wrong += bool(faults)
        if faults or chosen.all:
            print(f"{number} {told!r}: {'; '.join(faults) or said.strip()[:200] or 'valid'}", flush=True)
    print(f"{chosen.lines - wrong} of {chosen.lines} answered rightly, {refused} of them refused")
    sys.exit(wrong > 0)


if __name__ == "__main__":
    main()
