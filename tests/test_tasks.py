"""Every task: pure, masked, in range, checked by an oracle of its own, and readable."""

import hashlib
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from ntm.models.machine import TapeHeads
from ntm.models.machine.access import Start
from tasks import TASKS, BinaryAdd, BinaryMul, Copy, RepeatCopy, Task
from tasks.binary_add import bits, number
from tasks.numbers import Numbers

every_task = pytest.mark.parametrize("task", [build() for build in TASKS.values()], ids=list(TASKS))
every_task_of_bits = pytest.mark.parametrize("task", [build() for build in TASKS.values() if build.loss is Task.loss])

RING = TapeHeads(4, 4, 3, start=Start(1))

RUNNING = BinaryMul(lengths=(6, 8), supervision="running_product")


def same(a, b):
    return all(torch.equal(x, y) for x, y in zip(a, b))


@every_task
def test_a_batch_is_a_pure_function_of_seed_split_and_index(task):
    batch = task.batch(3, "train", 7, 4)
    np.random.seed(0)
    torch.manual_seed(0)
    assert same(batch, task.batch(3, "train", 7, 4))
    for other in (task.batch(4, "train", 7, 4), task.batch(3, "val", 7, 4), task.batch(3, "train", 8, 4)):
        assert other.inputs.shape != batch.inputs.shape or not torch.equal(other.inputs, batch.inputs)


@every_task
def test_shapes_and_mask(task):
    batch = task.batch(0, "test", 0, 5, (2, 4))
    rows, ticks, inputs = batch.inputs.shape
    assert (rows, inputs) == (5, task.inputs)
    assert batch.targets.shape == (5, ticks, task.outputs)
    assert batch.mask.shape == (5, ticks)
    assert set(batch.mask.unique().tolist()) <= {0.0, 1.0}
    assert set(batch.targets.unique().tolist()) <= {0.0, 1.0} or isinstance(task, Numbers)
    assert all(tensor.dtype == torch.float32 for tensor in batch[:3])
    assert batch.ticks.shape == (5,)
    assert batch.ticks.max() == ticks
    assert all(not part[row, batch.ticks[row] :].any() for part in batch[:3] for row in range(5))
    assert all(batch.mask[row, : batch.ticks[row]].any() for row in range(5))


@every_task_of_bits
def test_right_answers_score_zero_and_one_wrong_bit_is_one_wrong_sequence(task):
    batch = task.batch(0, "test", 1, 6, (3, 5))
    logits = 2 * batch.targets - 1
    right = task.score(logits, batch)
    assert int(right.errors.sum()) == right.wrong_sequences == 0
    assert right.due.sum() == batch.mask.sum() * task.outputs
    tick = int(batch.mask[2].argmax())
    logits[2, tick, 0] *= -1
    logits[2, 0, 0] *= -1 if batch.mask[2, 0] == 0 else 1  # not asked for: not scored
    wrong = task.score(logits, batch)
    assert wrong.errors.tolist() == [0, 0, 1, 0, 0, 0]
    assert wrong.wrong_sequences == 1
    assert wrong.error == pytest.approx(1 / float(right.due.sum()))


@pytest.mark.parametrize("task", [build() for build in TASKS.values() if build.show is not Task.show])
def test_show_says_ok_for_targets_and_wrong_for_a_flipped_bit(task):
    batch = task.batch(0, "test", 2, 4, (3, 3))
    for inputs, targets, mask in zip(*batch[:3]):
        assert task.show(inputs, targets).endswith(" ok")
        flipped = targets.clone()
        flipped[int(mask.argmax())] = 1 - flipped[int(mask.argmax())]
        assert task.show(inputs, flipped).endswith(" wrong")


def test_the_print_reads_as_arithmetic():
    task = BinaryMul()
    batch = task.batch(0, "test", 0, 50, (4, 4))
    for inputs, targets in zip(batch.inputs, batch.targets):
        a, _, b, _, product, verdict = task.show(inputs, targets).split()
        assert int(a, 2) * int(b, 2) == int(product, 2)
        assert verdict == "ok"


@pytest.mark.parametrize("name", [name for name, task in TASKS.items() if task.mixed])
def test_lengths_vary_inside_a_batch(name):
    assert len(set(TASKS[name]().batch(0, "train", 0, 16).ticks.tolist())) > 3


def test_copy_repeats_what_it_was_shown():
    batch = Copy(width=5).batch(1, "train", 0, 8)
    for inputs, targets, mask in zip(*batch[:3]):
        length = int(inputs[:, 5].argmax())
        assert torch.equal(targets[mask > 0], inputs[:length, :5])
        assert mask[: length + 1].sum() == 0
        assert not inputs[length + 1 :].any()


def test_ticks_are_each_sequences_own():
    batch = Copy(width=5).batch(1, "train", 0, 8)
    assert batch.ticks.tolist() == (2 * batch.inputs[:, :, 5].argmax(1) + 1).tolist()
    assert len(set(batch.ticks.tolist())) > 2


