"""Sets of operands: what each is by its definition, of any length, and that tasks draw from the one that is asked for."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from tasks import BinaryAdd, BinaryMul
from tasks.binary_add import number, rows_of_bits
from tasks.operands import SETS, operand

FEW = 300
"""Pairs that are drawn of a set."""


def drawn(name, length, seed=0):
    random = np.random.default_rng(seed)
    return [SETS[name](random, length) for _ in range(FEW)]


def share(values, length):
    """The mean share of ones."""
    return np.mean([value.bit_count() for pair in values for value in pair]) / length


@given(st.lists(st.integers(0, 2**62) | st.integers(0, 2**70), min_size=1), st.integers(1, 80))
def test_bits_are_pythons_whatever_numpy_makes_of_the_numbers(values, length):
    python = [[value >> place & 1 for place in range(length)] for value in values]
    every = [values, np.array(values, object)] + [np.array(values)] * (max(values) < 2**63)
    assert all(rows_of_bits(numbers, length).tolist() == python for numbers in every)


@pytest.mark.parametrize("length", [1, 30, 31, 32, 40])
def test_products_are_pythons_on_either_side_of_what_numpy_holds(length):
    ones = 2**length - 1
    batch = BinaryMul().posed([(ones, ones), (ones, 1), (ones - 1, ones)], length, "val")
    for row, product in enumerate((ones * ones, ones, (ones - 1) * ones)):
        assert number(batch.targets[row, batch.mask[row] > 0, 0]) == product


@pytest.mark.parametrize("length", [1, 60, 61, 62, 63, 64])
def test_sums_are_pythons_too_rows_of_several_lengths_among_them(length):
    batch = BinaryAdd(operands="ones").draw(np.random.default_rng(0), [length, 1, length + 3], "val")
    for row, size in enumerate((length, 1, length + 3)):
        assert number(batch.targets[row, batch.mask[row] > 0, 0]) == 2 * (2**size - 1)
        assert batch.ticks[row] == batch.mask[row].sum() == size + 1
        assert batch.inputs[row].sum() == 3 * size


@pytest.mark.parametrize("length", [1, 2, 3, 8, 63, 64, 65, 300])
@pytest.mark.parametrize("name", SETS)
def test_pairs_are_pythons_integers_of_at_most_so_many_bits(name, length):
    pairs = drawn(name, length)
    assert all(type(value) is int and 0 <= value < 2**length for pair in pairs for value in pair)
    assert pairs == drawn(name, length)


@pytest.mark.parametrize("length", [1, 7, 64, 301])
def test_each_set_by_its_definition(length):
    ones = 2**length - 1
    assert set(drawn("ones", length)) == {(ones, ones)}
    powers = drawn("powers", length)
    assert all(value.bit_count() == 1 for pair in powers for value in pair)
    assert len({a for a, _ in powers}) > length / 2
    patterns = {int(("01" * length)[-length:], 2), int(("10" * length)[-length:], 2)}
    assert {value for pair in drawn("alternating", length) for value in pair} == patterns
    assert len(set(drawn("alternating", length))) == 4
    small = drawn("small", length)
    assert all(min(pair) in (0, 1) for pair in small)
    for least in (0, 1):
        assert {(0 if a <= b else 1) for a, b in small if min(a, b) == least} == ({0, 1} if length > 1 or not least else {0})
    for a, b in drawn("sparse", length):
        assert 1 <= min(a.bit_count(), b.bit_count()) <= max(a.bit_count(), b.bit_count()) <= max(1, length // 8)
    for a, b in drawn("dense", length):
        assert min((ones ^ a).bit_count(), (ones ^ b).bit_count()) >= 1
        assert max((ones ^ a).bit_count(), (ones ^ b).bit_count()) <= max(1, length // 8)
    unequal = drawn("unequal", length)
    assert all(max(a, b).bit_length() == length and 1 <= min(a, b).bit_length() <= max(1, length // 4) for a, b in unequal)
    assert {a < b for a, b in unequal} == ({True, False} if length > 1 else {False})


def test_uniform_numbers_have_half_of_their_bits_and_their_top_bit_half_the_time():
    pairs = drawn("uniform", 301)
    assert share(pairs, 301) == pytest.approx(0.5, abs=0.01)
    assert np.mean([value.bit_length() == 301 for pair in pairs for value in pair]) == pytest.approx(0.5, abs=0.1)
    assert len(set(pairs)) == FEW


def test_mixed_is_two_operands_in_turn():
    random = np.random.default_rng(0)
    assert drawn("mixed", 40) == [(operand(random, 40), operand(random, 40)) for _ in range(FEW)]


def run_of_carries(a, b):
    """The longest run of bits, in adding a to b, into which a carry comes."""
    carried = f"{(a + b) ^ a ^ b:b}"
    return max(map(len, carried.split("0")))


def run_in_product(a, b):
    """The same in any of the sums of shift and add."""
    total = longest = 0
    for place in range(b.bit_length()):
        term = (a << place) * (b >> place & 1)
        longest, total = max(longest, run_of_carries(total, term)), total + term
    return longest


def test_carries_run_far():
    length = 64
    sums = {name: [run_of_carries(*pair) for pair in drawn(name, length)] for name in SETS}
    assert np.mean(np.array(sums["carries"]) >= length - 1) > 1 / 8  # through every bit
    products = {name: np.mean([run_in_product(*pair) for pair in drawn(name, length)]) for name in SETS}
    assert max(products, key=products.get) == "ones"  # nothing else, and 64 is all there is
    assert products["carries"] > 2 * products["uniform"]
    pairs = drawn("carries", length)
    assert any(a > 1 < b and a * b % 2**length == 1 for a, b in pairs)
    assert any(a > 1 < b and a + b == 2**length for a, b in pairs)


def test_tasks_draw_from_the_set_that_is_asked_for():
    inputs = BinaryAdd(operands="ones").batch(0, "test", 0, 4, (6, 6)).inputs
    assert inputs[:, :6].all()
    batch = BinaryMul().of("powers").batch(0, "train", 0, 20, (9, 9))
    assert (batch.inputs[:, :9, 0].sum(1) == 1).all()
    for inputs, targets, mask in zip(*BinaryMul(operands="carries").batch(0, "test", 0, 20, (9, 9))[:3]):
        a, b = number(inputs[:9, 0]), number(inputs[9::11, 0])
        assert number(targets[mask > 0][:, 0]) == a * b


def test_training_may_draw_from_another_set():
    for task in (BinaryAdd(train_operands="ones"), BinaryMul(train_operands="ones")):
        assert task.batch(0, "train", 0, 20, (6, 6)).inputs[:, :6, 0].all()
        for split in ("val", "test"):
            assert (task.batch(0, split, 0, 20, (6, 6)).inputs == type(task)().batch(0, split, 0, 20, (6, 6)).inputs).all()
    mixed = BinaryMul(train_operands="mixed").batch(3, "train", 5, 20, (6, 6)).inputs
    assert (mixed == BinaryMul().batch(3, "train", 5, 20, (6, 6)).inputs).all()


def test_a_set_that_is_none_is_refused():
    with pytest.raises(ValidationError, match=r"no such set of operands; allowed: mixed, uniform, .*unequal"):
        BinaryMul(operands="odd")


def test_operands_have_long_carries():
    random = np.random.default_rng(0)
    found = [operand(random, 12) for _ in range(2000)]
    assert all(0 <= value < 2**12 for value in found)
    assert found.count(2**12 - 1) > 50
    assert found.count(0) > 10
    assert sum(bin(value).count("1") == 1 for value in found) > 50
