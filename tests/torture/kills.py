"""python tests/torture/kills.py [--kills 50] [--signal KILL]: kill shipped runs at random moments; resumed, they end as if unhurt.

For each kill: a run, the signal after a random share of the time that a straight run takes, then `resume`. Compared with the
straight run: weights, moments, counters and score in last.ckpt and best.ckpt, and every scalar in TensorBoard's events. INT and
TERM must also leave within 5 s, with 130 or 143 and one line. Writes to a temporary folder; ends with 1 if anything differs.
"""

import argparse
import random
import signal
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

RUNS = [  # shipped settings, cut after some validations; binary_add goes to its end, the decay of its rate included
    ["task=binary_add"],
    ["task=copy", "trainer.max_steps=250"],
    ["task=binary_mul", "trainer.max_steps=115"],
    ["task=copy", "model=gru", "trainer.max_steps=250", "trainer.val_every=100"],
]
TRAIN = [sys.executable, "-m", "ntm.train"]


def tensors(value: Any, name: str = "") -> dict[str, torch.Tensor]:
    """Every tensor in nested dicts and lists, by its place."""
    if isinstance(value, torch.Tensor):
        return {name: value}
    inside = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return {place: tensor for key, part in inside for place, tensor in tensors(part, f"{name}/{key}").items()}


def scalars(folder: Path) -> dict[str, list[tuple[int, float]]]:
    """Every scalar that TensorBoard shows, as (update, value)."""
    events = EventAccumulator(str(folder), size_guidance={"scalars": 0}).Reload()
    return {tag: [(event.step, event.value) for event in events.Scalars(tag)] for tag in events.Tags()["scalars"]}


def differences(straight: Path, killed: Path) -> list[str]:
    """What is not equal, bit by bit, between two runs."""
    found = []
    for name in ("last.ckpt", "best.ckpt"):
        if not (straight / name).exists() and not (killed / name).exists():
            continue  # a run that was never validated has no best
        one, other = (torch.load(folder / name, weights_only=True) for folder in (straight, killed))
        for part in ("state_dict", "optimizer_states"):
            left, right = tensors(one[part]), tensors(other[part])
            if left.keys() != right.keys() or not all(torch.equal(left[place], right[place]) for place in left):
                found.append(f"{name} {part}")
        found += [f"{name} {key}" for key in one["ntm"] if one["ntm"][key] != other["ntm"].get(key)]
    before, after = scalars(straight), scalars(killed)
    return found + [f"scalar {tag}" for tag in before.keys() | after.keys() if before.get(tag) != after.get(tag)]


def straight(words: list[str], folder: Path) -> float:
    """A run that nobody disturbs, and its seconds."""
    start = time.monotonic()
    subprocess.run([*TRAIN, *words, f"run_dir={folder}"], check=True, capture_output=True)
    return time.monotonic() - start


def kill(words: list[str], folder: Path, straight: Path, after: float, number: int) -> list[str]:
    """Disturb a run after some seconds, resume it, and tell what went wrong on the way.

    One that is asked when everything is done, and only its interpreter still there, ends with 0 and all that the straight run has.
    """
    process = subprocess.Popen([*TRAIN, *words, f"run_dir={folder}"], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    time.sleep(after)
    asked = time.monotonic()
    ended_before = process.poll() is not None
    process.send_signal(number)
    _, told = process.communicate()
    wrong, took = [], time.monotonic() - asked
    if not ended_before and number != signal.SIGKILL:
        if took > 5:
            wrong.append(f"left after {took:.1f} s")
        done_already = process.returncode == 0 and not told and not differences(straight, folder)
        if not done_already and (process.returncode != 128 + number or told.count("\n") != 1):
            wrong.append(f"code {process.returncode}, said {told!r}")
    words = [f"resume={folder}"] if list(folder.glob("last*.ckpt")) else [*words, f"run_dir={folder}"]
    done = subprocess.run([*TRAIN, *words], capture_output=True, text=True, check=False)
    if done.returncode != 0 or done.stderr:
        wrong.append(f"resumed: code {done.returncode}, said {done.stderr!r}")
    return wrong


def main() -> None:
    """Straight runs, then the kills, as many at once as --at-once says."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--kills", type=int, default=50)
    options.add_argument("--signal", choices=["KILL", "INT", "TERM"], default="KILL")
    options.add_argument("--seed", type=int, default=0)
    options.add_argument("--at-once", type=int, default=2)
    chosen = options.parse_args()
    number = signal.Signals[f"SIG{chosen.signal}"]
    draw = random.Random(chosen.seed)
    work = Path(tempfile.mkdtemp(prefix="kills"))
    print(f"runs in {work}", flush=True)
    seconds = [straight(words, work / f"straight{n}") for n, words in enumerate(RUNS)]
    print("straight runs:", ", ".join(f"{' '.join(words)} {s:.0f} s" for words, s in zip(RUNS, seconds)), flush=True)

    def one(index: int, after: float) -> bool:
        kind = index % len(RUNS)
        folder = work / f"killed{index}"
        wrong = kill(RUNS[kind], folder, work / f"straight{kind}", after, number) or differences(work / f"straight{kind}", folder)
        print(f"{index} {' '.join(RUNS[kind])}, {chosen.signal} after {after:.1f} s: {'; '.join(wrong) or 'equal'}", flush=True)
        return not wrong

    with ThreadPoolExecutor(chosen.at_once) as pool:
        moments = [draw.uniform(0, seconds[n % len(RUNS)]) for n in range(chosen.kills)]
        equal = sum(pool.map(one, range(chosen.kills), moments))
    print(f"{equal} of {chosen.kills} equal")
    sys.exit(equal != chosen.kills)


if __name__ == "__main__":
    main()
