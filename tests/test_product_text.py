"""Products as text: every line is arithmetic that Python agrees with; loss and score by hand; reading back what is told."""

import math
import re

import numpy as np
import pytest
import torch
from conftest import composed
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import functional as F

from ntm.config import parse
from ntm.errors import UserError
from tasks import Batch, ProductText
from tasks.product_text import ALPHABET, as_text, operand

WAYS = [ProductText(steps=steps, reversed=back) for steps in (False, True) for back in (False, True)]

ways = pytest.mark.parametrize("task", WAYS, ids=["direct", "direct reversed", "steps", "steps reversed"])


def forward(line):
    """A line with every number's digits turned round."""
    return re.sub(r"\d+", lambda number: number[0][::-1], line)


def value(expression):
    """The value of sums of products, by Python."""
    return sum(math.prod(int(factor) for factor in term.split("*")) for term in expression.split("+"))


def rows(lines):
    """Lines of one length as a batch."""
    columns = zip(*(ProductText().posed(line) for line in lines))
    inputs, targets, mask = (torch.tensor(np.stack(column), dtype=torch.float32) for column in columns)
    return Batch(inputs, targets, mask, torch.full((len(lines),), mask.shape[1]))


def test_lines_as_they_are_written():
    direct, backwards, steps, both = WAYS
    assert direct.text(34, 57) == "34*57=1938."
    assert backwards.text(34, 57) == "43*75=8391."
    assert steps.text(34, 57) == "34*57=34*7+34*50=238+1700=1938."
    assert both.text(34, 57) == "43*75=43*7+43*05=832+0071=8391."
    assert steps.text(3, 4) == direct.text(3, 4) == "3*4=12."
    assert steps.text(12, 305) == "12*305=12*5+12*0+12*300=60+0+3600=3660."
    assert [way.claim for way in WAYS] == ["output", "output", "steps", "steps"]


@ways
@given(a=st.integers(0, 99_999), b=st.integers(0, 99_999))
def test_every_expression_of_a_line_has_the_value_of_the_product(task, a, b):
    line = task.text(a, b)
    assert line.endswith(".")
    expressions = (forward(line) if task.reversed else line)[:-1].split("=")
    assert expressions[0] == f"{a}*{b}"
    assert expressions[-1] == str(a * b)
    assert {value(expression) for expression in expressions} == {a * b}
    assert len(expressions) == (4 if task.steps and b > 9 else 2)
    assert set(line) <= set(ALPHABET)


@ways
@pytest.mark.parametrize("length", [1, 2, 3, 4, 7])
def test_ticks_are_those_of_the_longest_line(task, length):
    assert task.ticks(length) == len(task.text(10**length - 1, 10**length - 1)) - 1
    assert task.batch(0, "test", 0, 50, (length, length)).inputs.shape[1] <= task.ticks(length)


@ways
def test_the_next_character_is_due_and_scored_after_the_first_equals_sign(task):
    batch = task.batch(3, "train", 0, 40)
    lengths = set()
    for inputs, targets, mask, ticks in zip(*batch):
        shown, told = as_text(inputs[:ticks]), as_text(targets[:ticks])
        assert shown[1:] == told[:-1]
        assert told[-1] == "."
        assert mask[:ticks].tolist() == [float(place >= shown.index("=")) for place in range(len(shown))]
        a, b = (forward(shown) if task.reversed else shown).partition("=")[0].split("*")
        assert len(a) == len(b)
        lengths.add(len(a))
        assert shown[0] + told == task.text(int(a), int(b))
        assert torch.equal(inputs[:ticks].sum(1), torch.ones(ticks))
    assert lengths == {1, 2}


def test_operands_have_exactly_so_many_digits():
    random = np.random.default_rng(0)
    assert {operand(random, 1) for _ in range(300)} == set(range(10))
    assert {operand(random, 2) for _ in range(3000)} == set(range(10, 100))
    assert len(str(operand(random, 40))) == 40


