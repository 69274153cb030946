"""`ntm.multiply`: what the machine answers is told as it is, right or wrong."""

import io
import re

import pytest
import torch
from conftest import TINY, TINY_MUL, composed
from rich.console import Console

from ntm.config import build, parse
from ntm.multiply import MOST, decimal, multiplied
from tasks import BinaryMul, Clock
from tasks.binary_add import number

MUL = [*TINY_MUL, "model.slots=12", "trainer.batch_size=4", "trainer.val_sequences=2", "trainer.val_every=4", "trainer.max_steps=4"]


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
        (["a=-1", "b=2"], "a=-1: allowed: decimal digits"),
        (["a=1", "b=1.5"], "b=1.5: allowed"),
        (["a=1"], "b: must be given; allowed: decimal digits"),
        (["a=1", "b=2"], "run=copy: a run of another task"),
        (["a=1", "b=2", "clock=a,b (1)"], "run=copy: a run of another task"),
    ):
        with pytest.raises(SystemExit) as ended:
            run("multiply", "run=copy", *words)
        assert ended.value.code == 2
        assert told in capsys.readouterr().err


@pytest.mark.parametrize(("a", "b", "length"), [(0, 1, 1), (5, 3, 3), (2**70 - 1, 2**69 + 1, 70)])
@pytest.mark.parametrize("size", [1, 200, 10**6])
@pytest.mark.parametrize("task", [BinaryMul(), BinaryMul(sweeps=2), BinaryMul(protocol="once"), Clock(), Clock(sweeps=2)])
def test_pieces_are_the_pair_as_it_is_posed(a, b, length, size, task):
    pieces = list(task.in_pieces(a, b, length, size))
    whole = task.posed([(a, b)], length, "test") if isinstance(task, BinaryMul) else task.posed([(a, b)], length)
    inputs, targets, mask = (torch.cat(parts, dim=1) for parts in list(zip(*pieces))[:3])
    assert torch.equal(inputs, whole.inputs)
    assert torch.equal(mask, whole.mask)
    assert torch.equal(targets[mask > 0], whole.targets[mask > 0])
    assert all(piece.inputs.shape[1] == piece.ticks.item() <= max(size, length + 2) for piece in pieces)


def machine():
    config = parse(composed(*MUL))
    model = build(config)
    torch.manual_seed(5)
    for parameter in model.parameters():  # so large that much is written, and not all answers are alike
        torch.nn.init.normal_(parameter, 0, 0.7)
    return model.discrete(), config.task


def test_piece_by_piece_is_the_whole(monkeypatch):
    model, task = machine()
    a, b, length = 2**40 - 77, 2**39 + 12345, 40
    batch = task.posed([(a, b)], length, "test")
    logits = model(batch.inputs, batch.ticks, room=model.room_for(task.room(length))).logits
    answered = task.answer(logits)[batch.mask > 0][:, 0]
    assert len(set(answered.tolist())) == 2
    expected = number(answered)
    monkeypatch.setattr("ntm.multiply.PIECE", 100)
    asked = []
    forward = type(model).forward
    monkeypatch.setattr(type(model), "forward", lambda *x, **k: asked.append(x[1].shape[1]) or forward(*x, **k))
    assert multiplied(model, task, a, b, length, Console(file=io.StringIO())) == expected
    assert max(asked) <= 100
    assert sum(asked) == task.ticks(length)


def test_a_bar_on_a_terminal_and_nothing_on_a_pipe():
    model, task = machine()
    for terminal in (True, False):
        console = Console(file=io.StringIO(), force_terminal=terminal, width=100)
        multiplied(model, task, 5, 6, 3, console)
        said = console.file.getvalue()
        assert ("33/33 ticks" in said) == terminal
        assert (re.search(r"\d/s", said) is not None) == terminal
        assert terminal or said == ""


@pytest.mark.parametrize("digits", [1, 2, MOST, MOST + 1, 2 * MOST])
@pytest.mark.parametrize("more", [-1, 0, 7])
def test_numbers_are_written_in_full(digits, more):
    value = 10 ** (digits - 1) + more
    text = decimal(value)
    assert text == "0" or text[0] != "0"
    high, low = text[:-MOST], text[-MOST:]
    assert int(high or "0") * 10**MOST + int(low) == value


def test_a_product_of_more_digits_than_python_writes(run, capsys):
    run("train", *MUL, "run_dir=run")
    nines = "9" * 2466  # 8,192 bits: 134 million ticks
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("ntm.multiply.multiplied", lambda model, task, a, b, length, *_: a * b + (length != 8192))
        capsys.readouterr()
        run("multiply", "run=run", f"a={nines}", f"b={nines}")
    product, verdict = capsys.readouterr().out.splitlines()
    assert product.endswith(f"= {'9' * 2465}8{'0' * 2465}1")
    assert verdict.startswith("right; 8,192 bits, 134,258,688 ticks, ")
