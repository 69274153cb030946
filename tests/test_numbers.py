"""Tasks whose answers are numbers: loss and score by hand; identity, in its range and beyond."""

import math

import numpy as np
import pytest
import torch
from conftest import composed
from hypothesis import given
from hypothesis import strategies as st

from ntm.config import parse
from ntm.errors import UserError
from tasks import Batch, DigitSum, Identity
from tasks.one_tick import one_tick

THREE = Batch(  # a number due at once, one due after a tick, one of which only the first tick is
    torch.zeros(3, 2, 1),
    torch.tensor([[[1.0], [0]], [[0], [4]], [[-2], [0]]]),
    torch.tensor([[1.0, 0], [0, 1], [1, 0]]),
    torch.tensor([1, 2, 1]),
)
TOLD = torch.tensor([[[1.05], [9]], [[7], [4.5]], [[-5], [7]]])  # off by 0.05, 0.5 and 3; what is not due is far off


@pytest.mark.parametrize("mean_over", ["bits", "sequences"])
def test_losses_by_hand(mean_over):
    assert Identity().loss(TOLD, THREE, mean_over).item() == pytest.approx((0.05**2 + 0.5**2 + 3**2) / 3)
    assert DigitSum().loss(TOLD, THREE, mean_over).item() == pytest.approx((0.05 + 0.5 + 3) / 3)


def test_scores_by_hand():
    assert Identity().score(TOLD, THREE).errors.tolist() == [0, 1, 1]
    assert DigitSum().score(TOLD, THREE).errors.tolist() == [0, 0, 1]
    assert Identity(tolerance=0.01).score(TOLD, THREE).errors.tolist() == [1, 1, 1]
    assert Identity().score(TOLD, THREE).due.tolist() == [1, 1, 1]
    assert Identity().score(torch.full_like(TOLD, math.nan), THREE).errors.tolist() == [1, 1, 1]


def test_answers_are_the_numbers_themselves():
    assert torch.equal(Identity().answer(TOLD), TOLD)
    assert torch.equal(Identity().soft(TOLD), TOLD)


def test_one_tick_is_a_batch():
    batch = one_tick(np.array([[1, 2], [3, 4]]), np.array([[5], [6]]))
    assert batch.inputs.tolist() == [[[1, 2]], [[3, 4]]]
    assert batch.targets.tolist() == [[[5]], [[6]]]
    assert batch.mask.tolist() == [[1], [1]]
    assert batch.ticks.tolist() == [1, 1]
    assert batch.input_end == 0


@given(st.integers(1, 1000), st.integers(0, 2**31 - 1), st.sampled_from(["train", "val", "test"]))
def test_identity_draws_from_its_range_and_asks_for_the_same(length, seed, split):
    batch = Identity().batch(seed, split, 3, 50, (length, length))
    assert torch.equal(batch.inputs, batch.targets)
    assert batch.inputs.abs().max() <= length
    assert batch.inputs.abs().max() > length / 2  # of fifty
    assert batch.inputs.min() < 0 < batch.inputs.max()


def test_identity_is_judged_beyond_its_training():
    task = Identity()
    assert task.batch(0, "train", 0, 1000).inputs.abs().max() <= 5
    assert [max(task.batch(0, "test", 0, 1000, (n, n)).inputs.abs().max().ceil().item() for n in task.test_lengths)] == [20]
    assert task.solved_below(5) is None
    assert task.show(torch.tensor([[2.5]]), torch.tensor([[2.75]])) == "2.5 -> 2.75, due 2.5 wrong"
    assert task.show(torch.tensor([[2.5]]), torch.tensor([[2.5625]])) == "2.5 -> 2.5625, due 2.5 ok"


@pytest.mark.parametrize("value", ["0", "-1", "wide", ".inf"])
def test_a_tolerance_is_a_positive_number(value):
    with pytest.raises(UserError, match=r"^task\.tolerance="):
        parse(composed("task=identity", "model=lstm", f"task.tolerance={value}"))
