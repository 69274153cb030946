"""The picture of a multiplication: what it shows is read off a run and checked, and nothing of it stands on top of another."""

import itertools
from pathlib import Path

import numpy as np
import pytest
import torch
from by_hand import save
from conftest import composed
from multipliers import adder, counting, model_of, words_of
from PIL import Image
from test_multiply import MUL

from ntm import runs
from ntm.config import build, parse
from ntm.multiply import DRAWN, taught
from ntm.views import slide as drawing
from ntm.views import sweeps
from ntm.views.sheet import equation
from ntm.views.slide import BLUE, HEAD, ORANGE, TOP, WRONG, places_of, slide
from ntm.views.sweeps import drawable, sheet_of
from tasks import BinaryMul

SHIPPED = Path(__file__).parents[1] / "checkpoints/pretrained/binary_mul.ckpt"


@pytest.fixture(scope="module")
def shipped():
    """The shipped multiplier."""
    return runs.read("run", SHIPPED).model


@pytest.fixture
def searched_once(shipped, monkeypatch):
    """Tables of digits of a model take seconds; they are found once."""
    found = list(sweeps.tables(shipped))
    monkeypatch.setattr(sweeps, "tables", lambda model: iter(found))


def colours(image):
    return {tuple(colour) for colour in np.unique(np.asarray(image).reshape(-1, 3), axis=0).tolist()}


def followed(sheet):
    """A pupil's check of every row, from what is drawn alone: digits and what they count, held bits, product bits."""
    rows = [[sheet.digit(row, column) or 0 for column in range(sheet.columns)] for row in sheet.rows]
    sums = [sum(digit * weight for digit, weight in zip(row, sheet.weights)) for row in rows]
    assert sums[0] == sums[-1] == 0
    for before, after, row in zip(sums, sums[1:], sheet.rows[1:]):
        assert before + row.held * sheet.a == row.said + 2 * after
    assert sums == [row.total for row in sheet.rows]
    assert all(equation(sheet, j)[2] for j in range(len(rows) - 1))
    assert [row.held for row in sheet.rows[1:]] == [sheet.b >> j & 1 for j in range(2 * sheet.length)]
    assert sum(row.said << j for j, row in enumerate(sheet.rows[1:])) == sheet.product == sheet.a * sheet.b


def test_every_row_of_the_shipped_multiplier_can_be_followed(shipped, searched_once):
    large = [(13, 11, 4), (200, 255, 8), (4095, 4095, 12), (4095, 3001, 12), (1, 2048, 12)]
    highest = 0
    for a, b, length in [*((a, b, 3) for a, b in itertools.product(range(8), repeat=2)), *large]:
        sheet = sheet_of(shipped, BinaryMul(), a, b, length)
        followed(sheet)
        highest = max(highest, *(digit for row in sheet.rows for digit in row.digits))
    assert highest > 1, "some carries wait"


@pytest.mark.parametrize("early", [False, True])
def test_an_adder_made_by_hand_is_shown_as_it_was_made(early):
    sheet = sheet_of(model_of(adder(early), early), BinaryMul(), 13, 11, 4)
    followed(sheet)
    assert sheet.first == -early
    assert (sheet.kept, sheet.bits, sheet.reach) == ((0, 1), (0,), 1)
    for j, row in enumerate(sheet.rows):
        assert row.due == 13 * (11 % 2**j) >> j
        assert [sheet.carry(row, column) for column in range(sheet.columns)] == [False] * sheet.columns, "its carries do not wait"
        in_slots = [content[0] for content in row.contents][early : 4 + early]
        assert in_slots == [sheet.given(column) for column in range(early, 4 + early)] == [1, 0, 1, 1]
        standing = [content[1] for content, weight in zip(row.contents, sheet.weights) if weight]
        assert standing == [digit for digit, weight in zip(row.digits, sheet.weights) if weight]


def test_a_machine_that_is_wrong_shows_where():
    model = model_of(counting(2))
    sheet = sheet_of(model, BinaryMul(), 63, 63, 6)
    assert sheet.product != 63 * 63
    assert sheet.weights is None, "its words of few bits contradict each other"
    answered = model.discrete()(BinaryMul().posed([(63, 63)], 6, "test").inputs, room=model.room_for(14)).logits
    assert [row.said for row in sheet.rows[1:]] == (answered[0, 6:, 0].reshape(12, 8)[:, 2] > 0).int().tolist()
    assert [row.right for row in sheet.rows[1:]] == [63 * 63 >> j & 1 for j in range(12)]
    assert {WRONG, BLUE} < colours(slide(sheet, 1, "nothing"))


def test_damaged_weights_are_never_made_to_look_right(shipped, searched_once):
    wrong = 0
    for seed in range(6):
        model = runs.read("run", SHIPPED).model
        torch.manual_seed(seed)
        with torch.no_grad():
            weight = model.cell.access.writing.weight
            weight += torch.randn_like(weight) * weight.std() * 1.5
        sheet = sheet_of(model, BinaryMul(), 13, 11, 4)
        wrong += not sheet.right
        red = WRONG in colours(slide(sheet, 1, "nothing"))
        assert red == any(row.said != row.right or row.total not in (None, row.due) for row in sheet.rows)
        assert red or sheet.right
    assert wrong


