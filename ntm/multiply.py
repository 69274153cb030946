"""python -m ntm.multiply run=<run> a=<decimal> b=<decimal>: the product that a learned machine computes, of any size."""

from ntm import ends

if __name__ == "__main__":
    ends.leave_at_once("multiply")  # the imports below take seconds

import time
from typing import Any

import torch
from rich.console import Console

from ntm import runs, sizes
from ntm.command import command
from ntm.errors import UserError
from ntm.evaluate import tell_damaged
from tasks import BinaryMul
from tasks.binary_add import number

MOST = 4_000
"""Digits of an operand: Python reads no more than 4,300 by itself."""


def factor(key: str, value: Any) -> int:
    """An operand; raises UserError."""
    text = str(value)
    if not (text.isascii() and text.isdecimal()) or len(text) > MOST:
        raise UserError(f"{key}={text}: allowed: decimal digits, at most {MOST:,}")
    return int(text)


@command("multiply")
def main(values: dict[str, Any], overrides: list[str]) -> None:
    """Check every key, then let the machine multiply, each of its decisions looked up."""
    a, b = factor("a", values["a"]), factor("b", values["b"])
    loaded = runs.read("run", runs.find("run", str(values["run"]), prefer=runs.BEST))
    task = loaded.config.task
    if not isinstance(task, BinaryMul):
        raise UserError(f"run={values['run']}: a run of another task; allowed: runs of task=binary_mul")
    length = max(a.bit_length(), b.bit_length(), 1)
    sizes.check_run(loaded.model, task, f"a={values['a']}, b={values['b']}", 1, length, None)
    model, batch = loaded.model.discrete(), task.posed([(a, b)], length, "test")
    console, begun = Console(), time.perf_counter()
    tell_damaged(console, loaded)
    with console.status(f"{int(batch.ticks[0]):,} ticks"), torch.inference_mode():
        logits = model(batch.inputs, batch.ticks, room=model.room_for(task.room(length))).logits
    seconds = time.perf_counter() - begun
    product = number(task.answer(logits)[batch.mask > 0][:, 0])
    console.print(f"{a} x {b} = {product}", highlight=False, soft_wrap=True)
    verdict = "right" if product == a * b else f"wrong: it is {a * b}"
    console.print(f"{verdict}; {length:,} bits, {int(batch.ticks[0]):,} ticks, {seconds:.1f} s", highlight=False, soft_wrap=True)


if __name__ == "__main__":
    main()
    ends.too_late()