def test_copy_docstring_example():
    inputs, targets, mask = Copy(width=3).sequence(np.random.default_rng(0), 2, "train")
    assert inputs.shape == (5, 4)
    assert inputs[2].tolist() == [0, 0, 0, 1]
    assert mask.tolist() == [0, 0, 0, 1, 1]
    assert (targets[3:] == inputs[:2, :3]).all()


@pytest.mark.parametrize(("split", "share", "zeros"), [("train", 1.0, 1 / 9), ("train", 0.0, 1 / 256), ("test", 1.0, 1 / 256)])
def test_training_vectors_of_copy_have_mixed_densities_and_others_are_uniform(split, share, zeros):
    inputs, _, _ = Copy(mixed_density=share).sequence(np.random.default_rng(0), 20_000, split)
    ones = np.bincount(inputs[:20_000].sum(1).astype(int), minlength=9) / 20_000
    assert ones[0] == pytest.approx(zeros, rel=0.25)
    assert ones[4] == pytest.approx(70 / 256 if zeros < 0.01 else 1 / 9, rel=0.1)  # a uniform density makes all counts alike


def test_repeat_copy_by_its_definition():
    task = RepeatCopy(width=3)
    for inputs, targets, mask in zip(*task.batch(1, "train", 0, 32)[:3]):
        length = int(inputs[:, 3].argmax())
        answer = targets[mask > 0]
        repeats = (len(answer) - 1) // length
        assert torch.equal(answer[:-1, :3], inputs[:length, :3].repeat(repeats, 1))
        assert answer[:, 3].tolist() == [0] * (length * repeats) + [1]
        assert float(inputs[length, 4]) == pytest.approx((repeats - 5.5) / np.sqrt(99 / 12))


def test_a_training_batch_of_repeat_copy_lasts_about_equally_long_and_all_of_them_cover_everything():
    task = RepeatCopy()
    padding, seen = [], set()
    for index in range(40):
        batch = task.batch(0, "train", index, 64)
        lengths = batch.inputs[:, :, task.width].argmax(1)
        answers = batch.mask.sum(1)
        padding.append(1 - float((lengths + 1 + answers).sum()) / batch.mask.numel())
        seen |= set(zip(lengths.tolist(), ((answers - 1) / lengths).int().tolist()))
    assert seen == {(length, repeats) for length in range(1, 11) for repeats in range(1, 11)}
    assert np.mean(padding) < 0.3


@pytest.mark.parametrize("length", [1, 2, 10, 100])
def test_two_heads_of_repeat_copy_that_part_at_home_do_not_meet_round_the_ring(length):
    slots = RING.room_for(RepeatCopy().room(length))
    forth = {1 + k for k in range(length + 2)}  # from slot 1: every vector, the delimiter, and the slot after it is seen
    back = {-k % slots for k in range(length + 1)}  # from slot 0, the other way
    assert not forth & back


@pytest.mark.parametrize("length", [1, 2, 20, 200])
def test_a_head_of_copy_that_never_stops_writing_does_not_come_round_the_ring(length):
    slots = RING.room_for(Copy().room(length))
    ticks = len(Copy().sequence(np.random.default_rng(0), length, "test")[2])
    assert len({(2 + tick) % slots for tick in range(ticks)}) == ticks


def test_the_repeat_count_is_normalised_over_training_counts_whatever_is_asked():
    task = RepeatCopy()
    counts = [task.normalise(n) for n in range(1, 11)]
    assert np.mean(counts) == pytest.approx(0)
    assert np.var(counts) == pytest.approx(1)
    more = replace(task, repeats=(20, 20))
    assert more.normalise(20) == pytest.approx(task.normalise(20)) == pytest.approx(14.5 / np.sqrt(99 / 12))
    single = RepeatCopy(repeats=(3, 3), normal_repeats=(3, 3)).batch(0, "test", 0, 1, (2, 2))
    assert single.inputs[0, 2, -1] == 0


def test_binary_add_agrees_with_python():
    batch = BinaryAdd().batch(0, "train", 0, 64)
    for inputs, targets, mask in zip(*batch[:3]):
        length = int(inputs[:, 2].sum())
        assert number(targets[mask > 0][:, 0]) == number(inputs[:length, 0]) + number(inputs[:length, 1])


