"""python tests/torture/memory.py [--updates 100000]: evaluation in the same memory at any length, training in the same for ever.

Peaks of whole processes, as the system counts them. Evaluation: a short run of copy, judged at 1,000 and at 10,000 vectors (at most
5 % apart). Training: a small machine; its memory after a tenth of the updates and at the end (at most 2 % apart), and the size of
its event files per 1,000 updates (at most 1 MB). Writes to a temporary folder; ends with 1 if anything is beyond.
"""

import argparse
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

SMALL = ["task=copy", "task.lengths=[1,3]", "task.val_lengths=[3]", "task.test_lengths=[3]", "task.probe_length=3", "task.width=3"]
SMALL += ["model.slots=12", "model.slot_width=6", "model.controller.hidden=[16]", "trainer.batch_size=4", "trainer.val_sequences=4"]
SMALL += ["trainer.val_every=1000", "trainer.save_every=1000", "trainer.log_every=100", "trainer.stop_when_solved=false"]


def peak(pid: int) -> int:
    """Megabytes that a process has held at most until now; 0 when it is over."""
    try:
        found = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    except OSError:
        return 0
    return int(found[1]) // 1000 if found else 0


def run(*words: str) -> int:
    """A command's peak."""
    process, most = subprocess.Popen([sys.executable, "-m", *words], stdout=subprocess.DEVNULL), 0
    while process.poll() is None:
        most = max(most, peak(process.pid))
        time.sleep(0.05)
    assert process.returncode == 0, words
    return most


def growth(folder: Path, updates: int) -> tuple[int, int]:
    """Peaks of a training, after a tenth of its updates and at its end."""
    words = ["ntm.train", *SMALL, f"trainer.max_steps={updates}", f"run_dir={folder}"]
    process = subprocess.Popen([sys.executable, "-m", *words], stdout=subprocess.PIPE, text=True)
    warm = most = 0
    assert process.stdout is not None
    for line in process.stdout:
        done = re.match(r"(\d+)/", line)
        if done:
            most = peak(process.pid) or most
            warm = warm or (most if int(done[1]) >= updates // 10 else 0)
    assert process.wait() == 0
    return warm, most


def main() -> None:
    """Both, and what is beyond."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--updates", type=int, default=100_000)
    options.add_argument("--sequences", type=int, default=9, help="at 1,000 vectors, where nine are run at once; one at 10,000")
    chosen = options.parse_args()
    work = Path(tempfile.mkdtemp(prefix="memory"))
    run(
        "ntm.train",
        "task=copy",
        "trainer.max_steps=2",
        "trainer.val_every=2",
        "trainer.val_sequences=2",
        f"run_dir={work / 'copy'}",
    )
    sizes = {}
    for length, sequences in ((250, 32), (1_000, chosen.sequences), (2_000, 8), (10_000, 1)):
        sizes[length] = run("ntm.evaluate", f"run={work / 'copy'}", f"lengths=[{length}]", f"sequences={sequences}")
        print(f"evaluation of {sequences} sequences of {length} vectors: {sizes[length]} MB", flush=True)
    drawn = run("ntm.evaluate", f"run={work / 'copy'}", "lengths=[2000]", "sequences=1", f"png={work / 'trace.png'}")
    print(f"the same with a picture of 2000 vectors: {drawn} MB", flush=True)
    warm, end = growth(work / "small", chosen.updates)
    events = sum(path.stat().st_size for path in (work / "small").glob("events*"))
    print(f"training: {warm} MB after a tenth of {chosen.updates} updates, {end} MB at the end; events {events / 1e6:.1f} MB")
    beyond = [sizes[10_000] > 1.05 * sizes[1_000], end > 1.02 * warm, events > 1e6 * chosen.updates / 1000]
    print(
        "beyond: " + ", ".join(["evaluation", "training", "events"][n] for n in range(3) if beyond[n])
        if any(beyond)
        else "all within"
    )
    sys.exit(any(beyond))


if __name__ == "__main__":
    main()
