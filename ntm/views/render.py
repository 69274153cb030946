"""Pictures of what a model does, as uint8 images: the task's rows, then whatever Signals the model recorded.

Time runs to the right in every panel, so panels align vertically. Drawn with numpy and Pillow, which TensorBoard needs anyway;
a cell of a heatmap is one value, enlarged by nearest. Letters: T ticks, O outputs.
"""

import io
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from ntm.models import Output, Signal
from tasks import Batch, Task

# Every 32nd colour of viridis (van der Walt & Smith 2015, CC0); those between are interpolated.
ANCHORS = [0x440154, 0x472D7B, 0x3B528B, 0x2C728E, 0x21918C, 0x27AD81, 0x5CC863, 0xAADC32, 0xFDE725]
COLOURS = np.stack(
    [np.interp(np.linspace(0, 8, 256), range(9), [a >> bits & 255 for a in ANCHORS]) for bits in (16, 8, 0)], axis=1
).astype(np.uint8)
PAPER, INK, PHASE = (255, 255, 255), (40, 40, 40), (235, 60, 60)
LEFT, RIGHT, TITLE, AXIS, GAP = 64, 16, 18, 34, 8  # pixels
FONT = ImageFont.load_default(12)
WIDEST, MOST_TICKS, MOST_ROWS = 1000, 2000, 128


class Panel(NamedTuple):
    """One heatmap: rows from top to bottom, ticks or columns from left to right."""

    title: str
    rows: str  # what a row is
    values: np.ndarray  # [rows T]
    low: float = 0.0  # value of the darkest colour
    high: float = 1.0  # value of the brightest


def panel(title: str, rows: str, values: Tensor, bounds: tuple[float, float] | None = None) -> Panel:
    """A panel of values [rows T]; without `bounds` the colours span the values and the title tells their range."""
    array = values.detach().float().cpu().numpy()[:MOST_ROWS, :MOST_TICKS]
    if bounds is not None:
        return Panel(title, rows, array, *bounds)
    low, high = (float(array.min()), float(array.max())) if array.size else (0.0, 0.0)
    return Panel(f"{title}  (dark {low:.2g}, bright {high:.2g})", rows, array, low, high)


def draw(panels: list[Panel], columns: str = "tick", phase: int | None = None) -> Image.Image:
    """Panels under one another with titles and axes; a red line before column `phase`, where the answer begins."""
    width = max(p.values.shape[1] for p in panels)
    across = max(1, min(14, WIDEST // max(1, width)))
    heights = [p.values.shape[0] * down(p) for p in panels]
    image = Image.new("RGB", (LEFT + max(width * across, 380) + RIGHT, sum(heights) + (TITLE + GAP) * len(panels) + AXIS), PAPER)
    pen = ImageDraw.Draw(image)
    top = 0
    for p, height in zip(panels, heights):
        pen.text((LEFT, top + 2), p.title, INK, FONT)
        top += TITLE
        image.paste(heat(p, across, down(p)), (LEFT, top))
        if phase is not None and 0 < phase < p.values.shape[1]:
            pen.line([(LEFT + phase * across, top), (LEFT + phase * across, top + height - 1)], PHASE)
        pen.text((4, top - 2), p.rows, INK, FONT)
        count = p.values.shape[0]
        if count > 1 and height >= 26:
            pen.text((LEFT - 6, top + height - 12), str(count - 1), INK, FONT, anchor="ra")
            pen.text((LEFT - 6, top - 2), "0", INK, FONT, anchor="ra")
        top += height + GAP
    axis(pen, top - GAP, width, across, columns)
    return image


def axis(pen: ImageDraw.ImageDraw, top: int, width: int, across: int, name: str) -> None:
    """Numbered marks along the bottom, about every 50 pixels, and the name of what is counted."""
    every = next(n for n in (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000) if n * across >= 40 or n == 1000)
    for column in range(0, width, every):
        x = LEFT + column * across + across // 2
        pen.line([(x, top), (x, top + 3)], INK)
        pen.text((x, top + 4), str(column), INK, FONT, anchor="ma")
    pen.text((4, top + 4), name, INK, FONT)


def down(p: Panel) -> int:
    """Pixels per row: fewer where there are many."""
    count = p.values.shape[0]
    return 14 if count <= 4 else 8 if count <= 24 else 5 if count <= 48 else 3


def heat(p: Panel, across: int, down: int) -> Image.Image:
    """The heatmap alone; what is not a number is drawn in red."""
    with np.errstate(all="ignore"):  # infinities between infinities
        spread = (p.values - p.low) / ((p.high - p.low) or 1.0)
    colours = COLOURS[(np.nan_to_num(spread).clip(0, 1) * 255).astype(np.uint8)]
    colours[~np.isfinite(p.values)] = PHASE
    return Image.fromarray(colours.repeat(down, axis=0).repeat(across, axis=1))


def task_panels(task: Task, batch: Batch, logits: Tensor) -> list[Panel]:
    """Inputs, targets, outputs and error of the first sequence; outputs are drawn where an answer is due."""
    mask = batch.mask[0].unsqueeze(0)
    outputs, targets = (part[0].T * mask for part in (task.soft(logits), batch.targets))
    asked = around_unit(batch.targets)
    return [
        panel("inputs", "channel", batch.inputs[0].T, around_unit(batch.inputs)),
        panel("targets", "output", targets, asked),
        panel(f"outputs ({task.softly})", "output", outputs, asked),
        panel("error |output - target|", "output", (outputs - targets).abs(), (0.0, asked[1] - asked[0])),
    ]


def around_unit(values: Tensor) -> tuple[float, float]:
    """Bounds that hold 0, 1 and all values: real numbers beyond bits have their colours, too."""
    return min(0.0, float(values.min())), max(1.0, float(values.max()))


def signal_panel(signal: Signal) -> Panel:
    """A signal of the first sequence over time."""
    return panel(signal.name, signal.rows, signal.values[0].T, signal.bounds)


def pictures(task: Task, batch: Batch, output: Output) -> dict[str, Image.Image]:
    """Every picture of the first sequence of a recorded run, by the name it has in TensorBoard.

    `trace` has everything over time; a table is drawn as it stands after the input and at the end.
    """
    phase = int(batch.mask[0].argmax())
    timed = {"inputs_targets_outputs_error": task_panels(task, batch, output.logits)}
    tables = [signal for signal in output.signals if signal.columns is not None]
    for signal in output.signals:
        if signal.columns is None:
            timed.setdefault(signal.picture, []).append(signal_panel(signal))
    drawn = {"trace": draw([panel for panels in timed.values() for panel in panels], phase=phase)}
    drawn |= {name: draw(panels, phase=phase) for name, panels in timed.items()}
    for table in tables:
        for when, tick in (("after input", batch.input_end), ("at end", batch.inputs.shape[1] - 1)):
            name = f"{table.picture} {when}"
            rows = panel(name, table.columns or "", table.at(tick).T)
            drawn[name.replace(" ", "_")] = draw([rows], columns=table.rows)
    return drawn


def as_png(image: Image.Image, effort: int = 6) -> bytes:
    """An image as the bytes of a PNG file; with less effort, 1 to 9, it is a little longer and sooner there."""
    written = io.BytesIO()
    image.save(written, format="PNG", compress_level=effort)
    return written.getvalue()
