"""What a run shows in TensorBoard, read back with TensorBoard's own reader, and what the bar says."""

import io
import re

import numpy as np
import pytest
import torch
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from ntm.models import Signal
from ntm.views.callbacks import entropy, scalars_of

IMAGES = ["trace", "inputs_targets_outputs_error", "write_weights", "read_weights", "add_vectors", "read_vectors"]
IMAGES += ["memory_after_input", "memory_at_end", "register", "gate_strength_sharpening", "shift"]
SCALARS = ["train/loss", "train/bit_error", "train/exact", "train/learning_rate", "val/loss", "val/bit_error", "val/exact"]
SCALARS += ["length/0003", "length/0005", "grad/norm", "grad/clipped", "grad/skipped", "norm/memory"]
SCALARS += ["curriculum/stage", "curriculum/noise", "curriculum/attempt"]
SCALARS += [f"{what}/{head}_weights_head_0" for head in ("read", "write") for what in ("entropy", "sharpness")]


@pytest.fixture(scope="module")
def events(trained):
    reader = EventAccumulator(str(trained), size_guidance={"images": 0, "scalars": 0})
    reader.Reload()
    return reader


@pytest.mark.parametrize("name", IMAGES)
def test_every_picture_at_several_steps(events, name):
    shown = events.Images(f"images/{name}")
    assert [event.step for event in shown] == [1, 5, 10]
    image = Image.open(io.BytesIO(shown[-1].encoded_image_string))
    assert image.width > 300
    assert image.height > 40
    assert np.asarray(image).std() > 5


@pytest.mark.parametrize("name", SCALARS)
def test_every_scalar_at_several_steps(events, name):
    values = events.Scalars(name)
    assert len({event.step for event in values}) >= 2
    assert all(np.isfinite(event.value) for event in values)


def test_the_probe_sequence_is_the_same_at_every_step(events):
    lines = [event.tensor_proto.string_val[0].decode() for event in events.Tensors("probe/text_summary")]
    assert len(lines) == 3
    assert len({line.split(" -> ")[0] for line in lines}) == 1


def test_custom_scalars_name_only_what_is_logged(events):
    from tensorboard.plugins.custom_scalar import layout_pb2

    layout = layout_pb2.Layout()
    layout.ParseFromString(events.Tensors("custom_scalars__config__")[0].tensor_proto.string_val[0])
    assert [category.title for category in layout.category] == ["learning", "memory", "health"]
    tags = [tag for category in layout.category for chart in category.chart for tag in chart.multiline.tag]
    known = set(events.Tags()["scalars"])
    assert all(any(re.fullmatch(tag, name) for name in known) for tag in tags)


def test_entropy_in_bits():
    weights = torch.tensor([[1.0, 0, 0, 0], [0.25, 0.25, 0.25, 0.25], [0.5, 0.5, 0, 0]])
    assert entropy(weights).tolist() == pytest.approx([0, 2, 1])


def test_scalars_are_of_weightings_and_of_the_end_of_tables():
    weights = torch.tensor([[[1.0, 0, 0, 0], [0.5, 0.5, 0, 0]], [[0.25] * 4] * 2])  # of the second sequence nothing is logged
    table = torch.zeros(2, 2, 3, 2)
    table[:, 0], table[0, 1, 0], table[1, 1] = 9, torch.tensor([3.0, 4]), 7
    signals = (
        Signal("read weights, head 0", "read_weights", "slot", weights, weighting=True),
        Signal("gate", "gate_strength_sharpening", "head", weights),
        Signal("memory", "memory", "slot", table, columns="channel"),
    )
    expected = {"entropy/read_weights_head_0": 0.5, "sharpness/read_weights_head_0": 0.75, "norm/memory": 5}
    assert scalars_of(signals) == pytest.approx(expected)
