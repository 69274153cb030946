"""Pictures by their pixels: sizes, colours, alignment of panels, and values that are not numbers."""

import numpy as np
import torch
from conftest import composed

from ntm.config import build_machine, parse
from ntm.render import COLOURS, GAP, LEFT, PHASE, TITLE, Panel, draw, panel, pictures
from tasks import TASKS


def pixels(image):
    return np.asarray(image)


def test_a_cell_is_one_value_enlarged():
    values = np.array([[0.0, 1.0, 0.5], [1.0, 0.0, 0.25]])
    shown = pixels(draw([Panel("title", "row", values)]))
    across, down = 14, 14
    for row in range(2):
        for column in range(3):
            cell = shown[TITLE + row * down : TITLE + (row + 1) * down, LEFT + column * across : LEFT + (column + 1) * across]
            assert (cell == COLOURS[int(values[row, column] * 255)]).all()


def test_colours_are_256_and_grow_lighter():
    luminance = COLOURS @ np.array([0.299, 0.587, 0.114])
    assert COLOURS.shape == (256, 3)
    assert COLOURS.dtype == np.uint8
    assert (np.diff(luminance) > -0.5).all()
    assert tuple(COLOURS[0]) == (68, 1, 84)
    assert tuple(COLOURS[-1]) == (253, 231, 37)


def test_panels_share_one_time_axis_and_the_phase_line():
    first, second = Panel("a", "x", np.zeros((2, 10))), Panel("b", "y", np.ones((3, 10)))
    shown = pixels(draw([first, second], phase=4))
    red = np.argwhere((shown == PHASE).all(-1))
    assert set(red[:, 1]) == {LEFT + 4 * 14}
    assert len(red) == (2 + 3) * 14
    second_top = TITLE + 2 * 14 + GAP + TITLE
    assert (shown[second_top, LEFT] == COLOURS[255]).all()


def test_what_is_not_a_number_is_red():
    shown = pixels(draw([Panel("a", "x", np.array([[0.0, np.nan]]))]))
    assert (shown[TITLE + 1, LEFT + 15] == PHASE).all()


def test_a_title_tells_the_range_of_values_without_bounds():
    assert panel("add", "channel", torch.tensor([[-2.0, 3.0]])).title == "add  (dark -2, bright 3)"
    assert panel("gate", "head", torch.tensor([[0.5]]), (0.0, 1.0)).title == "gate"


def test_long_sequences_and_large_memories_are_cropped_to_a_readable_size():
    shown = pixels(draw([panel("weights", "slot", torch.rand(4_096, 3_000), (0.0, 1.0))]))
    assert shown.shape[1] < 2200
    assert shown.shape[0] < 500


def test_every_task_on_every_machine_can_be_drawn():
    for task in TASKS.keys() - {"turing"}:  # its machines have a shape of their own, drawn in test_turing_command.py
        for machine in ("ntm", "ntm_lstm", "tape"):
            config = parse(composed(f"task={task}", f"machine={machine}"))
            torch.manual_seed(0)
            built = build_machine(config.machine, config.task)
            probe = config.task.batch(0, "val", 0, 1, (3, 3))
            with torch.no_grad():
                shown = pictures(probe, built(probe.inputs, record=True))
            assert {"trace", "write_weights", "read_weights", "memory_at_end", "register", "shift"} <= shown.keys()
            widths = {image.width for name, image in shown.items() if not name.startswith("memory")}
            assert len(widths) == 1, "every picture over time has the same time axis"
