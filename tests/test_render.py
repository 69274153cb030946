"""Pictures by their pixels: sizes, colours, alignment of panels, and values that are not numbers."""

import numpy as np
import torch
from conftest import composed

from ntm.config import build, parse
from ntm.models import Output, Signal
from ntm.views.render import COLOURS, GAP, LEFT, PHASE, TITLE, Panel, draw, panel, pictures
from tasks import TASKS, Batch


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


def test_every_task_with_every_kind_of_model_can_be_drawn():
    heads = {"write_weights", "read_weights", "memory_at_end", "shift"}
    own = {  # pictures that a model has of its own
        "ntm": {*heads, "add_vectors", "read_vectors", "memory_after_input", "register"},
        "ntm_lstm": {*heads, "gate_strength_sharpening", "hidden"},
        "tape": {*heads, "register"},
        "gru": {"hidden"},
        "transformer": {"attention"},
    }
    for task in TASKS.keys() - {"turing"}:  # its model has a shape of its own, drawn in test_turing_command.py
        for choice, names in own.items():
            config = parse(composed(f"task={task}", f"model={choice}", "recipe=neutral"))
            if choice == "tape" and not config.task.control:  # nothing to move its head by
                continue
            torch.manual_seed(0)
            batch, output, _ = build(config).show(config.task, "val", 0, 3)
            shown = pictures(config.task, batch, output)
            assert {"trace", "inputs_targets_outputs_error"} | names <= shown.keys()
            widths = {image.width for name, image in shown.items() if not name.startswith("memory")}
            assert len(widths) == 1, "every picture over time has the same time axis"


def test_a_table_is_drawn_after_the_input_and_at_the_end():
    class Two:
        soft, softly = staticmethod(torch.sigmoid), "probability of 1"

    values = torch.zeros(1, 4, 2, 3)  # [B T R W]
    values[0, 1, 0, 2], values[0, 3, 1, 0] = 1, 1
    batch = Batch(torch.zeros(1, 4, 1), torch.zeros(1, 4, 1), torch.tensor([[0.0, 0, 1, 1]]), torch.tensor([4]))
    drawn = pictures(Two(), batch, Output(torch.zeros(1, 4, 1), None, (Signal("store", "store", "cell", values, columns="part"),)))
    assert set(drawn) == {"trace", "inputs_targets_outputs_error", "store_after_input", "store_at_end"}
    across = down = 14
    for name, (row, column) in {"store_after_input": (0, 2), "store_at_end": (1, 0)}.items():
        shown = pixels(drawn[name])[TITLE : TITLE + 3 * down, LEFT : LEFT + 2 * across]
        lit = (shown == COLOURS[255]).all(-1)
        assert lit.sum() == across * down
        assert lit[column * down, row * across]  # cells to the right, parts downwards