def test_binary_mul_protocol_and_products_agree_with_python():
    task, n = BinaryMul(), 7
    inputs, targets, mask, _ = task.batch(0, "test", 0, 64, (n, n))
    assert inputs.shape[1] == n + 2 * n * (n + 2)
    assert inputs[:, :n, 1].all()
    assert not inputs[:, n:, 1].any()
    sweeps = inputs[:, n:].reshape(64, 2 * n, n + 2, 3)
    assert torch.equal(sweeps[..., 2], torch.eye(n + 2)[0].expand(64, 2 * n, n + 2))
    assert (sweeps[..., 0] == sweeps[:, :, :1, 0]).all()
    assert not sweeps[:, n:, :, 0].any()
    assert torch.equal(mask[:, n:].reshape(64, 2 * n, n + 2), torch.eye(n + 2)[2].expand(64, 2 * n, n + 2))
    for row in range(64):
        a, b = number(inputs[row, :n, 0]), number(sweeps[row, :n, 0, 0])
        assert number(targets[row, mask[row] > 0][:, 0]) == a * b


def test_running_product_is_every_partial_product():
    n = 5
    inputs, targets, mask, _ = RUNNING.batch(0, "train", 0, 16, (n, n))
    for row in range(16):
        a, b = number(inputs[row, :n, 0]), number(inputs[row, n:].reshape(2 * n, n + 2, 3)[:n, 0, 0])
        answers = targets[row, n:, 0].reshape(2 * n, n + 2)[:, 2:]
        for sweep in range(2 * n):
            assert number(answers[sweep]) == (a * (b % 2 ** (sweep + 1)) >> sweep) % 2**n
    assert mask.sum() == 16 * 2 * n * n


BATCHES = {
    "copy": "f13504c349b5d3e2",
    "repeat_copy": "cdaac9a477d3e021",
    "binary_add": "39c43ed42e764cde",
    "binary_mul": "33cc4e0aee0a946c",
    "arithmetic": "05a88da91d8140ba",
    "identity": "d3bf5646a5e3f4a3",
    "parallel_mul": "d4d00bd873cfb84e",
    "digit_sum": "5e776a34f72f78ab",
    "product_text": "352ba8d6b20cdd3c",
    "written_mul": "2a82e09f3b5888d8",
}


@pytest.mark.parametrize("name", BATCHES)
def test_batches_are_what_they_always_were(name):
    """However they are drawn: a seed's run shall not change with the code that draws."""
    task = RUNNING if name == "binary_mul" else TASKS[name]()
    parts = [task.batch(3, split, 1, 40) for split in ("train", "val", "test")]
    content = b"".join(column.numpy().tobytes() for batch in parts for column in batch)
    assert hashlib.sha256(content).hexdigest().startswith(BATCHES[name])


def test_supervision_by_product_masks_all_but_the_product():
    running, product = RUNNING, BinaryMul()
    assert product.claim == "product"
    assert torch.equal(product.batch(0, "train", 0, 4, (3, 3)).mask, running.batch(0, "test", 0, 4, (3, 3)).mask)


def test_binary_mul_docstring_example():
    inputs, targets, mask = RUNNING.sequence(FixedBits([1, 1, 1, 0]), 2, "train")
    sweep = ["".join(str(int(x)) for x in row) for row in inputs]
    assert sweep == ["110", "110", "101", "100", "100", "100", *["001", "000", "000", "000"] * 3]
    assert targets[mask > 0][:, 0].tolist() == [1, 1, 1, 0, 0, 0, 0, 0]


class FixedBits:
    """A stand-in for numpy's generator whose operands have these bits."""

    def __init__(self, drawn):
        self.drawn = drawn

    def random(self, size=None):
        if size is None:
            return 0.1  # a uniform operand
        now, self.drawn = self.drawn[:size], self.drawn[size:]
        return 1 - np.array(now)

    def integers(self, high):
        return 0


def test_a_stage_is_a_shorter_task():
    assert Copy().staged(5).lengths == (1, 5)
    assert Copy(lengths=(8, 20)).staged(5).lengths == (5, 5)
    assert BinaryMul().staged(3).lengths == (3, 3)
    staged = RUNNING.staged(3).batch(0, "train", 0, 2, (4, 4))
    whole = RUNNING.batch(0, "train", 0, 2, (4, 4))
    ticks = 4 + 3 * 6
    assert staged.inputs.shape[1] == ticks
    assert same(staged[:3], [part[:, :ticks] for part in whole[:3]])


@given(st.integers(0, 2**200))
def test_bits_and_number_are_inverse(value):
    assert number(torch.tensor(bits(value, 201))) == value


@pytest.mark.parametrize(
    ("build", "fields"),
    [
        *((Copy, field) for field in ({"width": 0}, {"width": "8"}, {"lengths": (5, 2)}, {"lengths": (0, 2)}, {"val_lengths": ()})),
        (Copy, {"wide": 8}),
        (RepeatCopy, {"repeats": (3, 2)}),
        (BinaryMul, {"supervision": "trace"}),
    ],
)
def test_a_wrong_field_is_refused(build, fields):
    with pytest.raises(ValidationError):
        build(**fields)


@every_task
def test_room_grows_with_length_and_is_never_less_than_one(task):
    assert 1 <= task.room(1) <= task.room(100)
