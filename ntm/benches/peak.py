"""python -m ntm.benches.peak <ticks>: bytes that a training step of so many ticks takes at its peak. One process, one point."""

import re
import resource
import sys
from pathlib import Path

import torch

from ntm.benches import growth, ours


def peak() -> int:
    """The most bytes that this process has had; on Linux its own, for getrusage begins there with its parent's."""
    status = Path("/proc/self/status")
    own = re.search(r"VmHWM:\s+(\d+) kB", status.read_text()) if status.exists() else None
    return 1024 * int(own[1]) if own else resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def main(ticks: int) -> None:
    """Print what a step takes beyond what a small one took."""
    torch.set_num_threads(1)
    config = ours.config_of(*growth.words_of(growth.BASE))
    small, large = (ours.noise(config, growth.BASE["B"], length) for length in (2, ticks))
    ours.step_of(config, small).take()
    before = peak()
    ours.step_of(config, large).take()
    print(peak() - before)


if __name__ == "__main__":
    main(int(sys.argv[1]))
