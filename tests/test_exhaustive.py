"""All the sequences that a task can name: which they are, and that a run is neither over nor best before it is right on each."""

import itertools

import pytest
import torch
from conftest import composed

from ntm.config import parse
from ntm.training.curriculum import Progress
from ntm.training.module import LitModel, Tally
from tasks import BinaryMul, Copy, Score


def test_every_pair_is_every_pair_of_every_length_once():
    task = BinaryMul(every_pair=3)
    lines = {task.show(b.inputs[i], b.targets[i]) for _, b in task.every() for i in range(len(b.ticks))}
    wanted = {
        f"{a:0{n}b} x {b:0{n}b} = {a * b:0{2 * n}b} ok" for n in (1, 2, 3) for a, b in itertools.product(range(1 << n), repeat=2)
    }
    assert lines == wanted
    assert sum(len(b.ticks) for _, b in task.every()) == len(wanted) == 84
    assert sum(len(b.ticks) for _, b in BinaryMul(every_pair=6).every()) == 5460
    assert not list(BinaryMul(every_pair=0).every())
    assert not list(Copy().every())


WRONG_AT_LAST = ["task=binary_mul", "task.val_lengths=[2]", "task.test_lengths=[2]", "task.every_pair=2", "trainer.val_sequences=2"]


class Clock:
    """What of Lightning's trainer a validation needs."""

    should_stop, loggers = False, ()


@pytest.mark.parametrize("wrong", [False, True])
def test_what_is_wrong_on_one_of_all_pairs_is_neither_solved_nor_best(wrong, monkeypatch):
    lit = LitModel(parse(composed(*WRONG_AT_LAST, "trainer.val_patience=1", "trainer.stop_when_solved=true")))
    lit.trainer = Clock()
    lit.progress = Progress(updates=100, stage=lit.config.curriculum.all_stages - 1, noise=2.0, rounding=1.0, pruned=True)
    seen = []

    def logits(batch, room):
        seen.append((len(batch.ticks), room))
        said = batch.targets * 2 - 1
        return -said if wrong and len(seen) == 2 else said  # the second batch of all pairs

    monkeypatch.setattr(lit.model, "logits", logits)
    lit.tallies = [Tally(2, 0.25, Score(torch.zeros(2), torch.full((2,), 4)))]
    lit.on_validation_epoch_end()
    assert seen == [(4, 18), (16, 20)]  # pairs of one bit and of two, each with the room that they need
    assert (lit.solved, lit.solved_in_a_row, lit.trainer.should_stop) == (not wrong, int(not wrong), not wrong)
    assert lit.selection == pytest.approx(1e-3 * 0.2 + wrong)
    assert lit.solved_length == 2


def test_all_pairs_are_asked_for_only_where_nothing_else_is_wrong(monkeypatch):
    lit = LitModel(parse(composed(*WRONG_AT_LAST)))
    lit.trainer = Clock()
    monkeypatch.setattr(lit.model, "logits", lambda batch, room: pytest.fail("asked for"))
    for errors, rounding in ((1, 1.0), (0, 0.0)):
        lit.progress = Progress(updates=100, stage=lit.config.curriculum.all_stages - 1, noise=2.0, rounding=rounding)
        lit.tallies = [Tally(2, 0.25, Score(torch.tensor([errors, 0]), torch.full((2,), 4)))]
        lit.on_validation_epoch_end()
        assert lit.solved_in_a_row == 0
        assert lit.selection > 1
