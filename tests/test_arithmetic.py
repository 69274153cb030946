"""Simple function learning: targets by Python's own sums, the criterion by another way, the inputs that are summed."""

import math
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
import torch
from conftest import composed
from hypothesis import given
from hypothesis import strategies as st

from ntm.config import parse
from ntm.errors import UserError
from tasks import RealArithmetic
from tasks.arithmetic import OPERATIONS

SLOW = {
    "add": lambda a, b: float(a + b),
    "sub": lambda a, b: float(a - b),
    "mul": lambda a, b: float(a * b),
    "div": lambda a, b: float(a / b),
    "square": lambda a, b: float(a * a),
    "sqrt": lambda a, b: math.sqrt(a),
}

every_operation = pytest.mark.parametrize("operation", OPERATIONS)


@pytest.mark.parametrize("operation", SLOW)
@pytest.mark.parametrize("length", [2, 6])
def test_targets_are_the_operation_on_exact_sums(operation, length):
    task = RealArithmetic(operation=operation, size=20, subset_seed=5)
    first, second = (np.flatnonzero(column).tolist() for column in task.sums.T)
    batch = task.batch(1, "test", 0, 30, (length, length))
    for inputs, targets in zip(batch.inputs[:, 0].tolist(), batch.targets[:, 0, 0].tolist()):
        a, b = (sum(Fraction(inputs[place]) for place in places) for places in (first, second))
        assert targets == np.float32(SLOW[operation](a, b))


def test_the_cheap_one_by_its_formula():
    task = RealArithmetic(operation="cheap")
    batch = task.batch(0, "train", 0, 50)
    assert task.inputs == 4
    for (a, b, c, d), target in zip(batch.inputs[:, 0].tolist(), batch.targets[:, 0, 0].tolist()):
        assert target == np.float32((a + b) * (a + b + c + d))


@given(
    st.integers(4, 120), st.sampled_from([0.25, 0.3, 0.5]), st.sampled_from([0.0, 0.1, 0.5, 0.75, 1.0]), st.integers(0, 2**31 - 1)
)
def test_the_sums_are_runs_of_inputs_that_overlap_as_asked(size, subset, overlap, seed):
    task = RealArithmetic(size=size, subset=subset, overlap=overlap, subset_seed=seed)
    a, b = (np.flatnonzero(column) for column in task.sums.T)
    each = math.floor(subset * size)
    assert len(a) == len(b) == each
    assert a[-1] - a[0] == b[-1] - b[0] == each - 1
    assert len({*a} & {*b}) == math.floor(overlap * each)
    assert a[0] <= b[0]
    assert set(task.sums.flatten()) <= {0.0, 1.0}


def test_every_place_where_the_sums_fit_is_drawn():
    firsts = {int(RealArithmetic(size=8, subset_seed=seed).sums[:, 0].argmax()) for seed in range(60)}
    assert firsts == set(range(6))  # of 2 and 2 that share 1: 3 of 8


def test_train_and_test_of_one_run_ask_for_the_same_sums_whatever_the_seed_of_the_test():
    asked = [parse(composed("task=arithmetic", "model=lstm", f"seed={seed}")).task for seed in (0, 7, 7)]
    assert [task.subset_seed for task in asked] == [0, 7, 7]
    assert not np.array_equal(asked[0].sums, asked[1].sums)
    for seed, split in ((7, "train"), (7, "val"), (0, "test")):
        batch = asked[1].batch(seed, split, 0, 20, (2, 2))
        a, b = (batch.inputs[:, 0].double() @ torch.from_numpy(asked[2].sums)).T
        assert torch.equal(batch.targets[:, 0, 0], (a * b).float())


@given(st.integers(3, 500), st.integers(0, 2**31 - 1))
def test_inputs_are_from_the_range_of_the_length(length, seed):
    task = RealArithmetic(size=50)
    inside, outside = (task.batch(seed, "val", 2, 20, (n, n)).inputs for n in (2, length))
    assert inside.min() >= 1
    assert inside.max() <= 2
    assert inside.max() - inside.min() > 0.95  # of a thousand
    assert outside.min() >= 2
    assert outside.max() <= length
    assert outside.max() - outside.min() > 0.95 * (length - 2)


