"""All the sequences that a task can name: which they are, and that a run is neither over nor best before it is right on each."""

import itertools

import pytest
import torch
from conftest import composed

from ntm.config import parse
from ntm.training.curriculum import Progress
from ntm.training.data import Stream
from ntm.training.exhaustive import MOST, mistakes, practice
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
    for errors, rounding in ((1, 0.9), (0, 0.9), (0, 0.0)):
        lit.progress = Progress(updates=100, stage=lit.config.curriculum.all_stages - 1, noise=2.0, rounding=rounding)
        lit.tallies = [Tally(2, 0.25, Score(torch.tensor([errors, 0]), torch.full((2,), 4)))]
        lit.on_validation_epoch_end()
        assert lit.solved_in_a_row == 0
        assert lit.selection > 1


class Wrong:
    """A model that answers some pairs wrongly."""

    rounded = False

    def __init__(self, *pairs):
        self.pairs = pairs

    def judge(self, task, batch, length):
        said = [task.show(b_in, b_out).split(" = ")[0] for b_in, b_out in zip(batch.inputs, batch.targets)]
        wrong = torch.tensor([tuple(int(word, 2) for word in line.split(" x ")) in self.pairs for line in said])
        return Score(wrong.long(), torch.full((len(said),), 2 * length))


def lines(task, batch):
    return [task.show(batch.inputs[i], batch.targets[i]) for i in range(len(batch.ticks))]


def test_mistakes_are_what_is_wrong_first():
    task = BinaryMul(every_pair=3)
    assert mistakes(task, Wrong()) == ()
    everything = [line for _, batch in task.every() for line in lines(task, batch)]
    found = mistakes(task, Wrong((3, 2), (1, 0)))
    assert [everything[place] for place in found] == ["1 x 0 = 00 ok"]
    found = mistakes(task, Wrong((3, 2), (6, 1)))
    assert [everything[place] for place in found] == ["11 x 10 = 0110 ok"]
    every_pair = tuple(itertools.product(range(8), range(4, 8)))
    assert mistakes(task, Wrong(*every_pair)) == tuple(20 + 8 * a + b for a in range(8) for b in range(4, 8))[:MOST]


def test_a_rounded_model_is_asked_by_decisions(monkeypatch):
    lit = LitModel(parse(composed(*WRONG_AT_LAST)))
    lit.model.round(1.0)
    monkeypatch.setattr(lit.model, "logits", lambda batch, room: pytest.fail("asked"))
    found = mistakes(lit.task, lit.model)
    monkeypatch.undo()
    dense = [lit.model.judge(lit.task, batch, length).errors for length, batch in lit.task.every()]
    first = next((n for n, errors in enumerate(dense) if errors.any()), None)
    assert first is not None
    assert found == tuple((dense[first].nonzero()[:, 0] + 4 * first).tolist())


def test_practice_is_mistakes_in_turn_and_others_as_long():
    task = BinaryMul(every_pair=3)
    found = mistakes(task, Wrong((3, 5), (6, 1)))
    batch = practice(task, found, 0, 7, MOST + 8)
    said = lines(task, batch)
    assert said[:MOST] == ["011 x 101 = 001111 ok", "110 x 001 = 000110 ok"] * (MOST // 2)
    others = task.batch(0, "train", 7, MOST + 8, (3, 3))
    assert said[MOST:] == lines(task, others)[MOST:]
    assert len(practice(task, found, 0, 7, 4).ticks) == 4
    assert practice(task, (10**6,), 0, 7, 4) is None


def test_mistakes_take_the_place_of_batches_from_before_the_present_stage():
    config = parse(composed(*WRONG_AT_LAST, "trainer.batch_size=4"))
    last = config.curriculum.all_stages - 1
    found = mistakes(config.task, Wrong((3, 2)))
    stream = Stream(config, lambda: Progress())
    right = Progress(updates=5, stage=last)
    wrong = right._replace(mistakes=found)
    assert lines(config.task, stream.draw(wrong, last - 1).batch) == ["11 x 10 = 0110 ok"] * 4
    assert stream.draw(wrong, last - 1).stage == last - 1  # so that they say nothing of the present stage
    for a, b in zip(stream.draw(wrong, last).batch, stream.draw(right, last).batch):
        assert torch.equal(a, b)
    gone = right._replace(mistakes=(10**6,))  # of a task that named more
    for a, b in zip(stream.draw(gone, last - 1).batch, stream.draw(right, last - 1).batch):
        assert torch.equal(a, b)


def test_mistakes_are_remembered_once_rounding_is_in_full(monkeypatch):
    lit = LitModel(parse(composed(*WRONG_AT_LAST)))
    lit.trainer = Clock()
    lit.progress = Progress(updates=100, stage=lit.config.curriculum.all_stages - 1, noise=2.0, rounding=1.0, pruned=True)
    monkeypatch.setattr(lit.model, "logits", lambda batch, room: 1 - batch.targets * 2)
    lit.tallies = [Tally(2, 0.25, Score(torch.tensor([1, 0]), torch.full((2,), 4)))]
    lit.on_validation_epoch_end()
    assert lit.progress.mistakes == lit.kept.progress.mistakes == (0, 1, 2, 3)
    monkeypatch.setattr(lit.model, "logits", lambda batch, room: batch.targets * 2 - 1)
    lit.tallies = [Tally(2, 0.25, Score(torch.zeros(2), torch.full((2,), 4)))]
    lit.on_validation_epoch_end()
    assert lit.progress.mistakes == ()
