"""python tests/torture/rates.py [--rates 10 100] [--sequences 1000000]: copy far too fast; what is not a number is never saved.

For each rate, a multiple of the shipped one: a run with shipped settings that nothing ends early, over so many sequences. Every
checkpoint on the disk is looked through while it trains and afterwards: weights and moments finite, no second moment below zero.
A run that ends itself, with code 1 and one line, has kept its promise too. Says what was skipped and why; ends with 1 if a
number was saved that is none, or a run ended otherwise. Writes to a temporary folder.
"""

import argparse
import math
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from ntm import files
from ntm.command import defaults

EVERY = 2.0
"""Seconds between two looks at what is on the disk."""


def wrong(path: Path) -> str | None:
    """What is wrong with a checkpoint on the disk; None: nothing, or it is not there (yet)."""
    try:
        checkpoint = files.load(path)  # refuses what is not finite
    except files.DamagedError as error:
        return f"{path.name}: {error}" if path.exists() else None
    except FileNotFoundError:  # just being replaced
        return None
    states = checkpoint["optimizer_states"][0]["state"].values()
    return f"{path.name}: a second moment below zero" if any((state["exp_avg_sq"] < 0).any() for state in states) else None


def watched(process: subprocess.Popen[str], folder: Path) -> tuple[int, list[str]]:
    """Look at every new checkpoint until a run is over: how many were looked at, and what was wrong."""
    seen: dict[Path, int] = {}
    looks, found = 0, []
    while True:
        over = process.poll() is not None
        for path in sorted(folder.glob("*.ckpt")):
            try:
                written = path.stat().st_mtime_ns
            except FileNotFoundError:
                continue
            if seen.get(path) != written:
                seen[path], looks = written, looks + 1
                found += [told for told in [wrong(path)] if told is not None]
        if over:
            return looks, found
        time.sleep(EVERY)


def offenders(folder: Path) -> Counter[str]:
    """What TensorBoard names as the cause of skipped updates, and how often."""
    events = EventAccumulator(str(folder), size_guidance={"tensors": 0}).Reload()
    tag = "grad/first_offender/text_summary"
    texts = events.Tensors(tag) if tag in events.Tags()["tensors"] else []
    return Counter(text.tensor_proto.string_val[0].decode() for text in texts)


def run(multiple: float, sequences: int, work: Path) -> bool:
    """One run at a multiple of the shipped rate; returns whether nothing was wrong, and says what happened."""
    shipped: dict[str, Any] = defaults("train", ["task=copy"])
    rate = multiple * shipped["optimizer"]["lr"]
    steps = math.ceil(sequences / shipped["trainer"]["batch_size"])
    folder, start = work / f"times{multiple:g}", time.monotonic()
    words = ["task=copy", f"optimizer.lr={rate:g}", f"trainer.max_steps={steps}", "trainer.stop_when_solved=false"]
    command = [sys.executable, "-m", "ntm.train", *words, f"run_dir={folder}"]
    with (work / f"times{multiple:g}.out").open("w") as out:
        process = subprocess.Popen(command, stdout=out, stderr=subprocess.PIPE, text=True)
        looks, found = watched(process, folder)
        _, told = process.communicate()
    if process.returncode not in (0, 1) or (told.count("\n"), process.returncode) not in ((0, 0), (1, 1)):
        found.append(f"code {process.returncode}, said {told!r}")
    last = files.load(folder / "last.ckpt")["ntm"]
    done, skips = last["updates"], last["skips"]
    end = f"{time.monotonic() - start:.0f} s; {told.strip() or 'to its end'}"
    print(f"lr {rate:g} ({multiple:g} times): {done:,} of {steps:,} updates, {end}")
    print(f"  {skips['total']} skipped: {dict(offenders(folder)) or 'none'}; best selection score {last['best']}")
    print(f"  {looks} checkpoints looked at: {'; '.join(found) or 'all finite'}", flush=True)
    return not found


def main() -> None:
    """One run after the other."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--rates", type=float, nargs="+", default=[10.0, 100.0])
    options.add_argument("--sequences", type=int, default=1_000_000)
    chosen = options.parse_args()
    work = Path(tempfile.mkdtemp(prefix="rates"))
    print(f"runs in {work}", flush=True)
    right = [run(multiple, chosen.sequences, work) for multiple in chosen.rates]
    sys.exit(not all(right))


if __name__ == "__main__":
    main()
