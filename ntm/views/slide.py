"""One picture of a multiplication for a lecture: a row a sweep, a column a slot, what each slot stands for, the product growing."""

from functools import cache
from typing import NamedTuple

from PIL import Image, ImageDraw, ImageFont

from ntm.views.render import INK, PAPER
from ntm.views.sheet import Row, Sheet, equation

# Okabe & Ito's blue and orange, which everybody can tell apart, lighter where digits stand on them.
BLUE, ORANGE, WRONG = (0, 114, 178), (246, 190, 84), (190, 20, 20)
GREY, RULE, PALE_BLUE, PALE = (110, 110, 110), (205, 205, 205), (232, 242, 250), (246, 246, 246)

# Pixels.
WIDTH, HEIGHT, MARGIN = 1600, 900, 48  # more where many bits need it
TOP, HEAD, FOOT, LABEL, GAP = 178, 128, 92, 172, 30
ROW, CELL = (56, 70), (50, 96)  # between these
TITLE, SUBTITLE, TEXT, SMALL, TINY = 48, 32, 28, 22, 17  # of letters


@cache
def font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    """Pillow's own font."""
    return ImageFont.load_default(size)


class Places(NamedTuple):
    """Where things stand, in pixels."""

    width: int
    height: int
    row: int  # a row's height
    cell: int  # a slot's width
    slots: int  # the left edge of the first
    end: int  # the right edge of the last
    total: int  # the right edge of the running sum
    product: int  # the right edge of the product
    bit: int  # a product bit's width


