"""python tests/torture/damage.py [--flips 600] [--seed 0] [--only flips,disk]: damaged files, foreign ones, disks that are full.

A small run is trained; its checkpoints are flipped and cut, others take their place, its disk is filled, made read-only or taken
away. Wrong: a changed file that is loaded, a traceback, more than one line on stderr, a file made by a refused command, over 10 s,
over 1 GB, a resumed run that ends otherwise than a straight one. Needs root, to mount small disks; ends with 1 if anything is.
"""

import argparse
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from foreign import foreign
from kills import differences
from words import TINY, run

from ntm import files, runs
from ntm.errors import UserError

STEPS, MORE = 30, 32
RUN = [*TINY[:-1], f"trainer.max_steps={STEPS}", "trainer.val_every=5", "trainer.save_every=3", "trainer.log_every=1"]
RUN += ["model.controller.hidden=[40]", "optimizer.lr=0.01", "trainer.stop_when_solved=false"]
LINES = {"text appended": lambda text: text + "a: 1\n", "a value": lambda text: text.replace("threads: 1", "threads: 2")}
LINES |= {"no first line": lambda text: text.partition("\n")[2], "empty": lambda text: "", "no text": lambda text: "\udc80\udcff"}


def weights(path: Path) -> dict[str, torch.Tensor]:
    """The weights in a file that nobody has touched."""
    return {name.removeprefix("model."): value for name, value in torch.load(path, weights_only=True)["state_dict"].items()}


def told(changed: bytes, name: str, folder: Path) -> str:
    """What is wrong with how a run's folder is read whose file `name` has other bytes now, and with how that file is read alone."""
    whole, path = (folder / name).read_bytes(), folder / name
    before, alone = files.before(path), folder.with_name("alone") / name
    alone.parent.mkdir(exist_ok=True)
    path.write_bytes(changed)
    alone.write_bytes(changed)
    try:
        loaded, expected = runs.read("run", path), weights(before)
        equal = all(torch.equal(value, expected[key]) for key, value in loaded.model.state_dict().items())
        if loaded.path != before or not equal:
            return f"{loaded.path} was loaded, weights of {before.name}: {equal}"
        if len(loaded.damaged) != 1 or not loaded.damaged[0].startswith(f"run={path}: ") or before.name not in loaded.damaged[0]:
            return f"said {loaded.damaged}"
        try:
            return f"alone, loaded as {runs.read('run', alone).path}"
        except UserError as error:
            return "" if "\n" not in str(error) and str(alone) in str(error) else f"alone, said {error}"
    except BaseException as error:
        return repr(error)
    finally:
        path.write_bytes(whole)
        alone.unlink()


def flips(trained: Path, draw: random.Random, count: int) -> Iterator[tuple[str, str]]:
    """One byte or one bit changed: half of them anywhere, half where the zip file begins and ends."""
    for number in range(count):
        name = draw.choice([runs.LAST, runs.BEST])
        content = bytearray((trained / name).read_bytes())
        end = len(content)
        place = draw.choice([draw.randrange(end), draw.randrange(end), draw.randrange(100), draw.randrange(end - 200, end)])
        content[place] ^= 1 << draw.randrange(8) if number % 2 else draw.randrange(1, 256)
        yield f"byte {place - end} of {name} now {content[place]}", told(bytes(content), name, trained)


