"""Sums of digits: by Python, however they are shown; images apart, and not needed."""

import sys
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest
import torch
from conftest import composed
from hypothesis import given
from hypothesis import strategies as st

from ntm.config import parse
from ntm.errors import UserError
from tasks import DigitSum
from tasks.digit_sum import handwritten

LABELS = np.arange(50) * 7 % 10


def images():
    """A stand-in for scikit-learn's: 50 images, each with a first pixel of its own."""
    pixels = np.zeros((50, 64))
    pixels[:, 0], pixels[:, 1] = np.arange(50) * 16 / 50, 16
    return SimpleNamespace(data=pixels, target=LABELS)


@pytest.fixture
def sklearn(monkeypatch):
    """scikit-learn, whether it is installed or not."""
    package, datasets = ModuleType("sklearn"), ModuleType("sklearn.datasets")
    datasets.load_digits = images
    monkeypatch.setitem(sys.modules, "sklearn", package)
    monkeypatch.setitem(sys.modules, "sklearn.datasets", datasets)
    handwritten.cache_clear()
    yield
    handwritten.cache_clear()


@given(st.integers(1, 120), st.sampled_from(["number", "one_hot"]), st.integers(0, 2**31 - 1))
def test_the_sum_of_what_is_shown_is_due_at_the_last_tick(length, digits, seed):
    task = DigitSum(digits=digits)
    batch = task.batch(seed, "test", 0, 3, (length, length))
    assert batch.inputs.shape == (3, length, 1 if digits == "number" else 10)
    assert torch.equal(batch.mask, torch.eye(length)[-1].expand(3, length))
    for inputs, targets in zip(batch.inputs.tolist(), batch.targets[..., 0].tolist()):
        shown = [int(x) for (x,) in inputs] if digits == "number" else [row.index(1.0) for row in inputs]
        assert all(0 <= digit <= 9 for digit in shown)
        assert targets == [0] * (length - 1) + [sum(shown)]


def test_lengths_in_training_and_beyond():
    task = DigitSum()
    batch = task.batch(0, "train", 0, 400)
    assert set(batch.ticks.tolist()) == set(range(1, 11))
    assert torch.equal(batch.mask.argmax(1) + 1, batch.ticks)
    assert torch.equal(batch.targets.sum((1, 2)), batch.inputs.sum((1, 2)))
    assert set(batch.inputs.unique().tolist()) == set(range(10))
    assert [task.batch(0, "test", 0, 2, (n, n)).inputs.shape[1] for n in task.test_lengths] == [10, 50, 100]


def test_right_within_a_half_and_said_so():
    task = DigitSum()
    inputs, targets, mask = (torch.from_numpy(part) for part in task.sequence(np.random.default_rng(0), 3, "test"))
    digits = inputs[:, 0].int().tolist()
    written = f"{' + '.join(map(str, digits))} = "
    assert mask.tolist() == [False, False, True]
    assert task.show(inputs, targets + 0.25) == f"{written}{sum(digits) + 0.25:g}, due {sum(digits)} ok"
    assert task.show(inputs, targets - 0.75) == f"{written}{sum(digits) - 0.75:g}, due {sum(digits)} wrong"


def test_images_of_training_and_test_are_apart(sklearn):
    task, seen = DigitSum(digits="image"), {}
    for split in ("train", "val", "test"):
        batch = task.batch(0, split, 0, 100, (10, 10))
        places = (batch.inputs[..., 0] * 50).round().long()
        assert torch.equal(batch.inputs[..., 1], torch.ones(100, 10))  # pixels from 0 to 1
        assert batch.targets[:, -1, 0].tolist() == LABELS[places.numpy()].sum(1).tolist()
        assert task.show(batch.inputs[0], batch.targets[0]).startswith(" + ".join(map(str, LABELS[places[0].numpy()])) + " = ")
        seen[split] = set(places.flatten().tolist())
    assert seen == {"train": set(range(40)), "val": set(range(40, 50)), "test": set(range(40, 50))}


def test_real_images():
    pytest.importorskip("sklearn")
    handwritten.cache_clear()
    pixels, labels = handwritten()
    assert pixels.shape == (1797, 64)
    assert (pixels.min(), pixels.max()) == (0, 1)
    assert np.bincount(labels).tolist() == [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]
    batch = DigitSum(digits="image").batch(0, "test", 0, 4, (5, 5))
    assert batch.inputs.shape == (4, 5, 64)
    assert all(DigitSum(digits="image").show(i, t).endswith(" ok") for i, t in zip(batch.inputs, batch.targets))


def test_without_scikit_learn_images_are_refused_and_nothing_else(monkeypatch):
    handwritten.cache_clear()
    monkeypatch.setitem(sys.modules, "sklearn", None)
    monkeypatch.setitem(sys.modules, "sklearn.datasets", None)
    with pytest.raises(UserError) as told:
        parse(composed("task=digit_sum", "task.digits=image"))
    assert str(told.value) == "task.digits=image: needs `pip install scikit-learn`; allowed without it: number, one_hot"
    assert parse(composed("task=digit_sum", "task.digits=one_hot")).task.inputs == 10


def test_other_ways_to_show_a_digit_are_refused():
    with pytest.raises(UserError, match=r"^task\.digits=roman: allowed: 'number', 'one_hot' or 'image'"):
        parse(composed("task=digit_sum", "task.digits=roman"))