def places_of(sheet: Sheet) -> Places:
    """A place for everything: slots are as wide as the rest leaves."""
    sweeps = len(sheet.rows) - 1
    row = max(ROW[0], min(ROW[1], (HEIGHT - TOP - HEAD - FOOT) // (sweeps + 1)))
    bit = 30 if sweeps <= 12 else 17
    checks = [font(SMALL).getlength("= ".join(equation(sheet, j)[:2])) for j in range(sweeps)] if sheet.weights else []
    total = (16 * len(sheet.bits) + 90 if sheet.bits else 0) + (GAP + 70 if sheet.weights else 0)
    right = total + round(max(checks, default=0)) + 3 * GAP + max(bit * sweeps, 150)
    room = WIDTH - 2 * MARGIN - LABEL - right
    cell = max(CELL[0], min(CELL[1], room // sheet.columns))
    slots = MARGIN + LABEL + max(0, room - cell * sheet.columns) // 2
    end = slots + cell * sheet.columns
    width = max(WIDTH, end + right + MARGIN)
    return Places(width, TOP + HEAD + row * (sweeps + 1) + FOOT, row, cell, slots, end, end + total, width - MARGIN, bit)


def slide(sheet: Sheet, weights: int, taught: str) -> Image.Image:
    """The picture of a sheet, by a network of so many weights that was taught so."""
    at = places_of(sheet)
    image = Image.new("RGB", (at.width, at.height), PAPER)
    pen = ImageDraw.Draw(image)
    told = f"{sheet.a} x {sheet.b} = {sheet.product}" + ("" if sheet.right else " (wrong)")
    write(pen, MARGIN, 56, told, INK if sheet.right else WRONG, TITLE, bold=True)
    write(pen, MARGIN + font(TITLE).getlength(told) + 4, 56, f", by a network of {weights:,} weights", INK, TITLE)
    write(pen, MARGIN, 112, f"that was only ever shown {taught}", GREY, SUBTITLE)
    header(pen, sheet, at)
    for number, row in enumerate(sheet.rows):
        draw_row(pen, sheet, at, number, row)
    legend(pen, sheet, at)
    return image


def write(
    pen: ImageDraw.ImageDraw, x: float, y: float, text: str, colour: tuple, size: int, anchor: str = "l", bold: bool = False
) -> None:
    """A text that is left, right or in the middle of x, and in the middle of y."""
    pen.text((x, y), text, colour, font(size), anchor=f"{anchor}m", stroke_width=int(bold))


def header(pen: ImageDraw.ImageDraw, sheet: Sheet, at: Places) -> None:
    """What columns are: slots, the bits of a that they were given, what their digits count."""
    walk, numbers, given, counts = TOP - 14, TOP + 22, TOP + 60, TOP + 98
    labels = [(walk, "the head walks"), (numbers, "slot"), (given, f"a = {sheet.a}"), (counts, "a digit counts")]
    for y, label in labels if sheet.weights else labels[:-1]:
        write(pen, at.slots - 16, y, label, INK if y == given else GREY, SMALL, "r")
    pen.line([(at.slots + 6, walk), (at.end - 8, walk)], GREY, 2)
    pen.polygon([(at.end - 4, walk), (at.end - 16, walk - 6), (at.end - 16, walk + 6)], GREY)
    for column in range(sheet.columns):
        middle, slot = at.slots + column * at.cell + at.cell // 2, column + sheet.first
        write(pen, middle, numbers, str(slot), GREY, SMALL, "m")
        if (bit := sheet.given(column)) is not None:
            pen.rounded_rectangle((middle - 17, given - 17, middle + 17, given + 17), 6, BLUE if bit else PAPER, BLUE, 2)
            write(pen, middle, given, str(bit), PAPER if bit else BLUE, SMALL + 2, "m")
        if sheet.weights and sheet.weights[column]:
            write(pen, middle, counts, str(sheet.weights[column]), GREY, SMALL if at.cell > 70 else TINY, "m")
    write(pen, at.end + 12, given, "lowest bit first", GREY, SMALL)
    if sheet.bits:
        write(pen, at.end + GAP, counts, "register", GREY, SMALL)
    if sheet.weights:
        write(pen, at.total, counts, "sum", INK, SMALL, "r")
        write(pen, at.total + GAP, counts, "S + b\u00b7a = p + 2\u00b7S'", GREY, SMALL)
    write(pen, at.product, counts, "product so far", INK, SMALL, "r")


def draw_row(pen: ImageDraw.ImageDraw, sheet: Sheet, at: Places, number: int, row: Row) -> None:
    """What was held, what stands on the tape then, and what came out."""
    top, middle = TOP + HEAD + number * at.row, TOP + HEAD + number * at.row + at.row // 2
    pen.line([(MARGIN, top), (at.product, top)], RULE, 1)
    if not number:
        write(pen, MARGIN, middle, "load a", INK, TEXT)
    else:
        colour, index = INK if row.held else GREY, str(number - 1)
        write(pen, MARGIN, middle, "b", colour, TEXT)
        write(pen, MARGIN + 17, middle + 10, index, colour, TINY)
        write(pen, MARGIN + 28 + 10 * len(index), middle, f"= {row.held}", colour, TEXT)
    for column in range(sheet.columns):
        draw_cell(pen, sheet, at, row, column, top)
    squares(pen, [row.register[bit] for bit in sheet.bits], at.end + GAP, middle - 6, 12, len(sheet.bits))
    if row.total is not None:
        write(pen, at.total, middle, str(row.total), INK if row.total == row.due else WRONG, TEXT, "r", bold=True)
        if number:
            left, right, equal = equation(sheet, number - 1)
            after = at.total + GAP + font(SMALL).getlength(left) + 7
            write(pen, at.total + GAP, middle, f"{left} = {right}", GREY if equal else WRONG, SMALL)
            if not equal:
                pen.line([(after, middle + 10), (after + 10, middle - 10)], WRONG, 2)
    for place in range(number):
        draw_bit(pen, at, sheet.rows[place + 1], place, middle, place == number - 1)


def draw_cell(pen: ImageDraw.ImageDraw, sheet: Sheet, at: Places, row: Row, column: int, top: int) -> None:
    """A slot: its digit where it is known and counts, and its content."""
    left, digit = at.slots + column * at.cell, sheet.digit(row, column)
    ground = ORANGE if sheet.carry(row, column) else PALE_BLUE if sheet.given(column) else PALE
    pen.rectangle((left + 2, top + 3, left + at.cell - 3, top + at.row - 3), ground)
    side = max(6, min(8 if sheet.weights else 10, (at.cell - 8) // max(1, len(sheet.kept)) - 2))
    lines = max(1, -(-len(sheet.kept) * (side + 2) // (at.cell - 8)))
    across = -(-len(sheet.kept) // lines)
    wide, high = across * (side + 2) - 2, lines * (side + 2) - 2
    under = top + (at.row - high) // 2 if digit is None else top + at.row - 8 - high
    squares(pen, [row.contents[column][n] for n in sheet.kept], left + (at.cell - wide) // 2, under, side, across)
    if digit is not None:
        colour = INK if digit else GREY
        write(pen, left + at.cell // 2, (top + under) // 2 + 1, str(digit), colour, TEXT, "m", bold=digit > 0)


def squares(pen: ImageDraw.ImageDraw, bits: list[int], left: int, top: int, side: int, across: int) -> None:
    """Bits, filled where they are 1."""
    for n, bit in enumerate(bits):
        x, y = left + n % across * (side + 2), top + n // across * (side + 2)
        pen.rectangle((x, y, x + side - 1, y + side - 1), INK if bit else PAPER, GREY)


def draw_bit(pen: ImageDraw.ImageDraw, at: Places, row: Row, place: int, middle: int, fresh: bool) -> None:
    """A bit of the product: boxed where it has just come out, red and underlined where it is wrong."""
    x, wrong = at.product - place * at.bit - at.bit // 2, row.said != row.right
    if fresh:
        box = (x - at.bit // 2 + 1, middle - 19, x + at.bit // 2 - 1, middle + 19)
        pen.rounded_rectangle(box, 4, WRONG if wrong else BLUE)
    write(pen, x, middle, str(row.said), PAPER if fresh else WRONG if wrong else INK, TEXT if at.bit > 20 else SMALL, "m")
    if wrong:
        pen.line([(x - 6, middle + 14), (x + 6, middle + 14)], PAPER if fresh else WRONG, 2)


def legend(pen: ImageDraw.ImageDraw, sheet: Sheet, at: Places) -> None:
    """How to read it, in two lines; and the product once more."""
    top = TOP + HEAD + at.row * len(sheet.rows)
    pen.line([(MARGIN, top), (at.product, top)], RULE, 1)
    told = f"= {sheet.product}" + ("" if sheet.right else f", not {sheet.a * sheet.b}")
    write(pen, at.product, top + 26, told, BLUE if sheet.right else WRONG, TEXT, "r", bold=True)
    squares(pen, [1, 0, 1], MARGIN, top + 21, 12, 3)
    held = f"the {len(sheet.kept)} bits that a slot holds when a sweep has ended"
    if not sheet.weights:
        write(pen, MARGIN + 56, top + 27, f"{held}; what they stand for was not found", GREY, SMALL)
        return
    how = "they stand" if sheet.reach == 1 else "they and those of the slot before it stand"
    write(pen, MARGIN + 56, top + 27, f"{held}, under the digit that {how} for", GREY, SMALL)
    left = MARGIN
    if any(sheet.carry(row, column) for row in sheet.rows for column in range(sheet.columns)):
        pen.rectangle((left, top + 51, left + 40, top + 75), ORANGE)
        write(pen, left + 56, top + 63, "a carry not settled yet", GREY, SMALL)
        left += 330
    said = "S: the sum above; S': the sum of this row; p: the product bit that comes out"
    write(pen, left, top + 63, said, GREY, SMALL)