def test_a_sum_that_does_not_follow_is_red(shipped, searched_once):
    sheet = sheet_of(shipped, BinaryMul(), 13, 11, 4)
    assert WRONG not in colours(slide(sheet, 1, "nothing"))
    rows = sheet.rows.copy()
    rows[3] = rows[3]._replace(total=rows[3].total + 1)
    assert [equation(sheet._replace(rows=rows), j)[2] for j in range(4)] == [True, True, False, False]
    assert WRONG in colours(slide(sheet._replace(rows=rows), 1, "nothing"))


def test_digits_above_one_are_orange_and_others_are_not(shipped, searched_once):
    sheet = sheet_of(shipped, BinaryMul(), 4095, 3001, 12)
    at, shown = places_of(sheet), np.asarray(slide(sheet, 1, "nothing"))
    for number, row in enumerate(sheet.rows):
        for column in range(sheet.columns):
            ground = tuple(shown[TOP + HEAD + number * at.row + 5, at.slots + column * at.cell + 5].tolist())
            assert (ground == ORANGE) == sheet.carry(row, column)
            if sheet.weights[column] < sheet.weights[column + 1]:
                assert sheet.carry(row, column) == (row.digits[column] > 1 and sheet.weights[column] > 0)


@pytest.mark.parametrize(("a", "b", "length"), [(1, 1, 1), (13, 11, 4), (255, 254, 8), (4095, 4095, 12)])
@pytest.mark.parametrize("known", [True, False])
def test_no_text_stands_on_another(shipped, searched_once, monkeypatch, a, b, length, known):
    if not known:
        monkeypatch.setattr(sweeps, "tables", lambda model: iter(()))
    sheet = sheet_of(shipped, BinaryMul(), a, b, length)
    assert (sheet.weights is not None) == known
    if not known:  # as if it had a register
        sheet = sheet._replace(bits=(0, 1, 2, 3), rows=[row._replace(register=(0, 1, 0, 1)) for row in sheet.rows])
    boxes = []
    plain = drawing.write

    def seen(pen, x, y, text, colour, size, anchor="l", bold=False):
        boxes.append((text, pen.textbbox((x, y), text, drawing.font(size), anchor=f"{anchor}m", stroke_width=int(bold))))
        plain(pen, x, y, text, colour, size, anchor, bold)

    monkeypatch.setattr(drawing, "write", seen)
    image = slide(sheet, 123_456, "products bit by bit, with running sums, then products, of at most 8 bits")
    for (one, box), (other, beside) in itertools.combinations(boxes, 2):
        apart = box[2] <= beside[0] or beside[2] <= box[0] or box[3] <= beside[1] or beside[3] <= box[1]
        assert apart or {one, other} <= {"b", *map(str, range(24))}, f"{one} {box} on {other} {beside}"  # an index overlaps its b
    assert all(0 <= box[0] < box[2] <= image.width and 0 <= box[1] < box[3] <= image.height for _, box in boxes)
    assert 1600 <= image.width <= 1900


def test_the_command_draws_what_it_tells(run, capsys):
    save(Path("run"), words_of(adder()), model_of(adder()))
    run("multiply", "run=run", "a=13", "b=11", "png=slide.png")
    assert capsys.readouterr().out.startswith("13 x 11 = 143\nright; ")
    with Image.open("slide.png") as image:
        assert image.size == (1600, 902)
        assert ORANGE not in colours(image)


def test_what_cannot_be_drawn_is_refused_before_any_work(run, refused, tmp_path, capsys):
    over = 2**DRAWN
    told = refused("multiply", "run=nowhere", f"a={over}", "b=1", "png=slide.png")
    assert f"png=slide.png: a and b have up to {DRAWN + 1} bits; allowed: at most {DRAWN} in a picture" in told
    assert "png=no/slide.png: cannot be written" in refused("multiply", "run=nowhere", "a=1", "b=1", "png=no/slide.png")
    run("train", *MUL, "run_dir=run")
    capsys.readouterr()
    with pytest.raises(SystemExit) as ended:
        run("multiply", "run=run", "a=1", "b=1", "png=slide.png")
    assert ended.value.code == 2
    assert "png=slide.png: run=run cannot be drawn: it did not end rounded, or has not one tape head" in capsys.readouterr().err
    assert not Path("slide.png").exists()


def test_two_heads_are_not_drawn():
    model = build(parse(composed(*words_of(adder()), "model.heads.count=2", "model.heads.separate=true")))
    model.round(1)
    assert model.rounded
    assert not drawable(model)
    assert drawable(model_of(adder()))


def test_what_a_run_was_shown_is_told_as_it_was():
    product = parse(composed("task=binary_mul", "model=tape", "recipe=binary_mul_tape_wide"))
    assert taught(product) == "echoes of a number, then products, of at most 8 bits"
    running = parse(composed("task=binary_mul", "task.supervision=running_product", "task.lengths=[6,7]", "model=tape"))
    assert taught(running) == "products bit by bit, with running sums, of at most 7 bits"
