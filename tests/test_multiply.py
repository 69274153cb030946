"""`ntm.multiply`: what the machine answers is told as it is, right or wrong."""

import re

import pytest
import torch
from conftest import TINY

from tasks import BinaryMul
from tasks.binary_add import number

MUL = ["task=binary_mul", "task.lengths=[2,3]", "task.val_lengths=[3]", "task.test_lengths=[3]", "task.probe_length=2"]
MUL += ["model.slots=12", "trainer.batch_size=4", "trainer.val_sequences=2", "trainer.val_every=4", "trainer.max_steps=4"]


@pytest.mark.parametrize(("a", "b", "length"), [(0, 0, 1), (5, 3, 3), (2**70 - 1, 2**69 + 1, 70)])
def test_a_pair_is_posed_as_drawn_ones_are(a, b, length):
    batch = BinaryMul().posed([(a, b), (b, a)], length, "test")
    assert number(batch.inputs[0, :length, 0]) == a
    assert number(batch.inputs[0, length :: length + 2, 0]) == b
    for row in range(2):
        assert number(batch.targets[row][batch.mask[row] > 0][:, 0]) == a * b
    drawn = BinaryMul().batch(0, "test", 0, 1, (length, length))
    assert torch.equal(drawn.mask[0], batch.mask[0])


def test_it_tells_what_the_machine_answers(run, capsys):
    run("train", *MUL, "run_dir=run")
    for a, b in ((6, 7), (12345678901234567890, 0)):
        capsys.readouterr()
        run("multiply", "run=run", f"a={a}", f"b={b}")
        product, verdict = capsys.readouterr().out.splitlines()
        answer = int(re.fullmatch(rf"{a} x {b} = (\d+)", product)[1])
        assert verdict.startswith("right; " if answer == a * b else f"wrong: it is {a * b}; ")


def test_what_is_no_number_or_no_multiplier_is_refused(run, capsys):
    run("train", *TINY, "trainer.max_steps=1", "run_dir=copy")
    for words, told in (
        (["a=-1"], "a=-1: allowed: decimal digits"),
        (["b=1.5"], "b=1.5: allowed"),
        ([], "run=copy: a run of another task"),
    ):
        with pytest.raises(SystemExit) as ended:
            run("multiply", "run=copy", *words)
        assert ended.value.code == 2
        assert told in capsys.readouterr().err
