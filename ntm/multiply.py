"""python -m ntm.multiply run=<run> a=<decimal> b=<decimal> [clock=<run>] [png=slide.png]: what a learned machine multiplies, of any
size; given its flags by the environment, or by a clock that was learned, too.
"""

from ntm import ends

if __name__ == "__main__":
    ends.leave_at_once("multiply")  # the imports below take seconds

import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, TextColumn, TimeRemainingColumn
from rich.progress import Task as Line
from rich.text import Text
from torch import Tensor

from ntm import runs
from ntm.command import command
from ntm.config import Config
from ntm.errors import UserError
from ntm.evaluate import tell_damaged
from ntm.models import Model
from ntm.models.recurrent import Recurrent
from ntm.views.lines import tell
from ntm.views.render import as_png
from ntm.views.slide import slide
from ntm.views.sweeps import drawable, sheet_of
from tasks import BinaryMul, Clock
from tasks.binary_add import number

MOST = 4_000
"""Digits of an operand: Python reads no more than 4,300 by itself."""

PIECE = 1 << 16
"""Ticks that are run before the bar moves; their inputs are all that is held of them."""

DRAWN = 12
"""Bits of the operands of a picture."""

SHOWN = {"product": "products", "running_product": "products bit by bit, with running sums", "echo": "echoes of a number"}
"""What the loss has seen, by the task's `supervision`."""


def factor(key: str, value: Any) -> int:
    """An operand; raises UserError."""
    if value is None:
        raise UserError(f"{key}: must be given; allowed: decimal digits, at most {MOST:,}")
    text = str(value)
    if not (text.isascii() and text.isdecimal()) or len(text) > MOST:
        raise UserError(f"{key}={text}: allowed: decimal digits, at most {MOST:,}")
    return int(text)


class ClockError(Exception):
    """What a clock says wrongly, in words: a multiplier can do nothing with it."""


@command("multiply")
def main(values: dict[str, Any], overrides: list[str]) -> None:
    """Check every key, then let the machine multiply, each of its decisions looked up."""
    a, b = factor("a", values["a"]), factor("b", values["b"])
    length = max(a.bit_length(), b.bit_length(), 1)
    png = None if values["png"] is None else to_draw(values["png"], length)
    loaded = runs.read("run", runs.find("run", str(values["run"]), prefer=runs.BEST))
    task = loaded.config.task
    if not isinstance(task, BinaryMul):
        raise UserError(f"run={values['run']}: a run of another task; allowed: runs of task=binary_mul")
    clock = None if values["clock"] is None else clock_of(values["clock"], task)
    if png is not None and (task.protocol != "clocked" or not drawable(loaded.model)):
        what = "it did not end rounded, or has not one tape head that start flags send back"
        raise UserError(f"png={png}: run={values['run']} cannot be drawn: {what}; allowed: null")
    torch.set_num_threads(loaded.config.trainer.threads)
    console, begun = Console(), time.perf_counter()
    tell_damaged(console, loaded)
    try:
        product = multiplied(loaded.model.discrete(), task, a, b, length, console, clock)
    except ClockError as error:
        tell(console, str(error))
        sys.exit(1)
    seconds, ticks = time.perf_counter() - begun, task.ticks(length)
    tell(console, f"{decimal(a)} x {decimal(b)} = {decimal(product)}")
    verdict = "right" if product == a * b else f"wrong: it is {decimal(a * b)}"
    tell(console, f"{verdict}; {length:,} bits, {ticks:,} ticks, {seconds:.1f} s")
    if png is not None:
        assert isinstance(loaded.model, Recurrent)
        weights = sum(parameter.numel() for parameter in loaded.model.parameters())
        runs.put("png", png, as_png(slide(sheet_of(loaded.model, task, a, b, length), weights, taught(loaded.config))))


def to_draw(value: Any, length: int) -> Path:
    """The file of a picture of operands of so many bits; raises UserError."""
    if length > DRAWN:
        raise UserError(f"png={value}: a and b have up to {length:,} bits; allowed: at most {DRAWN} in a picture")
    return runs.writable("png", value)


def taught(config: Config) -> str:
    """What a run was shown, in the order of its stages."""
    lessons = [task for stage in range(config.curriculum.all_stages) if isinstance(task := config.lesson(stage), BinaryMul)]
    kinds = ", then ".join(SHOWN[claim] for claim in dict.fromkeys(lesson.claim for lesson in lessons))
    return f"{kinds}, of at most {max(lesson.lengths[1] for lesson in lessons)} bits"


def clock_of(key: Any, task: BinaryMul) -> Model:
    """The clock of a run; raises UserError where it is none, or the multiplier asks for none."""
    loaded = runs.read("clock", runs.find("clock", str(key), prefer=runs.BEST))
    if not isinstance(loaded.config.task, Clock):
        raise UserError(f"clock={key}: a run of another task; allowed: runs of task=clock")
    if task.protocol != "clocked":
        raise UserError(f"clock={key}: the multiplier of run= has learned to do without; allowed: null")
    return loaded.model.discrete()


def multiplied(model: Model, task: BinaryMul, a: int, b: int, length: int, console: Console, clock: Model | None = None) -> int:
    """What the model makes of a times b: piece by piece, of which only what is due is kept; a bar moves on a terminal."""
    state, product = None, []
    columns = (BarColumn(), TextColumn("{task.completed:,}/{task.total:,} ticks"), Speed(), TimeRemainingColumn(compact=True))
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar, torch.inference_mode():
        line = bar.add_task("multiplying", total=task.ticks(length))
        said = None if clock is None else ticking(clock, Clock(sweeps=task.sweeps), a, b, length)
        for piece in task.in_pieces(a, b, length, PIECE):
            inputs = piece.inputs if said is None else next(said)
            room = model.room_for(task.room(length)) if state is None else None
            output = model(inputs, piece.ticks, room=room, state=state)
            state = output.state
            product.append(task.answer(output.logits)[piece.mask > 0][:, 0])
            bar.advance(line, piece.inputs.shape[1])
    return number(torch.cat(product))


def ticking(clock: Model, task: Clock, a: int, b: int, length: int) -> Iterator[Tensor]:
    """What a clock says, piece by piece, fed with the flags that it has said; raises ClockError where it says what is not due.

    It is given a whole piece with the flags that are due. As long as it says just those, that is what it is fed with on its own.
    """
    state, passed = None, 0
    for piece in task.in_pieces(a, b, length, PIECE):
        room = clock.room_for(task.room(length)) if state is None else None
        output = clock(piece.inputs, piece.ticks, room=room, state=state)
        state, said = output.state, task.answer(output.logits)
        wrong = said.ne(piece.targets).any(-1)[0].nonzero()
        if len(wrong):
            tick = int(wrong[0])
            says, due = (" ".join(str(int(bit)) for bit in of[0, tick]) for of in (said, piece.targets))
            raise ClockError(f"the clock is wrong on tick {passed + tick:,}: it says {says}, and {due} is due (data, load, start)")
        passed += piece.inputs.shape[1]
        yield said


class Speed(ProgressColumn):
    """Ticks a second."""

    def render(self, task: Line) -> Text:
        """As a text."""
        return Text(f"{task.speed or 0:,.0f}/s")


def decimal(value: int) -> str:
    """A number's digits; Python refuses to write more than 4,300 at once."""
    high, low = divmod(value, 10**MOST)
    return f"{high}{low:0{MOST}}" if high else str(low)


if __name__ == "__main__":
    main()
    ends.too_late()
