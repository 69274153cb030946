"""The space-time diagram of a run: cells to the right, steps downwards, a colour for each symbol, heads in red."""

import numpy as np
from PIL import Image, ImageDraw

from ntm.models.turing.decisions import Decisions
from ntm.models.turing.run import Final, Snapshot, run_discrete
from ntm.views.render import COLOURS, FONT, INK, PAPER, PHASE
from tasks.turing import Word

ROWS, COLUMNS = 600, 1000
"""The most steps and cells that are drawn; of longer runs every k-th step, of wider tapes k cells in one column."""
LEFT, TOP, BOTTOM, GAP, LABEL = 90, 24, 8, 24, 150  # pixels


def space_time(decisions: Decisions, word: Word, final: Final) -> Image.Image:
    """Run again to where `final` stands, and draw it, one tape beside the other."""
    table, every = decisions.table, max(1, -(-final.steps // (ROWS - 1)))
    moments: list[tuple[list[dict[int, str]], list[int]]] = []

    def keep(snapshot: Snapshot) -> None:
        moments.append(([dict(tape) for tape in snapshot.tapes], list(snapshot.heads)))

    run_discrete(decisions, word, final.steps, keep, every)
    tapes = [draw_tape([(tapes[n], heads[n]) for tapes, heads in moments], table.symbols, table.blank) for n in range(table.tapes)]
    down = max(1, min(12, ROWS // len(moments)))
    width = sum(max(image.shape[1], LABEL) + GAP for image, _ in tapes)
    picture = Image.new("RGB", (LEFT + width, TOP + down * len(moments) + BOTTOM), PAPER)
    pen = ImageDraw.Draw(picture)
    left = LEFT
    for number, (image, low) in enumerate(tapes):
        picture.paste(Image.fromarray(image.repeat(down, axis=0)), (left, TOP))
        name = "cells" if table.tapes == 1 else f"tape {number + 1}, cells"
        pen.text((left, 4), f"{name} from {low}", INK, FONT)
        left += max(image.shape[1], LABEL) + GAP
    pen.text((4, TOP - 2), "step 0", INK, FONT)
    if len(moments) * down >= 36:
        pen.text((4, TOP + (len(moments) - 1) * down - 8), f"{every * (len(moments) - 1):,}", INK, FONT)
    return picture


def draw_tape(moments: list[tuple[dict[int, str], int]], symbols: tuple[str, ...], blank: str) -> tuple[np.ndarray, int]:
    """One row of colours [rows columns 3] for each moment of a tape, and the cell at the left edge."""
    cells = [cell for tape, head in moments for cell in (*(c for c, symbol in tape.items() if symbol != blank), head)]
    low, high = min(cells) - 1, max(cells) + 2
    share = -(-(high - low) // COLUMNS)  # cells in a column
    # The blank is the darkest, so that what was written stands out, also where many cells share a column.
    order = {symbol: rank for rank, symbol in enumerate((blank, *(symbol for symbol in symbols if symbol != blank)))}
    shades = np.zeros((len(moments), -(-(high - low) // share)), dtype=int)
    for row, (tape, _) in enumerate(moments):
        for cell, symbol in tape.items():
            if low <= cell < high:
                column = (cell - low) // share
                shades[row, column] = max(shades[row, column], order[symbol])
    colours = COLOURS[shades * 255 // max(1, len(symbols) - 1)]
    colours[np.arange(len(moments)), [(head - low) // share for _, head in moments]] = PHASE
    across = max(1, min(12, COLUMNS // 2 // colours.shape[1]))
    return colours.repeat(across, axis=1), low