@every_operation
@pytest.mark.parametrize("length", [2, 6])
def test_the_criterion_is_the_error_of_weights_that_are_off(operation, length):
    task = RealArithmetic(operation=operation, size=40)
    random, errors = np.random.default_rng(99), []
    for _ in range(2000):
        x = random.uniform(1 if length == 2 else 2, length, task.inputs).tolist()
        off, ideal = ([0.0, 0.0], [0.0, 0.0])
        for value, weights in zip(x, task.sums.tolist()):
            for side, weight in enumerate(weights):
                ideal[side] += weight * value
                off[side] += (1 - 1e-5 if weight else 1e-5) * value
        errors.append((SLOW.get(operation, SLOW["mul"])(*off) - SLOW.get(operation, SLOW["mul"])(*ideal)) ** 2)
    assert task.solved_below(length) == pytest.approx(np.mean(errors), rel=0.1)
    assert task.solved_below(length) == task.solved_below(length)


def test_the_criterion_of_the_paper_in_numbers():
    assert RealArithmetic().solved_below(6) == pytest.approx(0.16, abs=0.005)
    assert RealArithmetic(operation="cheap").solved_below(6) == pytest.approx(2.19e-6, rel=0.02)
    mean, variance = 4.0, 16 / 12  # of a number from [2, 6]
    counts = {-2: 12, 0: 26, 2: 62}  # of inputs in both sums, in one, in none, by what a + b counts them wrongly, times 1e-5
    expected = sum(n * k for k, n in counts.items()) ** 2 * mean**2 + sum(n * k * k for k, n in counts.items()) * variance
    assert RealArithmetic(operation="add").solved_below(6) == pytest.approx(1e-10 * expected, rel=0.01)


@every_operation
@pytest.mark.parametrize("length", [2, 6])
def test_who_meets_the_criterion_is_right(operation, length):
    task = RealArithmetic(operation=operation)
    batch = task.batch(0, "test", 0, 500, (length, length))
    x = batch.inputs[:, 0].double().numpy()
    off = torch.from_numpy(task.of_sums(x @ (task.sums * (1 - 2e-5) + 1e-5))).float()[:, None, None]
    assert task.score(off, batch).errors.sum() == 0
    assert task.loss(off, batch, "bits").item() == pytest.approx(task.solved_below(length), rel=0.25)
    assert task.loss(batch.targets, batch, "bits").item() == 0


def test_wrong_is_relative_but_for_small_targets():
    task = RealArithmetic(tolerance=0.01)
    batch = task.batch(0, "test", 0, 4)
    batch = batch._replace(targets=torch.tensor([1000.0, 1000, 0.1, 0.1])[:, None, None])
    told = torch.tensor([1009.0, 989, 0.1099, 0.1101])[:, None, None]
    assert task.score(told, batch).errors.tolist() == [0, 1, 0, 1]
    assert task.loss(told, batch, "bits").item() == pytest.approx((81 + 121 + 0.0099**2 + 0.0101**2) / 4)


def test_the_line_can_be_checked_by_hand():
    task = RealArithmetic(operation="cheap")
    inputs = torch.tensor([[1.0, 1.5, 2.0, 1.25]])
    assert task.show(inputs, torch.tensor([[14.375]])) == "2.5 x 5.75 = 14.375, due 14.375 ok"
    assert task.show(inputs, torch.tensor([[14.0]])) == "2.5 x 5.75 = 14, due 14.375 wrong"
    square = RealArithmetic(operation="square", size=4, subset=0.5, overlap=1.0)
    a = float(inputs[0].double() @ torch.from_numpy(square.sums[:, 0]))
    assert square.show(inputs, torch.tensor([[a * a]])).startswith(f"{a:g} squared = ")


MISTAKES = {
    "task.operation=power": "task.operation=power: no such operation; allowed: add, sub, mul, div, square, sqrt, cheap",
    "task.size=0": "task.size=0",
    "task.subset=0.001": "task.subset=0.001: a sum of none of 100 inputs; allowed: at least 0.01",
    "task.subset=2": "task.subset=2",
    "task.subset=0.9": "task.overlap=0.5: two sums of 90 inputs need 135 of 100",
    "task.subset_seed=-1": "task.subset_seed=-1",
    "task.lengths=[6,2]": "task.lengths=",
}


@pytest.mark.parametrize("word", MISTAKES)
def test_mistakes_are_refused_by_their_key(word):
    with pytest.raises(UserError) as told:
        parse(composed("task=arithmetic", "model=lstm", word))
    assert str(told.value).startswith(MISTAKES[word])


def test_batches_do_not_depend_on_the_sums():
    a, b = (replace(RealArithmetic(), subset_seed=seed).batch(0, "train", 0, 4) for seed in (1, 2))
    assert torch.equal(a.inputs, b.inputs)
    assert not torch.equal(a.targets, b.targets)
