"""Multiplication written side by side: its symbols, its product, its example."""

import pytest
import torch

from tasks import WrittenMul
from tasks.binary_add import number


class Written3x1(WrittenMul):
    def pair(self, random, length, split):
        return 3, 1


@pytest.mark.parametrize("n", [1, 2, 7, 20])
def test_it_is_two_numbers_side_by_side_and_their_product(n):
    inputs, targets, mask, ticks = WrittenMul().batch(n, "train", 0, 3, (n, n))
    assert ticks.tolist() == 3 * [2 * n + 1]
    assert torch.equal(inputs.sum(-1), torch.ones(3, 2 * n + 1))
    assert (inputs[:, n] == torch.tensor([0, 0, 1])).all()
    assert (mask == torch.tensor([*2 * n * [1], 0])).all()
    for row in range(3):
        a, b = number(inputs[row, :n, 1]), number(inputs[row, n + 1 :, 1])
        assert number(targets[row, : 2 * n, 0]) == a * b


def test_docstring_example():
    inputs, targets, mask = Written3x1().batch(0, "train", 0, 1, (2, 2))[:3]
    assert ["".join(str(int(x)) for x in symbol) for symbol in inputs[0]] == ["010", "010", "001", "010", "100"]
    assert targets[0, :, 0].tolist() == [1, 1, 0, 0, 0]
    assert mask[0].tolist() == [1, 1, 1, 1, 0]