def cuts(trained: Path, draw: random.Random, count: int = 50) -> Iterator[tuple[str, str]]:
    """The end cut off: nothing, a byte, the seal, half of it and the zip's last record among the ends."""
    for number in range(count):
        name = (runs.LAST, runs.BEST)[number // 2 % 2]
        content = (trained / name).read_bytes()
        size, seal, record = len(content), files.SEAL, files.RECORD
        chosen = [0, 1, 4, 22, 71, 93, size - 1, size - 2, size - seal // 2, size - seal, size - seal - 1, size - seal - record]
        keep = chosen[number // 4] if number // 4 < len(chosen) else draw.randrange(size)
        yield f"{name} cut to {keep} bytes", told(content[:keep], name, trained)
        if keep == size - seal:  # and what such a cut could look like
            yield f"{name} without seal, zip mended", unsealed(content[: keep - 2] + b"\0\0", name, trained)


def unsealed(content: bytes, name: str, folder: Path) -> str:
    """A whole file whose seal somebody has taken off, the record before it mended as well, is anybody's own torch.save."""
    path = folder.with_name("alone") / name
    path.write_bytes(content)
    loaded, expected = runs.read("run", path), weights(folder / name)
    path.unlink()
    return "" if all(torch.equal(value, expected[key]) for key, value in loaded.model.state_dict().items()) else "other weights"


def seen(folder: Path) -> dict[str, tuple[int, int]]:
    """What is in a folder, as sizes and times."""
    return {path.name: (path.lstat().st_size, path.lstat().st_mtime_ns) for path in folder.iterdir()}


def answer(name: str, words: list[str], codes: tuple[int, ...] = (0, 2), keeps: Path | None = None, need: str = "") -> str:
    """What is wrong with how a command answers, in an empty folder: one line, one of the codes, `keeps` as it was if refused."""
    folder = Path(tempfile.mkdtemp(prefix="damage"))
    before = seen(keeps) if keeps else {}
    code, said, seconds, size, _ = run(name, words, folder, folder)
    left = [path.name for path in folder.iterdir()]
    if keeps and code == 2:
        left += [name for name, look in seen(keeps).items() if before.get(name) != look] + list(before.keys() - seen(keeps).keys())
    wrong = [f"code {code}"] if code not in codes else []
    wrong += [f"said {said[-400:]!r}"] if said.count("\n") != (code != 0) or need not in said else []
    wrong += [f"left {left}"] if left and code == 2 else []
    wrong += [f"{seconds:.1f} s, {size / 1e6:.1f} GB"] if seconds > 10 or size > 10**6 else []
    shutil.rmtree(folder)
    for suffix in (".out", ".err", ".began"):
        folder.with_suffix(suffix).unlink(missing_ok=True)
    return ", ".join(wrong) and f"ntm.{name} {words}: {', '.join(wrong)}"


def strange(trained: Path, work: Path) -> Iterator[tuple[str, str]]:
    """Files of others, and checkpoints that somebody has written himself."""
    for name, (path, taken) in foreign(trained, work).items():
        yield f"{name}, evaluated", answer("evaluate", [f"run={path}"], (0,) if "evaluate" in taken else (2,), path.parent)
        words = [f"resume={path}", f"trainer.max_steps={MORE}"]
        yield f"{name}, resumed", answer("train", words, (0,) if "train" in taken else (2,), path.parent)
    yield "no code was run", "code of a pickle was run" if (work / "ran").exists() else ""


@contextmanager
def disk(folder: Path, size: str) -> Iterator[Callable[[str], object]]:
    """A small disk of its own, and how to change it."""
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", folder], check=True)
    try:
        yield lambda options: subprocess.run(["mount", "-o", f"remount,{options}", folder], check=True)
    finally:
        subprocess.run(["umount", "-l", folder], check=True)


def disks(trained: Path, work: Path) -> Iterator[tuple[str, str]]:
    """Disks that are full at any moment: one line, code 1; with room again, the run goes on and ends as the straight one."""
    for size in [*range(4, 100, 16), *range(100, 1300, 75)]:
        place = work / "disk"
        with disk(place, f"{size}k") as change:
            wrong = answer("train", [*RUN, f"run_dir={place}/run"], (0, 1, 2), need="No space left" if size < 1000 else "")
            saved = list((place / "run").glob("*.ckpt"))
            change("size=9m")
            words = [f"resume={place}/run"] if saved else [*RUN, f"run_dir={place}/run"]
            wrong = wrong or ("" if not saved or runs.read("run", saved[0]) else "no checkpoint")
            wrong = wrong or answer("train", words, (0,)) or "; ".join(differences(trained, place / "run"))
        place.rmdir()
        yield f"a disk of {size}k", wrong


def closed(trained: Path, work: Path) -> Iterator[tuple[str, str]]:
    """Folders that cannot be written, from the start, and from some moment on."""
    place = work / "closed"
    with disk(place, "9m") as change:
        shutil.copytree(trained, place / "run")
        (place / "x.json").write_text("{}")
        change("ro")
        for words in (
            [f"resume={place}/run", f"trainer.max_steps={MORE}"],
            [*RUN, f"run_dir={place}/new"],
            [*RUN, f"run_dir={place}"],
        ):
            yield f"read-only, {words[-1]}", answer("train", words, (2,), place / "run")
        for word in (f"json={place}/x.json", f"json={place}/y.json", f"png={place}/y.png"):
            yield f"read-only, {word}", answer("evaluate", [f"run={place}/run", word], (2,), place)
        yield "read-only, evaluated", answer("evaluate", [f"run={place}/run"], (0,), place)
    for way, close, reopen in (
        ("immutable", ["chattr", "+i"], ["chattr", "-i"]),
        ("moved away", ["sh", "-c", 'mv "$0" "$0.away"'], ["sh", "-c", 'rm -rf "$0"; mv "$0.away" "$0"']),
    ):
        folder = work / way.replace(" ", "_")
        words = [*RUN[:-1], "trainer.stop_when_solved=false", "trainer.max_steps=100000", f"run_dir={folder}"]
        process = begun(words, folder)
        subprocess.run([*close, folder], check=True)
        _, said = process.communicate(timeout=60)
        subprocess.run([*reopen, folder], check=True)
        wrong = "" if process.returncode == 1 and said.count("\n") == 1 else f"code {process.returncode}, said {said[-600:]!r}"
        yield f"{way} in the middle", wrong or ("" if runs.read("run", folder / runs.LAST).updates else "no update is left")


def begun(words: list[str], folder: Path) -> subprocess.Popen[str]:
    """A command of its own that has trained for a moment."""
    command = [sys.executable, "-m", "ntm.train", *words]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, cwd=folder.parent)
    deadline = time.monotonic() + 60
    while not (folder / runs.BEST).exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    return process


def twice(trained: Path, work: Path) -> Iterator[tuple[str, str]]:
    """A run that is being trained is left alone by a second resume."""
    folder = work / "twice"
    process = begun([*RUN, "trainer.max_steps=100000", f"run_dir={folder}"], folder)
    for words in ([f"resume={folder}"], [f"resume={folder / runs.LAST}"]):
        yield f"a second {words[0]}", answer("train", words, (2,), need="another process is training")
    alive = process.poll() is None
    process.terminate()
    process.communicate()
    yield "the first goes on", "" if alive else "it has ended"


def edited(trained: Path, work: Path) -> Iterator[tuple[str, str]]:
    """A config.yaml that somebody has edited, which would change nothing."""
    for name, change in LINES.items():
        folder = work / "edited" / name.replace(" ", "_")
        shutil.copytree(trained, folder)
        path = folder / "config.yaml"
        path.write_bytes(change(path.read_text()).encode(errors="surrogateescape"))
        words = [f"resume={folder}", f"trainer.max_steps={MORE}"]
        yield f"config.yaml, {name}", answer("train", words, (2,), folder, "its config.yaml was edited")


def main() -> None:
    """All kinds of damage, and what was wrong."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--flips", type=int, default=600)
    options.add_argument("--seed", type=int, default=0)
    options.add_argument("--only", default="flips,cuts,strange,disks,closed,twice,edited")
    options.add_argument("--all", action="store_true", help="print every case")
    chosen = options.parse_args()
    torch.set_num_threads(1)
    draw, work, failed = random.Random(chosen.seed), Path(tempfile.mkdtemp(prefix="damage")), 0
    trained = work / "trained"
    told = answer("train", [*RUN, f"run_dir={trained}"], (0,))
    missing = [name for name in (runs.LAST, "last.before.ckpt", runs.BEST, "best.before.ckpt") if not (trained / name).is_file()]
    if told or missing:
        sys.exit(f"no run to damage: {told}, missing {missing}")
    kinds = {"flips": lambda: flips(trained, draw, chosen.flips), "cuts": lambda: cuts(trained, draw)}
    kinds |= {kind.__name__: (lambda kind=kind: kind(trained, work)) for kind in (strange, disks, closed, twice, edited)}
    for kind in chosen.only.split(","):
        cases = wrong = 0
        for case, fault in kinds[kind]():
            cases, wrong = cases + 1, wrong + bool(fault)
            if fault or chosen.all:
                print(f"{kind}: {case}: {fault or 'right'}", flush=True)
        print(f"{cases - wrong} of {cases} {kind} answered rightly", flush=True)
        failed += wrong
    shutil.rmtree(work)
    sys.exit(failed > 0)


if __name__ == "__main__":
    main()
