"""Parallel multiplication: products by Python, and who is held out from whom."""

from collections import Counter

import numpy as np
import pytest
import torch
from conftest import composed
from hypothesis import given
from hypothesis import strategies as st

from ntm.config import parse
from ntm.errors import UserError
from tasks import ParallelMul


def read(bits):
    """The integer of bits [L], least significant first, by its text."""
    return int("".join(str(int(bit)) for bit in bits)[::-1], 2)


def operands(task, batch):
    """The pairs of a batch, as the network sees them."""
    return [(read(row[: task.bits]), read(row[task.bits :])) for row in batch.inputs[:, 0].tolist()]


def test_all_pairs_exactly_once_over_both_sides_and_every_product_is_right():
    task = ParallelMul()
    sides = []
    for held_out in (False, True):
        seen = Counter()
        for batch in task.pairs(held_out):
            places, weights = batch.inputs[:, 0].long(), 2 ** torch.arange(16)
            a, b = ((places[:, part] * weights[:8]).sum(1) for part in (slice(0, 8), slice(8, 16)))
            assert torch.equal((batch.targets[:, 0].long() * weights).sum(1), a * b)
            seen.update(zip(a.tolist(), b.tolist()))
        assert set(seen.values()) == {1}
        sides.append(set(seen))
    trained, held = sides
    assert not trained & held
    assert len(trained | held) == 65_536
    assert len(held) == 6_554  # a tenth, rounded up


def test_splits_draw_from_their_own_side():
    task = ParallelMul()
    held = set(map(tuple, task.among(8, True).tolist()))
    for split in ("train", "val", "test"):
        drawn = [pair for index in range(4) for pair in operands(task, task.batch(index, split, index, 200))]
        assert {pair in held for pair in drawn} == {split != "train"}
        assert len(set(drawn)) > 750


@given(st.integers(1, 6), st.sampled_from([0.01, 0.1, 1 / 3, 0.5]), st.integers(1, 8))
def test_short_operands_are_a_part_of_all_and_held_out_alike(bits, share, length):
    task = ParallelMul(bits=bits, held_out=share)
    trained, held = ([tuple(pair) for pair in task.among(length, side).tolist()] for side in (False, True))
    top = 2 ** min(length, bits)
    assert sorted(trained + held) == [(a, b) for a in range(top) for b in range(top)]
    assert len(held) == int(np.ceil(top**2 * share))
    assert set(held) <= set(map(tuple, task.among(bits, True).tolist()))


def test_who_is_held_out_does_not_depend_on_the_seed():
    first = ParallelMul().among(8, True)
    assert np.array_equal(first, ParallelMul(lengths=(4, 8)).among(8, True))
    assert first[-1000:].sum(0).tolist() == [149_663, 146_828]  # it shall not change with the code


def test_docstring_example():
    batch = ParallelMul(bits=2).posed(np.array([[3, 2]]))
    assert batch.inputs.tolist() == [[[1, 1, 0, 1]]]
    assert batch.targets.tolist() == [[[0, 1, 1, 0]]]
    assert batch.mask.tolist() == [[1]]


@given(st.integers(0, 255), st.integers(0, 255), st.integers(0, 15))
def test_one_wrong_bit_is_one_wrong_sequence_and_is_said(a, b, place):
    task = ParallelMul()
    batch = task.posed(np.array([[a, b], [b, a]]))
    assert (read(batch.targets[0, 0].tolist()), task.inputs, task.outputs) == (a * b, 16, 16)
    logits = 4 * batch.targets - 2
    assert task.score(logits, batch).errors.tolist() == [0, 0]
    assert task.loss(logits, batch, "bits").item() == pytest.approx(np.log2(1 + np.exp(-2)))
    assert ParallelMul(squared=True).loss(logits, batch, "bits").item() == pytest.approx(1 / (1 + np.exp(2)) ** 2)
    logits[0, 0, place] *= -1
    score = task.score(logits, batch)
    assert (score.errors.tolist(), score.due.tolist(), score.wrong_sequences) == ([1, 0], [16, 16], 1)
    assert task.loss(logits, batch, "bits").item() == pytest.approx(np.log2(1 + np.exp(-2)) + 2 / np.log(2) / 32)
    wrong = a * b ^ 1 << place
    assert task.show(batch.inputs[0], task.answer(logits[0])) == f"{a} x {b} = {wrong} wrong"
    assert task.show(batch.inputs[1], task.answer(logits[1])) == f"{b} x {a} = {a * b} ok"


def test_nothing_is_asked_for_in_training_that_is_held_out():
    assert list(ParallelMul().every()) == []


@pytest.mark.parametrize("word", ["task.held_out=0", "task.held_out=0.6", "task.bits=0", "task.bits=11", "task.bits=true"])
def test_mistakes_are_refused_by_their_key(word):
    with pytest.raises(UserError) as told:
        parse(composed("task=parallel_mul", "model=lstm", word))
    assert str(told.value).startswith(word.partition("=")[0] + "=")