def test_loss_by_hand():
    task, batch = ProductText(), rows(["3*4=12.", "2*9=18."])
    assert task.loss(torch.zeros(2, 6, 14), batch, "bits").item() == pytest.approx(math.log2(14))
    logits = torch.zeros(2, 6, 14)
    logits[0, 3, 1] = math.log(13)  # half of the probability for the right "1"
    assert task.loss(logits, batch, "bits").item() == pytest.approx((1 + 5 * math.log2(14)) / 6)
    logits[0, 0, 0] = 50.0  # the question is not scored
    assert task.loss(logits, batch, "bits").item() == pytest.approx((1 + 5 * math.log2(14)) / 6)


def test_the_mean_over_sequences_counts_a_short_one_as_much():
    task = ProductText()
    lines = [task.posed(line) for line in ("2*3=6.", "9*9=81.")]
    inputs, targets, mask = (np.zeros((2, 6, *part.shape[1:]), np.float32) for part in lines[0])
    for row, parts in enumerate(lines):
        for column, part in zip((inputs, targets, mask), parts):
            column[row, : len(part)] = part
    batch = Batch(*map(torch.from_numpy, (inputs, targets, mask)), torch.tensor([5, 6]))
    logits = torch.zeros(2, 6, 14)
    logits[0, :, :] = 60 * batch.targets[0]  # the short one is known
    assert task.loss(logits, batch, "bits").item() == pytest.approx(3 / 5 * math.log2(14), rel=1e-5)
    assert task.loss(logits, batch, "sequences").item() == pytest.approx(1 / 2 * math.log2(14), rel=1e-5)


def test_score_counts_wrong_characters_that_are_due():
    task, batch = ProductText(), rows(["3*4=12.", "2*9=18.", "7*7=49."])
    told = batch.targets.clone()
    told[1, 3] = torch.eye(14)[2]
    told[1, 4] = torch.eye(14)[7]
    told[2, 0] = torch.eye(14)[0]  # not due
    score = task.score(told, batch)
    assert score.errors.tolist() == [0, 2, 0]
    assert score.due.tolist() == [3, 3, 3]
    assert score.wrong_sequences == 1
    assert task.show(batch.inputs[1], task.answer(told[1])) == "2*9=27. wrong"
    assert task.show(batch.inputs[0], task.answer(told[0])) == "3*4=12. ok"


def test_an_answer_is_one_character_and_soft_a_distribution():
    logits = torch.randn(2, 3, 14)
    answer = ProductText().answer(logits)
    assert torch.equal(answer, F.one_hot(logits.argmax(-1), 14).float())
    assert torch.allclose(ProductText().soft(logits).sum(-1), torch.ones(2, 3))


@ways
@pytest.mark.parametrize("flaw", [None, 6, 8])
def test_greedy_reading_is_right_exactly_where_teacher_forcing_is(task, flaw):
    """A model that knows the line of what it has read so far, with a flaw at one place."""

    def tell(prefix):
        question = (forward(prefix) if task.reversed else prefix).partition("=")[0]
        if "=" not in prefix:
            return "0"
        line = task.text(*map(int, question.split("*")))
        return "+" if len(prefix) == flaw or prefix != line[: len(prefix)] else line[len(prefix)]

    line = task.text(87, 65)
    inputs, targets, mask = task.posed(line)
    told = [tell(line[: place + 1]) for place in range(len(line) - 1)]
    logits = torch.eye(14)[[ALPHABET.index(character) for character in told]][None]
    batch = Batch(*(torch.tensor(part, dtype=torch.float32)[None] for part in (inputs, targets, mask)), torch.tensor([len(mask)]))
    read = line[: line.index("=") + 1]
    while len(read) < len(line):
        read += tell(read)
    assert (task.score(logits, batch).wrong_sequences == 0) == (read == line) == (flaw is None)


@pytest.mark.parametrize("word", ["task.lengths=[2,1]", "task.lengths=[1,1001]", "task.test_lengths=[]", "task.steps=7"])
def test_mistakes_are_refused_by_their_key(word):
    with pytest.raises(UserError) as told:
        parse(composed("task=product_text", word))
    assert str(told.value).startswith(word.partition("=")[0])
